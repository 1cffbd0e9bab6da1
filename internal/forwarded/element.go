package forwarded

import (
	"strings"

	"github.com/awaitd/awaitd/internal/exchange"
)

// element is what matters of one forwarded-element (RFC 7239 §4):
//
//	[ name "=" ( token | quoted-string ) ] *( ";" [ … ] )
//
// Two things that the RFC does not allow are often sent, and have only one reading: white space around ";", and the characters
// of addresses and ports, ":", "[" and "]", without quotes.
type element struct {
	node, proto, host parameter
}

// parameter is one forwarded-pair. The zero value is one that is not there.
type parameter struct {
	name    exchange.Span
	value   exchange.Span // without quotes
	escaped bool          // value has backslashes in it
}

// parseElement reads an element. One with a parameter twice is malformed (RFC 7239 §4).
func parseElement(buf []byte, s exchange.Span) (element, bool) {
	var e element
	for at := s.Start; ; at++ {
		at = skipSpace(buf, at, s.End)
		if at < s.End && buf[at] != ';' {
			p, end, ok := parseParameter(buf, at, s.End)
			if !ok || !e.keep(buf, p) {
				return element{}, false
			}
			at = skipSpace(buf, end, s.End)
		}
		if at == s.End {
			return e, true
		}
		if buf[at] != ';' {
			return element{}, false
		}
	}
}

// keep takes in a parameter, if it is of use. It reports false for one that was there before.
func (e *element) keep(buf []byte, p parameter) bool {
	var place *parameter
	switch name := p.name.Of(buf); {
	case isFold(name, "for"):
		place = &e.node
	case isFold(name, "proto"):
		place = &e.proto
	case isFold(name, "host"):
		place = &e.host
	default:
		return true
	}
	if place.name.Len() != 0 {
		return false
	}
	*place = p
	return true
}

// parseParameter reads name=value from at on, and returns where it ends.
func parseParameter(buf []byte, at, end uint32) (p parameter, next uint32, ok bool) {
	p.name = exchange.Span{Start: at, End: at}
	for at < end && isToken(buf[at]) {
		at++
	}
	p.name.End = at
	if p.name.Len() == 0 || at == end || buf[at] != '=' {
		return p, at, false
	}
	at++
	if at < end && buf[at] == '"' {
		return p.quoted(buf, at+1, end)
	}
	p.value.Start = at
	for at < end && (isToken(buf[at]) || buf[at] == ':' || buf[at] == '[' || buf[at] == ']') {
		at++
	}
	p.value.End = at
	return p, at, p.value.Len() > 0
}

// quoted reads a quoted-string (RFC 9110 §5.6.4) from behind its opening quote.
func (p parameter) quoted(buf []byte, at, end uint32) (parameter, uint32, bool) {
	p.value.Start = at
	for at < end {
		switch buf[at] {
		case '"':
			p.value.End = at
			return p, at + 1, true
		case '\\':
			p.escaped = true
			at++
		}
		at++
	}
	return p, end, false
}

// text returns the value as it is meant. Only one with backslashes, which no proxy has a reason to send, is copied.
func (p parameter) text(buf []byte) []byte {
	value := p.value.Of(buf)
	if !p.escaped {
		return value
	}
	plain := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' {
			i++ // quoted has seen that something follows
		}
		plain = append(plain, value[i])
	}
	return plain
}

// isToken tells whether c is a tchar (RFC 9110 §5.6.2).
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) < 0
}
