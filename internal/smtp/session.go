package smtp

import (
	"bytes"
	"strconv"
)

// phase is what the next bytes are.
type phase uint8

const (
	commands  phase = iota
	challenge       // the client's answer to one
	message         // behind DATA
	chunk           // behind BDAT
	over
)

// Session is one connection. Make it with Reset.
type Session struct {
	// Out is what has to be sent to the client. The owner empties it.
	Out []byte

	settings      *Settings
	phase         phase
	asked         Kind // what has to be answered: Command, Credentials, End; or 0
	verb          Verb // of the Command
	helo          string
	extended      bool
	secure        bool
	authenticated bool
	skipping      int // bytes of a line that is too long
	errors        int
	mail          Mail      // that is being decided about
	recipient     Recipient // likewise
	name          string    // likewise, of HELO, EHLO, LHLO
	envelope      Envelope
	content       content
	auth          auth
}

// Reset begins a session with a new client: the greeting is in Out.
func (s *Session) Reset(settings *Settings) {
	*s = Session{Out: s.Out[:0], settings: settings}
	text := "220 " + settings.Hostname
	if settings.Greeting != "" {
		text += " " + settings.Greeting
	}
	s.say(text)
}

// Secured tells that the connection is safe from now on: what was said before counts no more (RFC 3207 §4.2).
func (s *Session) Secured() {
	*s = Session{Out: s.Out, settings: s.settings, secure: true}
}

// Close ends the session from the server's side, with 421 and a reason (RFC 5321 §3.8).
func (s *Session) Close(reason string) {
	s.say("421 " + s.settings.Hostname + " " + reason)
	s.phase, s.asked = over, 0
}

// Helo is what the client calls itself, and whether by EHLO or LHLO.
func (s *Session) Helo() (name string, extended bool) { return s.helo, s.extended }

// Envelope is the transaction as far as it has come.
func (s *Session) Envelope() *Envelope { return &s.envelope }

// Asks says whether this is what has to be answered: Command, Credentials or End.
func (s *Session) Asks(kind Kind) bool { return s.asked == kind }

// Receiving says whether a message has begun that is not whole.
func (s *Session) Receiving() bool { return s.phase == message || s.content.begun }

// Next takes what it can of the bytes that have come, and says what they are. What it has not taken comes again, with more behind it if
// it is Starved.
func (s *Session) Next(in []byte) (n int, ev Event) {
	for {
		switch {
		case s.phase == over:
			return n, Event{Kind: Over}
		case s.asked != 0:
			return n, Event{Kind: Waiting}
		case len(s.Out) > maxOut:
			return n, Event{Kind: Full}
		}
		var took int
		before := s.phase
		switch before {
		case message:
			took, ev = s.readMessage(in[n:])
		case chunk:
			took, ev = s.readChunk(in[n:])
		default:
			took, ev = s.readLine(in[n:])
		}
		n += took
		if ev.Kind != Starved || took == 0 && s.phase == before {
			return n, ev
		}
	}
}

// readLine takes a command, or the answer to a challenge. Starved with bytes taken: go on.
func (s *Session) readLine(in []byte) (int, Event) {
	most := s.settings.maxLine()
	if s.phase == challenge || len(in) >= 4 && equalFold(in[:4], "AUTH") {
		most = max(most, maxAuthLine)
	}
	end := bytes.IndexByte(in[:min(len(in), most)], '\n')
	if end < 0 {
		if len(in) < most && s.skipping == 0 {
			return 0, Event{}
		}
		return s.skip(in)
	}
	line := in[:end]
	if s.skipping > 0 {
		s.skipping = 0
		s.refuse("500 Command line too long")
		return end + 1, Event{}
	}
	if end == 0 || line[end-1] != '\r' || bytes.IndexByte(line[:end-1], '\r') >= 0 {
		return end + 1, s.end("500 5.5.2 Error: lines end with CR LF", "a CR or an LF that stands alone")
	}
	line = line[:end-1]
	if s.phase == challenge {
		return end + 1, s.answerChallenge(line)
	}
	return end + 1, s.command(line)
}

// skip takes what has come of a line that is too long.
func (s *Session) skip(in []byte) (int, Event) {
	n := len(in)
	if end := bytes.IndexByte(in, '\n'); end >= 0 {
		if s.skipping += end + 1; end == 0 {
			s.skipping = 0
			s.refuse("500 Command line too long")
			return 1, Event{}
		}
		n = end
	} else {
		s.skipping += n
	}
	if s.skipping > maxSkip {
		return n, s.end("500 Command line too long", "a line without an end")
	}
	return n, Event{}
}

