package smtp

import (
	"bytes"
	"strconv"
)

// content is how far a message has come.
type content struct {
	begun  bool
	start  bool // of a line
	passed bool // the owner has had some of it
	wrong  string
	early  bool // wrong because of what came before
	told   bool // the owner knows that nothing will come of it
	line   int  // bytes of the line so far
	size   int64
	left   int64 // of a chunk
	last   bool  // chunk
	cr     bool  // the last byte of a chunk was a CR
}

// What is wrong with a message, as the client is told behind its end.
const (
	wrongEnding = "550 5.6.0 Error: a CR or an LF stands alone in the message; lines end with CR LF"
	tooMuch     = "552 5.3.4 Error: Too much mail data"
	tooLong     = "500 5.6.0 Line too long (see RFC5321 4.5.3.1.6)"
)

// readMessage takes what has come of a message behind DATA (RFC 5321 §4.5.2). Only CR LF "." CR LF is its end.
func (s *Session) readMessage(in []byte) (int, Event) {
	c := &s.content
	p := 0
	for p < len(in) {
		if c.start && in[p] == '.' {
			if rest := in[p:]; len(rest) < 3 && bytes.HasPrefix([]byte(".\r\n"), rest) {
				break // it may be the end
			} else if bytes.HasPrefix(rest, []byte(".\r\n")) {
				if p > 0 {
					break // what is before it first
				}
				return 3, s.wholeMessage()
			}
			if p > 0 {
				break
			}
			c.start = false // a dot that was added on the way
			c.line = 0
			n, ev := s.readMessage(in[1:])
			return n + 1, ev
		}
		n := s.readText(in[p:])
		if p += n; n == 0 {
			break // a CR whose LF is to come
		}
	}
	return p, s.pass(in[:p])
}

// readText takes a line, or what has come of it: all but a CR at its end.
func (s *Session) readText(in []byte) int {
	c := &s.content
	end := bytes.IndexByte(in, '\n') + 1
	text, ended := in[:max(end-1, 0)], end > 0
	if !ended {
		if text, end = in, len(in); in[end-1] == '\r' {
			text, end = in[:end-1], end-1
		}
	} else if len(text) > 0 && text[len(text)-1] == '\r' {
		text = text[:len(text)-1]
	} else {
		s.spoil(wrongEnding)
	}
	if bytes.IndexByte(text, '\r') >= 0 {
		s.spoil(wrongEnding)
	}
	if c.line += len(text); c.line > maxText {
		s.spoil(tooLong)
	}
	if ended {
		c.line = 0
	}
	if end > 0 {
		c.start = ended && end > 1 && in[end-2] == '\r'
	}
	return end
}

// spoil notes that a message must not be taken; the first reason counts.
func (s *Session) spoil(why string) {
	if s.content.wrong == "" {
		s.content.wrong = why
	}
}

// pass gives a piece of a message to the owner, unless nothing will come of it.
func (s *Session) pass(data []byte) Event {
	c := &s.content
	c.size += int64(len(data))
	if most := s.settings.MaxSize; most > 0 && c.size > most {
		s.spoil(tooMuch)
		if c.size > 2*most+swallow {
			return s.end(tooMuch, "a message that is much too large")
		}
	}
	switch {
	case c.wrong == "" && len(data) > 0:
		c.passed = true
		return Event{Kind: Content, Data: data}
	case c.wrong != "" && c.passed && !c.told:
		c.told = true
		return Event{Kind: Discard, Reason: c.wrong}
	}
	return Event{}
}

// wholeMessage is what comes of a message that has come to its end.
func (s *Session) wholeMessage() Event {
	if why := s.content.wrong; why != "" {
		for range s.answers() {
			s.say(why)
		}
		s.endMessage()
		return Event{}
	}
	s.phase, s.asked = commands, End
	return Event{Kind: End}
}

// parseChunk begins a chunk (RFC 3030 §2). What can't be counted has no end.
func (s *Session) parseChunk(arg []byte) Event {
	digits, rest, more := bytes.Cut(arg, []byte(" "))
	size, err := strconv.ParseUint(string(digits), 10, 62)
	last := more && equalFold(bytes.TrimSpace(rest), "LAST")
	if err != nil || more && !last {
		return s.end("501 Syntax: "+verbs(BDAT).syntax, "a chunk of no known size")
	}
	c := &s.content
	if !c.begun {
		*c = content{begun: true}
	}
	if why := s.order(BDAT, nil); why != "" {
		s.spoil(why)
		c.early = true
	}
	c.left, c.last = int64(size), last
	s.phase = chunk
	return s.endChunk()
}

// readChunk takes what has come of a chunk.
func (s *Session) readChunk(in []byte) (int, Event) {
	c := &s.content
	data := in[:min(int64(len(in)), c.left)]
	c.left -= int64(len(data))
	if s.envelope.Mail.Body != BodyBinary {
		for _, b := range data {
			if c.cr != (b == '\n') {
				s.spoil(wrongEnding)
			}
			c.cr = b == '\r'
		}
	}
	if ev := s.pass(data); ev.Kind != Starved {
		return len(data), ev
	}
	return len(data), s.endChunk()
}

// endChunk answers a chunk that is whole.
func (s *Session) endChunk() Event {
	c := &s.content
	if c.left > 0 {
		return Event{}
	}
	if c.last {
		if c.cr {
			s.spoil(wrongEnding)
		}
		if !c.early {
			return s.wholeMessage()
		}
	}
	s.phase = commands
	if why := c.wrong; why != "" {
		if c.early {
			*c = content{}
		}
		return s.refuse(why)
	}
	s.say("250 2.0.0 chunk received")
	return Event{}
}
