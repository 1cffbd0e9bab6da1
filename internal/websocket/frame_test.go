package websocket

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unicode/utf8"
)

func TestUnmaskIsTheMaskOfEveryByte(t *testing.T) {
	key := [4]byte{1, 2, 4, 8}
	for length := range 100 {
		for offset := range 9 {
			b := make([]byte, offset+length)
			want := slices.Clone(b)
			for i := range length {
				want[offset+i] = key[i%4]
			}
			next := unmask(b[offset:], binary.LittleEndian.Uint32(key[:]))
			if !bytes.Equal(b, want) || byte(next) != key[length%4] {
				t.Fatalf("%d bytes at %d: % x, then % x", length, offset, b, next)
			}
		}
	}
}

func TestUTF8IsTheSameInAnyPieces(t *testing.T) {
	for _, s := range []string{
		"", "a", "é", "€", "😀", "aé€😀z", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf",
		"\xe2\x28\xa1", "\xe2\x82\x28", "\xf0\x28\x8c\xbc", "\xf0\x90\x28\xbc", "\xf0\x90\x8c\x28", "a\x80", "\xe0\x80\x80", "€\xe2",
	} {
		for i := 0; i <= len(s); i++ {
			for j := i; j <= len(s); j++ {
				var x text
				ok := x.add([]byte(s[:i])) && x.add([]byte(s[i:j])) && x.add([]byte(s[j:])) && x.whole()
				if ok != utf8.ValidString(s) {
					t.Fatalf("%q at %d and %d: %v", s, i, j, ok)
				}
			}
		}
	}
}

func TestUTF8FailsAtTheFirstByteThatIsWrong(t *testing.T) {
	for _, s := range []string{"\xf4\x90", "\xed\xa0", "\xe0\x80", "\xf0\x80", "\xc0", "\xf8", "\x80", "é\xe2\x82a"} {
		var x text
		for i := range len(s) {
			if ok := x.add([]byte{s[i]}); ok != (i < len(s)-1) {
				t.Errorf("%q: byte %d: %v", s, i, ok)
			}
		}
	}
}
