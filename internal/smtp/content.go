package smtp

import (
	"bytes"
	"math"
	"strconv"
)

// place is where in a line of a message the next byte stands.
type place uint8

const (
	atStart place = iota // behind CR LF, or at the message's first byte
	atDot                // behind a dot there, which is no part of the message
	atDotCR              // behind that and a CR
	inText
	atCR // behind a CR: only LF may follow
)

// content is a message that comes. A failure is the reply that it will get, and the first one counts; from then on nothing of
// it is passed on, and what comes is read as far as its real end.
type content struct {
	failure string
	place   place
	column  int   // octets of the line, without the dot that was put in front of it
	size    int64 // octets of the message
	left    int64 // octets of the chunk that are yet to come
	length  int64 // of the chunk
	last    bool  // the chunk is
	binary  bool  // BODY=BINARYMIME: CR and LF are bytes like others
	chunked bool  // it comes by BDAT
	open    bool  // the owner has been told of it, and not yet how it ended
}

// data takes a message up to CR LF "." CR LF (RFC 5321 §4.1.1.4), takes the dots out (§4.5.2) and moves what is left together.
// Only CR LF ends a line: behind a bare CR or LF, or any of their mixtures, a dot means nothing.
func (s *Session) data(in []byte) (n int, ev Event) {
	c := &s.content
	kept := 0
	for n < len(in) && s.due == 0 {
		b := in[n]
		switch c.place {
		case atStart:
			c.place, c.column = inText, 0
			if b == '.' {
				c.place = atDot
				n++
			}
			continue
		case atDot:
			c.place = inText
			if b == '\r' {
				c.place = atDotCR
				n++
			}
			continue
		case atDotCR:
			if b == '\n' {
				s.finish()
				return n + 1, s.piece(in[:kept])
			}
			c.place = inText
			s.fail(textBare, "a bare CR in the message")
			continue
		}
		size := s.text(in[n:])
		if c.failure == "" {
			kept += copy(in[kept:], in[n:n+size])
		}
		n += size
		if s.overflows() {
			return n, Event{}
		}
	}
	return n, s.piece(in[:kept])
}

// piece makes an event of what is to be passed on; without anything there is none yet.
func (s *Session) piece(p []byte) Event {
	if len(p) == 0 {
		return Event{}
	}
	return Event{Kind: Content, Data: p}
}

// text takes the text of a line up to its CR, or the CR, or the LF, or a part of that, and says how much. It notes what is
// wrong.
func (s *Session) text(in []byte) int {
	c := &s.content
	n := 1
	switch {
	case c.place == atCR && in[0] == '\n':
		c.place = atStart
	case c.place == atCR:
		c.place = inText
		s.fail(textBare, "a bare CR in the message")
		return 0
	case in[0] == '\n':
		s.fail(textBare, "a bare LF in the message")
	case in[0] == '\r':
		c.place = atCR
	default:
		n = s.run(in[:min(len(in), scanWindow)])
	}
	s.grow(int64(n))
	return n
}

// run measures text without CR and LF, at most what the line and the message may still have.
func (s *Session) run(in []byte) int {
	c := &s.content
	n := len(in)
	if i := bytes.IndexByte(in, '\n'); i >= 0 {
		n = i
	}
	if i := bytes.IndexByte(in[:n], '\r'); i >= 0 {
		n = i
	}
	if c.failure != "" {
		return n
	}
	room := maxText - c.column
	if limit := s.limit(); limit-c.size < int64(room) {
		room = int(limit - c.size)
	} else if n > room {
		s.fail(textTextTooLong, "a line of the message is too long")
	}
	c.column += min(n, room)
	return max(min(n, room), 1) // grow sees the octet that is too much
}

// grow counts octets of the message.
func (s *Session) grow(n int64) {
	if s.content.size += n; s.content.size > s.limit() {
		s.fail(textTooMuch, "the message is too large")
	}
}

func (s *Session) limit() int64 {
	if s.settings.MaxSize > 0 {
		return s.settings.MaxSize
	}
	return math.MaxInt64
}

// ceiling is how much of a message is read although it is refused.
func (s *Session) ceiling() int64 {
	if limit := s.limit(); limit < (math.MaxInt64-swallow)/2 {
		return 2*limit + swallow
	}
	return math.MaxInt64
}

// overflows ends a session whose message is much too large.
func (s *Session) overflows() bool {
	c := &s.content
	if c.failure == "" || c.size <= s.ceiling() {
		return false
	}
	s.sayAll(c.failure)
	s.end("a message much larger than the limit")
	return true
}

// fail refuses the message behind its end.
func (s *Session) fail(text, reason string) {
	c := &s.content
	if c.failure != "" {
		return
	}
	c.failure = text
	if c.open {
		c.open = false
		s.due, s.reason = Discard, reason
	}
}

// finish is the end of the message on the wire.
func (s *Session) finish() {
	c := &s.content
	if c.failure == "" {
		c.open, s.due = false, End
		return
	}
	s.sayAll(c.failure)
	s.phase = inCommand
	s.forget()
}

