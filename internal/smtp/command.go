package smtp

import "bytes"

// command takes a command line: it refuses it, or asks.
func (s *Session) command(in []byte) (n int, ev Event) {
	line, n := s.line(in)
	if n == 0 {
		return 0, Event{}
	}
	word, rest, _ := bytes.Cut(line, []byte{' '})
	ev = Event{Kind: Command, Verb: parseVerb(word), Arg: bytes.Trim(rest, " \t")}
	switch {
	case ev.Verb == BDAT && !printable(line):
		s.measure(nil)
	case len(line) == 0 || !printable(line):
		s.refuse(textBadSyntax)
	case isHTTP(word):
		s.say(textHTTP)
		s.end("HTTP")
	case ev.Verb == 0 || !s.knows(ev.Verb):
		s.unknown(word)
	case s.settings.RequireTLS && !s.Secure && !beforeTLS(ev.Verb):
		s.refuseWith(ev, textTLSFirst)
	case ev.Verb == BDAT:
		return n, s.bdat(ev)
	default:
		switch text := s.judge(&ev); {
		case text != "" && isWrong(text):
			s.refuse(text)
			return n, Event{}
		case text != "":
			s.say(text)
			return n, Event{}
		}
		if s.content.chunked && s.abandons(ev.Verb) {
			s.forget()
			return 0, Event{Kind: Discard, Reason: "left by " + ev.Verb.String()}
		}
		s.ask(ev.Verb)
		return n, ev
	}
	return n, Event{}
}

// isWrong tells a reply to a mistake from one to bad luck: a recipient too many, a message too large, an address that is none.
func isWrong(text string) bool {
	return text[0] == '5' && (text[1] != '5' || text[2] == '5')
}

// refuseWith refuses a command that is followed by a chunk if it is BDAT.
func (s *Session) refuseWith(ev Event, text string) {
	if ev.Verb == BDAT {
		s.bdatRefused(ev.Arg, text)
		return
	}
	s.refuse(text)
}

// ask has somebody decide about a command.
func (s *Session) ask(v Verb) { s.wait, s.asked = Command, v }

// abandons tells whether a command ends a message that comes by BDAT (RFC 3030 §2).
func (s *Session) abandons(v Verb) bool {
	switch v {
	case RSET, EHLO, HELO, LHLO, STARTTLS, QUIT:
		return true
	}
	return false
}

// knows tells whether a verb is one of this server's: RFC 2033 §4.1 has LHLO instead of HELO and EHLO.
func (s *Session) knows(v Verb) bool {
	switch v {
	case HELO, EHLO:
		return !s.settings.LMTP
	case LHLO:
		return s.settings.LMTP
	case AUTH:
		return len(s.settings.Mechanisms) > 0
	}
	return true
}

// offers tells whether HELP names a verb.
func (s *Session) offers(v Verb) bool {
	return s.knows(v) && (v != STARTTLS || s.settings.TLS)
}

// beforeTLS tells whether a command may come before STARTTLS where it is required (RFC 3207 §4).
func beforeTLS(v Verb) bool {
	switch v {
	case EHLO, LHLO, NOOP, STARTTLS, QUIT:
		return true
	}
	return false
}

// unknown refuses what is no command.
func (s *Session) unknown(word []byte) {
	if len(word) == 0 || len(word) > maxEcho || !ascii(word) {
		s.refuse(textBadSyntax)
		return
	}
	if s.tooMany() {
		return
	}
	s.Out = append(s.Out, `500 Error: command "`...)
	for _, c := range word {
		s.Out = append(s.Out, upper(c))
	}
	s.Out = append(s.Out, "\" not recognized\r\n"...)
}

// judge checks whether a command may come now, and its syntax. It returns the reply to one that is refused.
func (s *Session) judge(ev *Event) string {
	switch ev.Verb {
	case HELO, EHLO, LHLO:
		if len(ev.Arg) == 0 || !ascii(ev.Arg) {
			return s.syntax(ev.Verb)
		}
		s.greeting = string(ev.Arg)
	case MAIL:
		ev.Mail = &s.mail
		return s.judgeMail(ev.Arg)
	case RCPT:
		ev.Recipient = &s.rcpt
		return s.judgeRcpt(ev.Arg)
	case DATA:
		return s.judgeData(ev.Arg)
	case RSET, QUIT:
		if len(ev.Arg) > 0 {
			return s.syntax(ev.Verb)
		}
	case VRFY:
		return s.judgeVerify(ev)
	case EXPN, HELP:
		if s.needsAuth() {
			return textAuthFirst
		}
		s.help = parseVerb(ev.Arg)
		s.unhelped = len(ev.Arg) > 0 && (s.help == 0 || !s.offers(s.help))
	case AUTH:
		return s.judgeAuth(ev.Arg)
	case STARTTLS:
		return s.judgeTLS(ev.Arg)
	}
	return ""
}

