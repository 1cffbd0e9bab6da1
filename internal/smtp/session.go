package smtp

import "bytes"

// phase is what the bytes that come next are.
type phase uint8

const (
	inCommand   phase = iota // a command line
	inExcess                 // the rest of a line that is too long
	inAuth                   // what answers a challenge
	inData                   // a message, up to CR LF "." CR LF
	inChunk                  // a chunk of BDAT, of known size
	inUpgrade                // nothing: STARTTLS is agreed to, 220 not yet said
	inHandshake              // nothing: the bytes are TLS's until Secured
	inOver                   // nothing
)

// Session is one client's SMTP or LMTP session:
//
//	inCommand ── STARTTLS ── inUpgrade ── StartTLS ── inHandshake ── Secured ── inCommand
//	   ├ too long ── inExcess ── inCommand
//	   ├ AUTH ── inAuth … ── Credentials ── inCommand
//	   ├ DATA, 354 ── inData: Content … ── End or Discard ── inCommand
//	   ├ BDAT ── inChunk: Content … ── inCommand … BDAT LAST ── inChunk: Content … ── End or Discard ── inCommand
//	   └ QUIT, 421, a line without a certain end ── inOver
//
// After DATA or the first BDAT was answered with consent exactly one of End, Discard and Over tells what became of the message.
type Session struct {
	// Out is what is to be sent to the client; the owner empties it.
	Out []byte
	// Envelope is the mail transaction. What follows is the session's state, too, to be read: the name the client has greeted
	// with, whether by EHLO or LHLO, whether over TLS, whether AUTH has succeeded.
	Envelope
	Name          string
	Extended      bool
	Secure        bool
	Authenticated bool

	settings *Settings
	phase    phase
	wait     Kind // Command, Credentials or End: to be answered
	due      Kind // End or Discard: what Next says next
	asked    Verb // while a Command waits
	reason   string
	mail     Mail      // what MAIL asks for
	rcpt     Recipient // what RCPT asks for
	greeting string    // what EHLO, HELO or LHLO says
	auth     auth
	content  content
	scanned  int  // octets of the line that comes that hold no LF
	skipped  int  // of a line that is too long
	returned bool // the last of them is a CR
	errors   int
	tooLong  string // the reply to it
	help     Verb   // what HELP asks about
	unhelped bool   // that is nothing this server knows
}

// Reset begins a session, over TLS from the start or not, with the greeting.
func (s *Session) Reset(settings *Settings, secure bool) {
	*s = Session{Out: s.Out[:0], settings: settings, Secure: secure}
	s.Out = append(s.Out, "220 "...)
	s.Out = append(s.Out, settings.Hostname...)
	if settings.Greeting != "" {
		s.Out = append(append(s.Out, ' '), settings.Greeting...)
	}
	s.Out = append(s.Out, "\r\n"...)
}

// Secured is called when the handshake that StartTLS has asked for is done: the session is at its start again, without a
// greeting (RFC 3207 §4.2). Errors still count.
func (s *Session) Secured() {
	if s.phase == inHandshake {
		*s = Session{Out: s.Out, settings: s.settings, Secure: true, errors: s.errors}
	}
}

// Close ends the session for a reason of the owner's: time, a shutdown. text is a reply with 421, "421 4.4.2 Timeout" (RFC 5321
// §3.8). Whatever waits for an answer gets this one.
func (s *Session) Close(text string) {
	if s.phase != inOver {
		s.say(text)
		s.end("closed by the server")
	}
}

// end ends the session.
func (s *Session) end(reason string) {
	s.phase, s.wait, s.due, s.reason = inOver, 0, 0, reason
	s.auth = auth{}
}

// Next looks at the bytes that have come and not been consumed, and tells what is first in them. The n bytes at their start are
// consumed; the others are to be given again, with more behind them. The owner has to have room for the longest line, MaxLine,
// or 12288 octets if AUTH is offered; pieces of messages are consumed as they come, and moved within in where dots are taken
// out.
//
// Call it again, with nothing if nothing is left, until it is Starved, Waiting or Full, or StartTLS or Over.
//
// Bytes that have come behind STARTTLS without waiting for its answer are never taken for anything: they end the session (a man
// in the middle could have put them there, to be read as if they had come by TLS, CVE-2011-0411). For that the owner gives Next
// all the bytes it has when STARTTLS is answered, and begins the handshake with those that come after StartTLS. Behind EHLO and
// AUTH, which should end a group of commands as well (RFC 2920 §3.1), there is nothing to be gained by that: what comes is
// taken after they are answered.
func (s *Session) Next(in []byte) (n int, ev Event) {
	for {
		switch {
		case s.phase == inOver:
			return len(in), Event{Kind: Over, Reason: s.reason}
		case s.wait != 0:
			return n, Event{Kind: Waiting}
		case s.due != 0:
			return n, s.takeDue()
		case len(s.Out) >= maxOut:
			return n, Event{Kind: Full}
		}
		before, given := s.phase, len(s.auth.initial) > 0
		m, ev := s.step(in[n:])
		n += m
		if ev.Kind != Starved || m == 0 && s.phase == before && s.due == 0 && !given {
			return n, ev
		}
	}
}

