package websocket

import "strings"

// isToken tells whether s is a token (RFC 9110 §5.6.2).
func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		if !isTokenChar(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

func isTokenChar(c byte) bool {
	return c-'0' < 10 || c|0x20-'a' < 26 || c < 0x7f && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isValue tells whether b can be the value of a field (RFC 9110 §5.5).
func isValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isFold tells whether b is word, which is in lower case, in any case.
func isFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// trim takes the optional white space off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// element takes the first element off a comma-separated list of tokens.
func element(list []byte) (first, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}

// lists tells whether a comma-separated list has a word, which is in lower case.
func lists(list []byte, word string) bool {
	for len(list) > 0 {
		var e []byte
		if e, list = element(list); isFold(e, word) {
			return true
		}
	}
	return false
}