// syntax is the reply to a command whose argument is wrong.
func (s *Session) syntax(v Verb) string {
	switch v {
	case HELO:
		return "501 Syntax: HELO hostname"
	case EHLO:
		return "501 Syntax: EHLO hostname"
	case LHLO:
		return "501 Syntax: LHLO hostname"
	case MAIL:
		if s.Extended {
			return "501 Syntax: MAIL FROM: <address>" + parameters
		}
		return "501 Syntax: MAIL FROM: <address>"
	case RCPT:
		if s.Extended {
			return "501 Syntax: RCPT TO: <address>" + parameters
		}
		return "501 Syntax: RCPT TO: <address>"
	}
	return "501 Syntax: " + verbs[v].syntax
}

func (s *Session) needsAuth() bool { return s.settings.AuthRequired && !s.Authenticated }

// early is the reply to a command that mail needs and that comes before what it needs itself; "" if it may come.
func (s *Session) early() string {
	switch {
	case s.Name == "" && s.settings.LMTP:
		return textLhloFirst
	case s.Name == "":
		return textHeloFirst
	case s.needsAuth():
		return textAuthFirst
	}
	return ""
}

func (s *Session) judgeMail(arg []byte) string {
	if text := s.early(); text != "" {
		return text
	}
	address, rest, text := s.path(MAIL, arg, "FROM:")
	switch {
	case text != "":
		return text
	case s.Begun:
		return textNested
	case rest != "" && !s.Extended:
		return textMailUnknown
	}
	s.mail = Mail{Address: address, Parameters: rest}
	if text := s.mail.parse(rest, len(s.settings.Mechanisms) > 0); text != "" {
		return text
	}
	switch {
	case !s.mail.UTF8 && !ascii(s.mail.Address):
		return textNotUTF8
	case s.settings.MaxSize > 0 && s.mail.Size > s.settings.MaxSize:
		return textSizeOver
	}
	return ""
}

func (s *Session) judgeRcpt(arg []byte) string {
	if text := s.early(); text != "" {
		return text
	}
	switch {
	case !s.Begun:
		return textNeedMail
	case s.content.chunked:
		return textInChunks
	}
	address, rest, text := s.path(RCPT, arg, "TO:")
	switch {
	case text != "":
		return text
	case address == "":
		return s.syntax(RCPT)
	case rest != "" && !s.Extended:
		return textRcptUnknown
	}
	s.rcpt = Recipient{Address: address, Parameters: rest}
	if text := s.rcpt.parse(rest, s.Mail.UTF8); text != "" {
		return text
	}
	switch {
	case !s.Mail.UTF8 && !ascii(address):
		return textNotUTF8
	case len(s.Recipients) >= s.settings.maxRecipients():
		return textManyRecipients
	}
	return ""
}

func (s *Session) judgeData(arg []byte) string {
	if text := s.early(); text != "" {
		return text
	}
	switch {
	case len(s.Recipients) == 0:
		return textNeedRcpt
	case s.content.chunked:
		return textInChunks
	case s.Mail.Body == BodyBinary:
		return textBinaryData // RFC 3030 §3
	case len(arg) > 0:
		return s.syntax(DATA)
	}
	return ""
}

// judgeVerify takes an address, or a name that is none: RFC 5321 §3.5.1 leaves both to the server.
func (s *Session) judgeVerify(ev *Event) string {
	if s.needsAuth() {
		return textAuthFirst
	}
	if len(ev.Arg) == 0 {
		return s.syntax(VRFY)
	}
	address, rest, text := parsePath(string(ev.Arg))
	if text != "" || address == "" || rest != "" && !equalFold(rest, "SMTPUTF8") {
		return textNoVerify
	}
	ev.Address = address
	return ""
}

func (s *Session) judgeTLS(arg []byte) string {
	switch {
	case len(arg) > 0:
		return s.syntax(STARTTLS)
	case s.Secure:
		return textTLSAlready
	case !s.settings.TLS:
		return textNoTLS
	}
	return ""
}

// printable tells whether a line has no control characters, but for tabs.
func printable(line []byte) bool {
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func ascii[T string | []byte](b T) bool {
	for i := range len(b) {
		if b[i] >= 0x80 {
			return false
		}
	}
	return true
}
