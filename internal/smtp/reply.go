package smtp

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"
)

// Errors of replies that are not the engine's own: the client gets 451 in their place.
var (
	ErrReplyCode  = errors.New("a reply needs a code of three digits that fits the command: 200 to 599, 354 to DATA alone")
	ErrReplyText  = errors.New("a reply's text is printable, and UTF-8")
	ErrReplyLines = errors.New("a reply's lines have one code, a hyphen behind it in all but the last, and CR LF between them")
	ErrReplyLong  = errors.New("a reply has at most 4096 octets, a line of it 512")
	ErrReplyCount = errors.New("there is one reply, or behind an LMTP message one for each recipient")
)

// checkReply checks a reply (RFC 5321 §4.2): it is one, whatever it holds, so that nobody who has a say in its text can send a
// second.
func checkReply(text []byte) (code int, err error) {
	if len(text) > maxReply {
		return 0, ErrReplyLong
	}
	for rest, more := text, true; more; {
		var line []byte
		line, rest, more = bytes.Cut(rest, []byte("\r\n"))
		n, err := checkLine(line, more)
		switch {
		case err != nil:
			return 0, err
		case code != 0 && n != code:
			return 0, ErrReplyLines
		}
		code = n
	}
	return code, nil
}

// checkLine checks one line of a reply.
func checkLine(line []byte, more bool) (code int, err error) {
	if len(line) > maxReplyOne {
		return 0, ErrReplyLong
	}
	if len(line) < 3 {
		return 0, ErrReplyCode
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, ErrReplyCode
		}
		code = code*10 + int(c-'0')
	}
	switch {
	case code < 200 || code > 599:
		return 0, ErrReplyCode
	case len(line) == 3 && more, len(line) > 3 && line[3] != ' ' && line[3] != '-', len(line) > 3 && (line[3] == '-') != more:
		return 0, ErrReplyLines
	case !printable(line) || !utf8.Valid(line):
		return 0, ErrReplyText
	}
	return code, nil
}

// pass appends a reply that was checked.
func (s *Session) pass(text []byte) {
	s.Out = append(append(s.Out, s.legible(text)...), "\r\n"...)
}

// legible is a reply as this client may get it: what is not ASCII only with a message for which it has asked for SMTPUTF8 (RFC
// 6531 §3.7.4).
func (s *Session) legible(text []byte) []byte {
	if ascii(text) || s.Mail.UTF8 || s.asked == MAIL && s.mail.UTF8 {
		return text
	}
	return bytes.Map(func(r rune) rune {
		if r >= 0x80 {
			return '?'
		}
		return r
	}, text)
}

// Reply answers a Command or the End of a message with somebody else's words: "250 OK", "550 5.7.1 No", or lines with CR LF
// between them. The code decides: 2xx adds the recipient, accepts the message, says yes to whatever was asked; 354 lets DATA
// begin, and 421 ends the session. To AUTH 2xx means that the client has proved who it is, without an exchange. To STARTTLS and
// BDAT the engine says yes in its own words, and later. RSET and QUIT do what they do, whatever the reply is.
//
// At the End of a message by LMTP there may be a reply for each recipient, in their order.
//
// A reply that can't be sent is an error for the log; the client gets 451.
func (s *Session) Reply(texts ...[]byte) error {
	switch {
	case s.wait == End:
		return s.replyEnd(texts)
	case s.wait != Command:
		return nil
	case len(texts) != 1:
		s.apply([]byte(textBadReply), 451)
		return ErrReplyCount
	}
	code, err := checkReply(texts[0])
	if err == nil && (code/100 == 3 || code < 300 && s.asked == DATA) && !(s.asked == DATA && code == 354) {
		err = ErrReplyCode
	}
	if err != nil {
		s.apply([]byte(textBadReply), 451)
		return err
	}
	s.apply(texts[0], code)
	return nil
}

// replyEnd answers a message.
func (s *Session) replyEnd(texts [][]byte) (err error) {
	count, over := s.count(), false
	wrong := len(texts) != 1 && len(texts) != count
	if wrong {
		err = ErrReplyCount
	}
	for i := range count {
		if wrong {
			s.say(textBadReply)
			continue
		}
		text := texts[min(i, len(texts)-1)]
		code, bad := checkReply(text)
		if bad == nil && code/100 == 3 {
			bad = ErrReplyCode
		}
		if bad != nil {
			err = bad
			s.say(textBadReply)
			continue
		}
		s.pass(text)
		over = over || code == 421
	}
	s.wait, s.phase = 0, inCommand
	s.forget()
	if over {
		s.end("421 to a message")
	}
	return err
}

// count is how many replies a message gets (RFC 2033 §4.2).
func (s *Session) count() int {
	if s.settings.LMTP {
		return max(len(s.Recipients), 1)
	}
	return 1
}