// step takes one thing. Where it consumes something, or changes the phase, and has no event, Next goes on.
func (s *Session) step(in []byte) (n int, ev Event) {
	switch s.phase {
	case inCommand:
		return s.command(in)
	case inExcess:
		return s.skip(in), Event{}
	case inAuth:
		return s.response(in)
	case inData:
		return s.data(in)
	case inChunk:
		return s.chunk(in)
	case inUpgrade:
		return s.upgrade(in)
	}
	if len(in) > 0 { // inHandshake: the owner's mistake, or plain text in place of it
		s.end("plain text in place of a TLS handshake")
	}
	return 0, Event{}
}

// takeDue is the event that could not be said with the content before it.
func (s *Session) takeDue() Event {
	ev := Event{Kind: s.due, Reason: s.reason}
	if s.due == End {
		ev.Reason = ""
		s.wait = End
	}
	s.due = 0
	return ev
}

// line takes a line that is whole; n is 0 if it is not, or has no right end.
func (s *Session) line(in []byte) (line []byte, n int) {
	limit := s.lineLimit(in)
	seen := min(len(in), limit)
	i := bytes.IndexByte(in[min(s.scanned, seen):seen], '\n')
	switch {
	case i < 0 && seen < limit:
		s.scanned = seen
		return nil, 0
	case i < 0 && s.phase == inCommand && in[4] == ' ' && parseVerb(in[:4]) == BDAT:
		s.measure(nil)
		return nil, 0
	case i < 0:
		s.scanned, s.skipped, s.returned = 0, 0, false
		s.tooLong = textLineTooLong
		if s.phase == inAuth {
			s.tooLong = textAuthTooLong
		}
		s.auth = auth{}
		s.phase = inExcess
		return nil, 0
	}
	i += s.scanned
	s.scanned = 0
	if cr := bytes.IndexByte(in[:i+1], '\r'); cr != i-1 || i == 0 {
		s.say(textLineEnd)
		s.end("a line with a bare CR or LF")
		return nil, 0
	}
	return in[:i-1], i + 1
}

func (s *Session) lineLimit(in []byte) int {
	limit := s.settings.maxLine()
	if s.phase == inAuth || len(in) > 4 && in[4] == ' ' && parseVerb(in[:4]) == AUTH {
		limit = max(limit, maxAuthLine)
	}
	return limit
}

// skip takes the rest of a line that is too long. It ends like any other.
func (s *Session) skip(in []byte) int {
	for i, c := range in {
		if s.skipped++; s.skipped > maxSkip {
			s.say(s.tooLong)
			s.end("a line without an end")
			return i + 1
		}
		switch {
		case s.returned != (c == '\n'):
			s.say(textLineEnd)
			s.end("a line with a bare CR or LF")
			return i + 1
		case c == '\n':
			s.phase, s.returned = inCommand, false
			s.refuse(s.tooLong)
			return i + 1
		}
		s.returned = c == '\r'
	}
	return len(in)
}

// upgrade says 220 to STARTTLS, if nothing has come behind it.
func (s *Session) upgrade(in []byte) (n int, ev Event) {
	if len(in) > 0 {
		s.say(textPipelined)
		s.end("commands behind STARTTLS")
		return 0, Event{}
	}
	s.say(textReadyForTLS)
	s.phase = inHandshake
	return 0, Event{Kind: StartTLS}
}

// refuse answers a command that is wrong.
func (s *Session) refuse(text string) {
	if s.tooMany() {
		return
	}
	s.say(text)
}

// tooMany counts what is wrong, and ends the session when it is enough.
func (s *Session) tooMany() bool {
	s.errors++
	if s.settings.MaxErrors == 0 || s.errors <= s.settings.MaxErrors {
		return false
	}
	s.say(textTooManyErrors)
	s.end("too many errors")
	return true
}

// say appends a reply.
func (s *Session) say(text string) {
	s.Out = append(append(s.Out, text...), "\r\n"...)
}

// forget ends the mail transaction.
func (s *Session) forget() {
	recipients := s.Recipients
	clear(recipients)
	if cap(recipients) > 16 {
		recipients = nil // an idle session holds no more than that
	}
	s.Envelope = Envelope{Recipients: recipients[:0]}
	s.content = content{}
}
