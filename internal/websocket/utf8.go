package websocket

import "unicode/utf8"

// validator checks UTF-8 that comes in parts. An error shows with the byte that makes it one.
type validator struct {
	carry [utf8.UTFMax]byte // the begin of a character
	n     uint8
}

// write checks the next part.
func (v *validator) write(p []byte) bool {
	for v.n > 0 && len(p) > 0 {
		v.carry[v.n] = p[0]
		v.n++
		p = p[1:]
		if c := v.carry[:v.n]; utf8.FullRune(c) {
			if !utf8.Valid(c) {
				return false
			}
			v.n = 0
		}
	}
	whole := p[:len(p)-cutOff(p)]
	v.n += uint8(copy(v.carry[v.n:], p[len(whole):]))
	return utf8.Valid(whole)
}

// cutOff is how many bytes at the end of p begin a character that goes on behind it.
func cutOff(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if c := p[len(p)-n:]; utf8.RuneStart(c[0]) {
			if utf8.FullRune(c) {
				return 0
			}
			return n
		}
	}
	return 0
}

// end reports whether the text is complete, and makes v ready for another.
func (v *validator) end() bool {
	whole := v.n == 0
	v.n = 0
	return whole
}
