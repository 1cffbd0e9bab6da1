package websocket

import (
	"slices"
	"strings"
	"testing"
)

func TestReaderTakesFramesApart(t *testing.T) {
	long := strings.Repeat("0123456789", 7000)
	for name, c := range map[string]struct {
		in   [][]byte
		want []string
	}{
		"text and binary": {
			[][]byte{frame(0x81, "Hello"), frame(0x82, "\xff\x00"), frame(0x81, "")},
			[]string{`1 "Hello"`, `2 "\xff\x00"`, `1 ""`},
		},
		"fragments with a ping between them": {
			[][]byte{frame(0x01, "Hel"), frame(0x89, "p"), frame(0x00, ""), frame(0x80, "lo")},
			[]string{`ping 0 "p"`, `1 "Hello"`},
		},
		"a long message":               {[][]byte{frame(0x82, long)}, []string{`2 "` + long + `"`}},
		"a character over two parts":   {[][]byte{frame(0x01, "\xe2\x82"), frame(0x80, "\xac")}, []string{`1 "€"`}},
		"a close, and more behind it":  {[][]byte{frame(0x88, "\x03\xe8bye"), frame(0x81, "x")}, []string{`closed 1000 "bye"`}},
		"a close without a code":       {[][]byte{frame(0x88, "")}, []string{`closed 1005 ""`}},
		"compressed":                   {[][]byte{frame(0xc1, packed(long))}, []string{`1 "` + long + `"`}},
		"compressed, in fragments":     {[][]byte{frame(0x41, packed(long)[:5]), frame(0x8a, ""), frame(0x80, packed(long)[5:])}, []string{`pong 0 ""`, `1 "` + long + `"`}},
		"an empty compressed message":  {[][]byte{frame(0xc1, "\x00"), frame(0xc1, "")}, []string{`1 ""`, `1 ""`}},
		"both in turn":                 {[][]byte{frame(0xc1, packed("a")), frame(0x81, "b"), frame(0xc2, packed("c"))}, []string{`1 "a"`, `1 "b"`, `2 "c"`}},
		"a last block":                 {[][]byte{frame(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")}, []string{`1 "Hello"`}},
		"two last blocks":              {[][]byte{frame(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00")}, []string{`1 "HelloHello"`}},
		"compressed, but text":         {[][]byte{frame(0xc1, packed("\xff"))}, []string{`1007 invalid UTF-8 in a text message`}},
		"compressed, but not deflate":  {[][]byte{frame(0xc1, "\xff\xff")}, []string{`1007 invalid compressed data`}},
		"a block that is cut off":      {[][]byte{frame(0xc2, packed(long)[:20])}, []string{`1007 invalid compressed data`}},
		"compressed continuation":      {[][]byte{frame(0x41, packed("a")), frame(0xc0, "")}, []string{`1002 reserved bit set`}},
		"a character without its end":  {[][]byte{frame(0x81, "a\xe2\x82")}, []string{`1007 invalid UTF-8 in a text message`}},
		"a reserved bit in the header": {[][]byte{{0xa1}, {0x80}}, []string{`1002 reserved bit set`}},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEngine(Settings{MaxSize: 1 << 20, Deflate: true})
			in := slices.Concat(c.in...)
			for _, piece := range []int{len(in), 1, 2, 7, 1000} {
				for _, credit := range []int{1 << 20, 1, 100} {
					if got := outcome(t, e, fresh, in, piece, credit); !slices.Equal(got, c.want) {
						t.Fatalf("in pieces of %d with credit %d: %.200q", piece, credit, got)
					}
				}
			}
		})
	}
}
