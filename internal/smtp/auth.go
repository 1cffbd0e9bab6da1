package smtp

import (
	"bytes"
	"encoding/base64"
)

// auth is an AUTH exchange (RFC 4954 §4). Mechanisms are few and short: PLAIN has one response, LOGIN two, and the first of
// them may come with the command.
type auth struct {
	mechanism string
	initial   []byte // the initial response, encoded
	login     []byte // of LOGIN, once it has come
	named     bool   // it has
}

func (s *Session) judgeAuth(arg []byte) string {
	switch {
	case s.Name == "" && s.settings.LMTP:
		return textLhloFirst
	case s.Name == "":
		return textEhloFirst
	case !s.Extended:
		return textAuthNotNow
	case s.settings.AuthRequireTLS && !s.Secure:
		return textAuthTLS
	case s.Authenticated:
		return textAuthAlready
	case s.Begun:
		return textAuthInMail
	case len(arg) == 0:
		return textAuthNoValue
	}
	mechanism, initial, _ := bytes.Cut(arg, []byte{' '})
	initial = bytes.TrimLeft(initial, " ")
	if bytes.IndexByte(initial, ' ') >= 0 {
		return textAuthValues
	}
	for _, m := range s.settings.Mechanisms {
		if equalFold(mechanism, m) && (m == Plain || m == Login) {
			s.auth = auth{mechanism: m, initial: bytes.Clone(initial)}
			return ""
		}
	}
	return textAuthMechanism
}

// beginAuth goes on with the mechanism that was asked for.
func (s *Session) beginAuth() {
	s.phase = inAuth
	switch {
	case len(s.auth.initial) > 0:
		return // step finds it
	case s.auth.mechanism == Plain:
		s.say(textAskIdentity)
	default:
		s.say(textAskUser)
	}
}

// response takes a response, from the command or from a line of its own.
func (s *Session) response(in []byte) (n int, ev Event) {
	encoded := s.auth.initial
	s.auth.initial = nil
	if len(encoded) == 0 {
		line, m := s.line(in)
		if m == 0 {
			return 0, Event{}
		}
		n, encoded = m, bytes.Trim(line, " \t")
		if string(encoded) == "*" {
			s.endAuth(textAuthCancelled)
			return n, Event{}
		}
	} else if string(encoded) == "=" { // an initial response of no bytes
		encoded = nil
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	size, err := base64.StdEncoding.Decode(decoded, encoded)
	if err != nil {
		s.endAuth(textAuthBase64)
		return n, Event{}
	}
	return n, s.takeResponse(decoded[:size])
}

// takeResponse goes on with a response.
func (s *Session) takeResponse(p []byte) Event {
	ev := Event{Kind: Credentials, Mechanism: s.auth.mechanism}
	switch {
	case ev.Mechanism == Plain:
		var rest []byte
		var ok bool
		ev.Identity, rest, _ = bytes.Cut(p, []byte{0})
		ev.Login, ev.Password, ok = bytes.Cut(rest, []byte{0})
		if !ok || bytes.IndexByte(ev.Password, 0) >= 0 {
			s.endAuth(textAuthSplit)
			return Event{}
		}
	case !s.auth.named:
		s.auth.login, s.auth.named = p, true
		s.say(textAskPassword)
		return Event{}
	default:
		ev.Login, ev.Password = s.auth.login, p
	}
	s.phase, s.wait = inCommand, Credentials
	return ev
}

// endAuth refuses an exchange.
func (s *Session) endAuth(text string) {
	s.phase, s.auth = inCommand, auth{}
	s.refuse(text)
}

// Authenticate answers Credentials. text is a reply whose code says the same as ok, 2xx or else 4xx or 5xx; without one the
// engine has its own. A reply that can't be sent is an error for the log, and the client is not authenticated.
func (s *Session) Authenticate(ok bool, text []byte) error {
	if s.wait != Credentials {
		return nil
	}
	s.wait, s.auth = 0, auth{}
	if len(text) == 0 {
		if s.Authenticated = ok; ok {
			s.say(textAuthOK)
		} else {
			s.refuse(textAuthFailed)
		}
		return nil
	}
	code, err := checkReply(text)
	if err == nil && (code < 300) != ok || code/100 == 3 {
		err = ErrReplyCode
	}
	if err != nil {
		s.refuse(textAuthUnclear)
		return err
	}
	if s.Authenticated = ok; !ok && s.tooMany() {
		return nil
	}
	s.pass(text)
	if code == 421 {
		s.end("421 to AUTH")
	}
	return nil
}