// command acts on a line.
func (s *Session) command(line []byte) Event {
	name, arg, _ := bytes.Cut(line, []byte(" "))
	arg = bytes.TrimSpace(arg)
	if isHTTP(name) {
		return s.end("500 Error: this is a mail server", "a browser's request")
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return s.refuse("500 Error: bad syntax")
	}
	v := parseVerb(name)
	switch {
	case len(line) == 0:
		return s.refuse("500 Error: bad syntax")
	case v == 0:
		return s.refuse("500 Error: command \"" + printable(name, maxEcho) + "\" not recognized")
	}
	if v == BDAT {
		return s.parseChunk(arg)
	}
	if text := s.order(v, arg); text != "" {
		return s.refuse(text)
	}
	switch v {
	case HELO, EHLO, LHLO:
		return s.greet(v, arg)
	case MAIL:
		return s.parseMail(arg)
	case RCPT:
		return s.parseRecipient(arg)
	case AUTH:
		return s.beginAuth(arg)
	case VRFY:
		address, _, ok := parsePath(arg)
		if !ok {
			return s.refuse("502 Could not VRFY " + printable(arg, maxEcho))
		}
		return s.ask(Event{Verb: v, Arg: arg, Address: address})
	}
	return s.ask(Event{Verb: v, Arg: arg})
}

// order says what is wrong with a command at this point; "" if nothing is.
func (s *Session) order(v Verb, arg []byte) string {
	set := s.settings
	mails := v == MAIL || v == RCPT || v == DATA || v == BDAT
	switch {
	case (v == EHLO || v == HELO) && set.LMTP:
		return "500 Error: this is LMTP, send LHLO"
	case v == LHLO && !set.LMTP:
		return "500 Error: command \"LHLO\" not recognized"
	case v == STARTTLS && (!set.TLS || s.secure):
		return "454 TLS not available"
	case set.RequireTLS && !s.secure && (mails || v == AUTH || v == VRFY):
		return "530 5.7.0 Must issue a STARTTLS command first"
	case (mails || v == AUTH) && s.helo == "":
		return "503 Error: send " + s.hello() + " first"
	case v != BDAT && mails && s.content.begun:
		return "503 Error: BDAT has begun"
	case (mails || v == VRFY) && set.AuthRequired && !s.authenticated:
		return "530 5.7.0 Authentication required"
	case v == MAIL && s.envelope.Begun:
		return "503 Error: nested MAIL command"
	case v == RCPT && !s.envelope.Begun:
		return "503 Error: need MAIL command"
	case (v == DATA || v == BDAT) && len(s.envelope.Recipients) == 0:
		return "503 Error: need RCPT command"
	case v == DATA && s.envelope.Mail.Body == BodyBinary:
		return "503 Error: BODY=BINARYMIME needs BDAT"
	case (v == HELO || v == EHLO || v == LHLO || v == VRFY) && len(arg) == 0:
		return "501 Syntax: " + verbs(v).syntax
	case (v == DATA || v == RSET || v == QUIT || v == STARTTLS) && len(arg) > 0:
		return "501 Syntax: " + verbs(v).syntax
	}
	return ""
}

func (s *Session) hello() string {
	if s.settings.LMTP {
		return "LHLO"
	}
	return "HELO"
}

func (s *Session) greet(v Verb, arg []byte) Event {
	if !isASCII(arg) || len(arg) > maxPath {
		return s.refuse("501 Syntax: " + verbs(v).syntax)
	}
	s.name = string(arg)
	return s.ask(Event{Verb: v, Arg: arg})
}

// ask has a command answered by the owner.
func (s *Session) ask(ev Event) Event {
	ev.Kind, s.asked, s.verb = Command, Command, ev.Verb
	return ev
}

// Lines are the lines of the engine's own answer to EHLO or LHLO.
func (s *Session) Lines() []string {
	set := s.settings
	lines := []string{"250-" + set.Hostname}
	if set.MaxSize > 0 {
		lines = append(lines, "250-SIZE "+strconv.FormatInt(set.MaxSize, 10))
	}
	lines = append(lines, "250-8BITMIME", "250-SMTPUTF8", "250-PIPELINING", "250-CHUNKING", "250-BINARYMIME", "250-DSN")
	if set.TLS && !s.secure {
		lines = append(lines, "250-STARTTLS")
	}
	if len(set.Mechanisms) > 0 && (s.secure || !set.AuthRequireTLS) {
		text := "250-AUTH"
		for _, m := range set.Mechanisms {
			text += " " + m
		}
		lines = append(lines, text)
	}
	return append(lines, "250 HELP")
}

// say adds a reply.
func (s *Session) say(text string) { s.Out = append(append(s.Out, text...), "\r\n"...) }

// refuse answers what is wrong; too much of it ends the session.
func (s *Session) refuse(text string) Event {
	if s.errors++; s.settings.MaxErrors > 0 && s.errors >= s.settings.MaxErrors {
		return s.end("421 4.7.0 Too many errors", "too many errors")
	}
	s.say(text)
	return Event{}
}

// end ends the session.
func (s *Session) end(text, reason string) Event {
	s.say(text)
	s.phase, s.asked = over, 0
	return Event{Kind: Over, Reason: reason}
}

// resetTransaction forgets the message that was begun.
func (s *Session) resetTransaction() {
	s.envelope = Envelope{}
	s.content = content{}
}