// sayAll gives every recipient of an LMTP message the same reply, or an SMTP client one.
func (s *Session) sayAll(text string) {
	for range s.count() {
		s.say(text)
	}
}

// bdat takes BDAT (RFC 3030 §2). Its chunk follows whatever is said about it, so one whose size is no number ends the session.
// Before the first chunk of a message somebody is asked, as with DATA; the answer to each is given behind its chunk.
func (s *Session) bdat(ev Event) Event {
	text := ""
	switch c := &s.content; {
	case s.Name == "":
		if text = textEhloFirst; s.settings.LMTP {
			text = textLhloFirst
		}
	case !s.Extended:
		text = textEhloFirst
	case s.needsAuth():
		text = textAuthFirst
	case len(s.Recipients) == 0:
		text = textNeedRcpt
	case !c.chunked:
		if !s.measure(ev.Arg) {
			return Event{}
		}
		if c.left > s.limit() { // nobody needs to be asked
			c.failure = textTooMuch
			s.beginChunks(false)
			return Event{}
		}
		c.binary = s.Mail.Body == BodyBinary
		s.ask(BDAT)
		return ev
	default:
		if s.measure(ev.Arg) {
			s.enterChunk()
		}
		return Event{}
	}
	s.bdatRefused(ev.Arg, text)
	return Event{}
}

// bdatRefused takes a chunk that comes when there may be none. Nothing else changes by it.
func (s *Session) bdatRefused(arg []byte, text string) {
	s.content = content{}
	if s.measure(arg) {
		s.content.failure = text
		s.phase = inChunk
	}
}

// measure reads the argument of BDAT. Where it can't, or where the chunk is much too large, the session ends.
func (s *Session) measure(arg []byte) bool {
	c := &s.content
	digits, rest, more := bytes.Cut(arg, []byte{' '})
	size, err := strconv.ParseUint(string(digits), 10, 63)
	if err != nil || digits[0] == '+' || more && !equalFold(bytes.TrimLeft(rest, " "), "LAST") {
		s.say("501 Syntax: " + verbs[BDAT].syntax)
		s.end("BDAT without a size that can be read")
		return false
	}
	c.length, c.left, c.last = int64(size), int64(size), more
	if ceiling := s.ceiling(); c.left > ceiling || c.size > ceiling-c.left {
		s.say(textTooMuch)
		s.end("a message much larger than the limit")
		return false
	}
	return true
}

// beginChunks goes on with the first chunk of a message, which somebody has agreed to or not.
func (s *Session) beginChunks(yes bool) {
	s.content.chunked = true
	s.content.open = yes
	s.enterChunk()
}

// enterChunk goes on with a chunk.
func (s *Session) enterChunk() {
	c := &s.content
	s.phase = inChunk
	if limit := s.limit(); c.left > limit || c.size > limit-c.left {
		s.fail(textTooMuch, "the message is too large")
	}
}

// chunk takes octets of a chunk.
func (s *Session) chunk(in []byte) (n int, ev Event) {
	c := &s.content
	if c.left == 0 {
		s.endChunk()
		return 0, Event{}
	}
	in = in[:min(int64(len(in)), c.left)]
	kept := 0
	switch {
	case c.failure != "":
		n = len(in)
	case c.binary:
		n, kept = len(in), len(in)
		c.size += int64(n)
	default:
		n, kept = s.lines(in)
	}
	c.left -= int64(n)
	return n, s.piece(in[:kept])
}

// lines checks a chunk of text, and says how much of it was taken and how much of that is to be passed on.
func (s *Session) lines(in []byte) (n, kept int) {
	c := &s.content
	for n < len(in) && c.failure == "" {
		if c.place == atStart {
			c.place, c.column = inText, 0
		}
		size := s.text(in[n:])
		n += size
	}
	if c.failure != "" {
		return n, 0
	}
	return n, n
}

// endChunk is the end of a chunk: its answer, or the end of the message.
func (s *Session) endChunk() {
	c := &s.content
	if c.last && c.place == atCR {
		if s.fail(textBare, "a bare CR in the message"); s.due != 0 {
			return // that is said first
		}
	}
	s.phase = inCommand
	switch {
	case c.failure != "":
		s.failChunk()
	case c.last:
		s.finish()
	default:
		s.Out = strconv.AppendInt(append(s.Out, "250 OK, "...), c.length, 10)
		s.Out = append(append(s.Out, textReceived...), "\r\n"...)
	}
}

// failChunk answers a chunk that is refused. A message whose chunk was is over, and those that follow have no recipients (RFC
// 3030 §2).
func (s *Session) failChunk() {
	c := &s.content
	switch text := c.failure; {
	case !c.chunked:
		s.content = content{}
		s.refuse(text)
	case c.last:
		s.sayAll(text)
		s.forget()
	default:
		s.say(text)
		s.forget()
	}
}
