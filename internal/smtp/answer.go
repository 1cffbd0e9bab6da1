package smtp

import (
	"errors"
	"strings"
)

// Default answers a Command, or the End of a message, as the engine would.
func (s *Session) Default() {
	kind, v := s.asked, s.verb
	s.asked = 0
	if kind == End {
		for range s.answers() {
			s.say("250 OK")
		}
		s.endMessage()
		return
	}
	if kind != Command {
		return
	}
	switch v {
	case HELO:
		s.say("250 " + s.settings.Hostname)
	case EHLO, LHLO:
		for _, line := range s.Lines() {
			s.say(line)
		}
	case MAIL, RCPT, RSET, NOOP:
		s.say("250 OK")
	case DATA:
		s.say("354 End data with <CR><LF>.<CR><LF>")
	case VRFY:
		s.say("252 Cannot VRFY user, but will accept message and attempt delivery")
	case EXPN:
		s.say("502 EXPN not implemented")
	case HELP:
		s.say("250 Supported commands: AUTH BDAT DATA EHLO HELO HELP MAIL NOOP QUIT RCPT RSET STARTTLS VRFY")
	case STARTTLS:
		s.say("220 Ready to start TLS")
	case QUIT:
		s.say("221 Bye")
	}
	s.settle(v, true)
}

// answers is how many replies a message gets (RFC 2033 §4.2).
func (s *Session) answers() int {
	if s.settings.LMTP {
		return len(s.envelope.Recipients)
	}
	return 1
}

// settle does what the answer to a command has decided.
func (s *Session) settle(v Verb, accepted bool) {
	switch v {
	case RSET:
		s.resetTransaction()
	case QUIT:
		s.phase = over
	case HELO, EHLO, LHLO:
		if s.resetTransaction(); accepted {
			s.helo, s.extended = s.name, v != HELO
		}
	case MAIL:
		if accepted {
			s.envelope.Begun, s.envelope.Mail = true, s.mail
		}
	case RCPT:
		if accepted {
			s.envelope.Recipients = append(s.envelope.Recipients, s.recipient)
		}
	case DATA:
		if accepted {
			s.phase = message
			s.content = content{begun: true, start: true}
		}
	}
}

// endMessage ends the transaction: its message is taken, or refused.
func (s *Session) endMessage() {
	s.phase = commands
	s.resetTransaction()
}

// Errors of Reply: the client has been told 451.
var (
	errCode = errors.New("a reply begins with a code from 200 to 599, and a space or a hyphen")
	errText = errors.New("a reply has a character that must not be in it, or is too long")
)

const unusable = "451 4.3.0 Requested action aborted: local error in processing"

// Reply answers a Command, or the End of a message, as an application has it: "250 OK", or several lines, "250-one" and "250 two", in
// one text or several. At the End of a message in LMTP, as many texts as there are recipients are one for each. What is no reply
// becomes 451, and is returned as an error.
func (s *Session) Reply(texts ...string) error {
	kind, v := s.asked, s.verb
	if kind != Command && kind != End {
		return nil
	}
	s.asked = 0
	each := kind == End && s.settings.LMTP && len(texts) == len(s.envelope.Recipients)
	var err error
	accepted := false
	start := len(s.Out)
	switch {
	case each:
		for _, text := range texts {
			_, wrong := s.add(text)
			err = errors.Join(err, wrong)
		}
	default:
		accepted, err = s.add(texts...)
		one := string(s.Out[start:])
		for n := 1; kind == End && n < s.answers(); n++ {
			s.Out = append(s.Out, one...)
		}
	}
	if kind == End {
		s.endMessage()
	} else {
		s.settle(v, accepted)
	}
	return err
}

// add writes a reply of several lines, and says whether it is a good one.
func (s *Session) add(texts ...string) (accepted bool, err error) {
	var lines []string
	size := 0
	for _, text := range texts {
		lines = append(lines, strings.Split(strings.TrimRight(text, "\r\n"), "\r\n")...)
		size += len(text)
	}
	if err = checkReply(lines); err == nil && size > maxReply {
		err = errText
	}
	if err != nil {
		s.say(unusable)
		return false, err
	}
	code := lines[0][:3]
	for i, line := range lines {
		mark := "-"
		if i == len(lines)-1 {
			mark = " "
		}
		s.say(code + mark + line[min(4, len(line)):])
	}
	return code[0] == '2', nil
}

// checkReply says what is wrong with the lines of a reply.
func checkReply(lines []string) error {
	if len(lines) == 0 {
		return errCode
	}
	for _, line := range lines {
		switch {
		case len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) || line[:3] != lines[0][:3]:
			return errCode
		case len(line) > 3 && line[3] != ' ' && line[3] != '-':
			return errCode
		case len(line) > maxReplyOne:
			return errText
		}
		for _, c := range []byte(line) {
			if c < ' ' && c != '\t' || c == 0x7f {
				return errText
			}
		}
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isASCII(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// printable is the beginning of what a client has sent, fit to be sent back.
func printable(b []byte, most int) string {
	out := make([]byte, 0, most)
	for _, c := range b[:min(len(b), most)] {
		if c < ' ' || c >= 0x7f {
			c = '?'
		}
		out = append(out, c)
	}
	return string(out)
}
