package smtp

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parsePath takes a path, with or without its brackets, and what follows it (RFC 5321 §4.1.2). A source route is left out.
func parsePath(arg []byte) (address string, rest []byte, ok bool) {
	arg = bytes.TrimLeft(arg, " ")
	bracket := len(arg) > 0 && arg[0] == '<'
	end, quoted := -1, false
	for i := 0; i < len(arg) && end < 0; i++ {
		switch c := arg[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case bracket && c == '>':
			end = i
		case !bracket && c == ' ':
			end = i
		case c == ' ' || c == '<' && i > 0:
			return "", nil, false
		}
	}
	if end < 0 && !bracket && !quoted {
		end = len(arg)
	}
	if end < 0 {
		return "", nil, false
	}
	path := arg[:end]
	rest = arg[end:]
	if bracket {
		path, rest = path[1:], rest[1:]
		if len(rest) > 0 && rest[0] != ' ' {
			return "", nil, false
		}
	} else if len(path) == 0 {
		return "", nil, false
	}
	if len(path) > 0 && path[0] == '@' { // "@one,@two:user@example.org"
		_, after, found := bytes.Cut(path, []byte(":"))
		if path = after; !found {
			return "", nil, false
		}
	}
	return string(path), rest, isAddress(path)
}

// isAddress says whether a mailbox is well-formed, as far as it matters here: "" and "postmaster" are, too.
func isAddress(path []byte) bool {
	if len(path) > maxPath {
		return false
	}
	for _, c := range path {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	at := bytes.LastIndexByte(path, '@')
	return len(path) == 0 || at != 0 && at != len(path)-1
}

// parseMail acts on what follows MAIL.
func (s *Session) parseMail(arg []byte) Event {
	wrong := s.syntax(MAIL)
	if len(arg) < 5 || !equalFold(arg[:5], "FROM:") {
		return s.refuse(wrong)
	}
	address, rest, ok := parsePath(arg[5:])
	if !ok {
		return s.refuse("553 5.1.3 Error: malformed address")
	}
	s.mail = Mail{Address: address, Parameters: string(bytes.TrimSpace(rest))}
	seen := map[string]bool{}
	for _, p := range strings.Fields(s.mail.Parameters) {
		name, value, valued := strings.Cut(p, "=")
		name = strings.ToUpper(name)
		if !s.extended || seen[name] || valued && value == "" {
			return s.refuse(wrong)
		}
		seen[name] = true
		if text := s.mail.set(name, value, s.settings); text != "" {
			return s.refuse(text)
		}
	}
	if !s.acceptable(address) {
		return s.refuse("553 5.6.7 Error: an address that is not ASCII needs SMTPUTF8")
	}
	return s.ask(Event{Verb: MAIL, Arg: arg, Mail: &s.mail})
}

// syntax is the refusal of a command that is not well-formed.
func (s *Session) syntax(v Verb) string {
	text := "501 Syntax: " + verbs(v).syntax
	if s.extended {
		text += verbs(v).more
	}
	return text
}

// acceptable says whether the characters of an address are allowed.
func (s *Session) acceptable(address string) bool {
	return isASCII([]byte(address)) || s.mail.UTF8 && utf8.ValidString(address)
}

// set takes a parameter of MAIL; it returns what is wrong with it.
func (m *Mail) set(name, value string, set *Settings) string {
	switch name {
	case "SIZE":
		size, err := strconv.ParseInt(value, 10, 64)
		if err != nil || size < 0 {
			return "501 Error: SIZE must be a number of octets"
		}
		if m.Size = size; set.MaxSize > 0 && size > set.MaxSize {
			return "552 5.3.4 Error: message size exceeds fixed maximum message size"
		}
	case "BODY":
		body := map[string]Body{"7BIT": Body7Bit, "8BITMIME": Body8Bit, "BINARYMIME": BodyBinary}
		kind, ok := body[strings.ToUpper(value)]
		if m.Body = kind; !ok {
			return "501 Error: BODY can only be one of 7BIT, 8BITMIME, BINARYMIME"
		}
	case "SMTPUTF8":
		if m.UTF8 = true; value != "" {
			return "501 Error: SMTPUTF8 takes no arguments"
		}
	case "RET":
		switch strings.ToUpper(value) {
		case "FULL":
			m.Return = ReturnFull
		case "HDRS":
			m.Return = ReturnHeaders
		default:
			return "501 Error: RET can only be one of FULL, HDRS"
		}
	case "ENVID":
		if m.EnvelopeID = value; len(value) > maxEnvID || !isXtext(value) {
			return "501 Error: ENVID must be xtext of at most 100 characters"
		}
	case "AUTH":
		if m.Auth = value; !isXtext(value) {
			return "501 Error: AUTH must be xtext"
		}
	default:
		return "555 MAIL FROM parameters not recognized or not implemented"
	}
	return ""
}

// parseRecipient acts on what follows RCPT.
func (s *Session) parseRecipient(arg []byte) Event {
	wrong := s.syntax(RCPT)
	if len(arg) < 3 || !equalFold(arg[:3], "TO:") {
		return s.refuse(wrong)
	}
	address, rest, ok := parsePath(arg[3:])
	switch {
	case !ok:
		return s.refuse("553 5.1.3 Error: malformed address")
	case address == "":
		return s.refuse(wrong)
	case len(s.envelope.Recipients) >= s.settings.maxRecipients():
		return s.refuse("452 4.5.3 Too many recipients")
	}
	s.recipient = Recipient{Address: address, Parameters: string(bytes.TrimSpace(rest))}
	seen := map[string]bool{}
	for _, p := range strings.Fields(s.recipient.Parameters) {
		name, value, _ := strings.Cut(p, "=")
		name = strings.ToUpper(name)
		if !s.extended || seen[name] {
			return s.refuse(wrong)
		}
		seen[name] = true
		if text := s.recipient.set(name, value); text != "" {
			return s.refuse(text)
		}
	}
	s.mail.UTF8 = s.envelope.Mail.UTF8
	if !s.acceptable(address) {
		return s.refuse("553 5.6.7 Error: an address that is not ASCII needs SMTPUTF8")
	}
	return s.ask(Event{Verb: RCPT, Arg: arg, Recipient: &s.recipient})
}

// set takes a parameter of RCPT; it returns what is wrong with it.
func (r *Recipient) set(name, value string) string {
	switch name {
	case "NOTIFY":
		known := map[string]Notify{"NEVER": NotifyNever, "SUCCESS": NotifySuccess, "FAILURE": NotifyFailure, "DELAY": NotifyDelay}
		for word := range strings.SplitSeq(strings.ToUpper(value), ",") {
			if known[word] == 0 {
				return "501 Error: NOTIFY must be NEVER, or a list of SUCCESS, FAILURE, DELAY"
			}
			r.Notify |= known[word]
		}
		if r.Notify&NotifyNever != 0 && r.Notify != NotifyNever {
			return "501 Error: NOTIFY=NEVER stands alone"
		}
	case "ORCPT":
		kind, address, ok := strings.Cut(value, ";")
		if r.Original = value; !ok || kind == "" || len(value) > maxORcpt || !isXtext(address) {
			return "501 Error: ORCPT must be a type, a semicolon and xtext"
		}
	default:
		return "555 RCPT TO parameters not recognized or not implemented"
	}
	return ""
}

// isXtext says whether a text is xtext (RFC 3461 §4).
func isXtext(text string) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+':
			if i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2]) {
				return false
			}
			i += 2
		case c <= ' ' || c >= 0x7f || c == '=':
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return isDigit(c) || 'A' <= c && c <= 'F' }