// Default answers a Command or the End of a message as a server does that has no reason not to.
func (s *Session) Default() {
	switch {
	case s.wait == End:
		var text [len(textOK)]byte
		_ = s.replyEnd([][]byte{append(text[:0], textOK...)})
	case s.wait == Command && s.asked == AUTH:
		s.wait, s.asked = 0, 0
		s.beginAuth()
	case s.wait == Command:
		start := len(s.Out)
		s.Out = s.AppendDefault(s.Out)
		text := s.Out[start:]
		code := 250
		if len(text) > 0 {
			code = int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0')
			s.Out = append(s.Out, "\r\n"...)
		}
		s.change(code)
	}
}

// AppendDefault appends what Default says to the Command that waits, CR LF between its lines: for an application that wants to
// see the answer to EHLO before it gives its own. There is none to BDAT, STARTTLS and AUTH yet.
func (s *Session) AppendDefault(dst []byte) []byte {
	switch s.asked {
	case EHLO, LHLO:
		return s.appendExtensions(dst)
	case HELO:
		return append(append(dst, "250 "...), s.settings.Hostname...)
	case DATA:
		return append(dst, textStartData...)
	case VRFY:
		return append(dst, textVerify...)
	case EXPN:
		return append(dst, textNoExpand...)
	case HELP:
		return s.appendHelp(dst)
	case QUIT:
		return append(dst, textBye...)
	case BDAT, STARTTLS, AUTH:
		return dst
	}
	return append(dst, textOK...)
}

// appendHelp appends the answer to HELP, with aiosmtpd's codes: RFC 5321 §4.3.2 would rather have 214.
func (s *Session) appendHelp(dst []byte) []byte {
	switch {
	case s.unhelped:
		dst = append(dst, "501 Supported commands:"...)
	case s.help == 0:
		dst = append(dst, "250 Supported commands:"...)
	default:
		dst = append(append(dst, "250 Syntax: "...), verbs[s.help].syntax...)
		if s.Extended {
			dst = append(dst, verbs[s.help].more...)
		}
		return dst
	}
	for v := HELO; v <= QUIT; v++ {
		if s.offers(v) {
			dst = append(append(dst, ' '), verbs[v].name...)
		}
	}
	return dst
}

// appendExtensions appends the answer to EHLO: a line for each extension (RFC 5321 §4.1.1.1).
func (s *Session) appendExtensions(dst []byte) []byte {
	c := s.settings
	dst = append(append(dst, "250-"...), c.Hostname...)
	dst = append(dst, "\r\n250-SIZE"...)
	if c.MaxSize > 0 {
		dst = strconv.AppendInt(append(dst, ' '), c.MaxSize, 10)
	}
	dst = append(dst, "\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DSN"...)
	if c.TLS && !s.Secure {
		dst = append(dst, "\r\n250-STARTTLS"...)
	}
	if len(c.Mechanisms) > 0 && (!c.AuthRequireTLS || s.Secure) {
		dst = append(dst, "\r\n250-AUTH"...)
		for _, m := range c.Mechanisms {
			dst = append(append(dst, ' '), m...)
		}
	}
	return append(dst, "\r\n250 HELP"...)
}

// apply answers the Command that waits.
func (s *Session) apply(text []byte, code int) {
	yes := code < 300
	switch {
	case s.asked == AUTH && !yes && s.tooMany():
		return
	case s.asked == BDAT && !yes && code != 421:
		s.content.failure = string(s.legible(text)) // said behind the chunk
	case yes && (s.asked == BDAT || s.asked == STARTTLS):
	default:
		s.pass(text)
	}
	s.change(code)
}

// change does what the Command that waits was about, by the code of its answer.
func (s *Session) change(code int) {
	verb, yes := s.asked, code < 300
	s.wait, s.asked = 0, 0
	switch verb {
	case HELO, EHLO, LHLO:
		if yes {
			s.forget()
			s.Name, s.Extended = s.greeting, verb != HELO
		}
	case MAIL:
		if yes {
			s.Begun, s.Mail = true, s.mail
		}
	case RCPT:
		if yes {
			s.Recipients = append(s.Recipients, s.rcpt)
		}
	case DATA:
		if code == 354 {
			s.content = content{open: true}
			s.phase = inData
		}
	case BDAT:
		s.beginChunks(yes)
	case RSET:
		s.forget()
	case AUTH:
		s.auth = auth{}
		s.Authenticated = yes
	case STARTTLS:
		if yes {
			s.phase = inUpgrade
		}
	case QUIT:
		s.end("QUIT")
	}
	if code == 421 && s.phase != inOver {
		s.end("421 to " + verb.String())
	}
}
