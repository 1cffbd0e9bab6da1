package smtp

import (
	"bytes"
	"encoding/base64"
)

// auth is an AUTH that goes on (RFC 4954 §4).
type auth struct {
	mechanism string
	login     []byte
	hasLogin  bool
}

// The challenges of LOGIN, as everybody sends them.
const (
	askUser     = "334 VXNlciBOYW1lAA==" // "User Name", NUL
	askPassword = "334 UGFzc3dvcmQA"     // "Password", NUL
)

const badBase64 = "501 5.5.2 Can't decode base64"

// beginAuth acts on AUTH.
func (s *Session) beginAuth(arg []byte) Event {
	set := s.settings
	mechanism, initial, more := bytes.Cut(arg, []byte(" "))
	switch {
	case !s.extended || len(set.Mechanisms) == 0:
		return s.refuse("502 5.5.1 Error: command \"AUTH\" not available")
	case set.AuthRequireTLS && !s.secure:
		return s.refuse("538 5.7.11 Encryption required for requested authentication mechanism")
	case s.authenticated:
		return s.refuse("503 Already authenticated")
	case s.envelope.Begun:
		return s.refuse("503 5.5.1 Error: AUTH in the middle of a mail")
	case len(arg) == 0:
		return s.refuse("501 Not enough value")
	case bytes.IndexByte(initial, ' ') >= 0:
		return s.refuse("501 Too many values")
	}
	s.auth = auth{}
	for _, m := range set.Mechanisms {
		if equalFold(mechanism, m) {
			s.auth.mechanism = m
		}
	}
	if s.auth.mechanism == "" {
		return s.refuse("504 5.5.4 Unrecognized authentication type")
	}
	if more {
		if string(initial) == "=" { // an initial response of nothing
			initial = nil
		}
		return s.authLine(initial)
	}
	if s.phase = challenge; s.auth.mechanism == Plain {
		s.say("334 ")
	} else {
		s.say(askUser)
	}
	return Event{}
}

// answerChallenge acts on the answer to a challenge.
func (s *Session) answerChallenge(line []byte) Event {
	s.phase = commands
	if string(line) == "*" {
		return s.refuse("501 5.7.0 Auth aborted")
	}
	return s.authLine(line)
}

// authLine takes a part of the credentials.
func (s *Session) authLine(text []byte) Event {
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if data = data[:n]; err != nil {
		return s.refuse(badBase64)
	}
	ev := Event{Kind: Credentials, Mechanism: s.auth.mechanism}
	switch {
	case s.auth.mechanism == Plain:
		parts := bytes.Split(data, []byte{0})
		if len(parts) != 3 {
			return s.refuse("501 5.5.2 Can't split auth value")
		}
		ev.Identity, ev.Login, ev.Password = parts[0], parts[1], parts[2]
	case !s.auth.hasLogin:
		s.auth.login, s.auth.hasLogin = data, true
		s.phase = challenge
		s.say(askPassword)
		return Event{}
	default:
		ev.Login, ev.Password = s.auth.login, data
	}
	s.auth = auth{}
	s.asked = Credentials
	return ev
}

// Authenticate answers Credentials. The reply may be empty; one whose code says otherwise than ok is not used.
func (s *Session) Authenticate(ok bool, reply string) {
	if s.asked != Credentials {
		return
	}
	s.asked = 0
	s.authenticated = ok
	start := len(s.Out)
	if reply != "" {
		if accepted, err := s.add(reply); err == nil && accepted == ok {
			return
		}
		s.Out = s.Out[:start]
	}
	if ok {
		s.say("235 2.7.0 Authentication successful")
	} else {
		s.refuse("535 5.7.8 Authentication credentials invalid")
	}
}
