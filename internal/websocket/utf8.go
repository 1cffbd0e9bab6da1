package websocket

import "unicode/utf8"

// text checks that a row of parts is UTF-8 (RFC 6455 §8.1, RFC 3629). A part may end inside a character; what can't become one is
// known at once.
type text struct {
	begun  [utf8.UTFMax - 1]byte // the first bytes of a character that is not all there
	length uint8                 // of them
}

// add tells whether p, behind what came before it, may still become valid.
func (t *text) add(p []byte) bool {
	if t.length > 0 {
		n, ok := t.complete(p)
		if !ok || t.length > 0 {
			return ok
		}
		p = p[n:]
	}
	whole := len(p) - unfinished(p)
	t.length = uint8(copy(t.begun[:], p[whole:]))
	return utf8.Valid(p[:whole])
}

// complete goes on with the character that was begun, with n bytes of p. If they are too few, t.length stays above 0.
func (t *text) complete(p []byte) (n int, ok bool) {
	var c [utf8.UTFMax]byte
	length := copy(c[:], t.begun[:t.length])
	for n < len(p) {
		c[length] = p[n]
		n, length = n+1, length+1
		if utf8.FullRune(c[:length]) { // or no rune at all
			t.length = 0
			_, size := utf8.DecodeRune(c[:length])
			return n, size == length
		}
	}
	t.length = uint8(copy(t.begun[:], c[:length]))
	return n, true
}

// unfinished is the number of bytes at the end of p that begin a character, without its end.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if c := p[len(p)-n]; utf8.RuneStart(c) {
			if utf8.FullRune(p[len(p)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// whole tells whether no character is without its end.
func (t *text) whole() bool { return t.length == 0 }
