package http1

import (
	"encoding/binary"
	"math"
)

// The classes of octets that the grammar tells apart, as bits of class.
const (
	tokenChar  = 1 << iota // tchar, RFC 9110 §5.6.2
	valueChar              // field-vchar, SP and HTAB, RFC 9110 §5.5
	targetChar             // what a request target may hold: all but controls, space and "#"
	hostChar               // reg-name, RFC 3986 §3.2.2, and "%"
	hexChar                // HEXDIG
)

var class = classes()

func classes() (t [256]uint8) {
	for c := range t {
		if c >= 0x20 && c != 0x7f || c == '\t' {
			t[c] |= valueChar
		}
		if c > 0x20 && c != 0x7f && c != '#' {
			t[c] |= targetChar
		}
	}
	mark(&t, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", tokenChar|hostChar)
	mark(&t, "!#$%&'*+-.^_`|~", tokenChar)
	mark(&t, "-._~!$&'()*+,;=%", hostChar)
	mark(&t, "0123456789abcdefABCDEF", hexChar)
	return t
}

func mark(t *[256]uint8, chars string, bits uint8) {
	for i := range len(chars) {
		t[chars[i]] |= bits
	}
}

// Eight octets at once: ones has a 1 in each, tops the top bit of each.
const (
	ones = math.MaxUint64 / 0xff
	tops = ones * 0x80
)

// below is not zero if an octet of x is less than n (n ≤ 0x80).
func below(x uint64, n uint64) uint64 { return (x - ones*n) &^ x & tops }

// equal is not zero if an octet of x is c.
func equal(x uint64, c uint64) uint64 { return below(x^ones*c, 1) }

// ValidToken tells whether b is a token: a method, or the name of a field.
func ValidToken(b []byte) bool {
	for _, c := range b {
		if class[c]&tokenChar == 0 {
			return false
		}
	}
	return len(b) > 0
}

// ValidValue tells whether b holds only what a field value may: no control character but HTAB.
func ValidValue(b []byte) bool {
	if len(b) < 8 {
		return all(b, valueChar)
	}
	for i := 0; i < len(b)-8; i += 8 {
		if x := binary.LittleEndian.Uint64(b[i:]); below(x, 0x20)|equal(x, 0x7f) != 0 {
			return all(b[i:], valueChar)
		}
	}
	last := b[len(b)-8:]
	x := binary.LittleEndian.Uint64(last)
	return below(x, 0x20)|equal(x, 0x7f) == 0 || all(last, valueChar)
}

// validTarget tells whether b holds only what a request target may.
func validTarget(b []byte) bool {
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		if below(x, 0x21)|equal(x, 0x7f)|equal(x, '#') != 0 {
			return false
		}
		b = b[8:]
	}
	return all(b, targetChar)
}

func all(b []byte, bit uint8) bool {
	for _, c := range b {
		if class[c]&bit == 0 {
			return false
		}
	}
	return true
}

// isFold tells whether b is word, which is in lower case, in any case. It takes b for checked: on control characters and "@" to
// "_" it may err, so b is a token or a valid value and word has none of "`{|}~".
func isFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if c|0x20 != word[i] {
			return false
		}
	}
	return true
}

// AppendLower appends b to dst with A-Z in lower case; other octets stay as they are.
func AppendLower(dst, b []byte) []byte {
	for len(b) >= 8 {
		dst = binary.LittleEndian.AppendUint64(dst, lower8(binary.LittleEndian.Uint64(b)))
		b = b[8:]
	}
	for _, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// lower8 lowers eight octets: adding to the low seven bits carries into the top bit at "A" and again after "Z".
func lower8(x uint64) uint64 {
	low := x &^ tops
	upper := (low + ones*(0x80-'A')) &^ (low + ones*(0x80-'Z'-1)) &^ x & tops
	return x | upper>>2
}

// trim returns the bounds of b[start:end] without the optional white space around it.
func trim(b []byte, start, end int) (int, int) {
	for start < end && (b[start] == ' ' || b[start] == '\t') {
		start++
	}
	for end > start && (b[end-1] == ' ' || b[end-1] == '\t') {
		end--
	}
	return start, end
}
