package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// FuzzReader: the same bytes have the same outcome, however they come and however much credit there is.
func FuzzReader(f *testing.F) {
	f.Add(slices.Concat(frame(0x01, "Hel"), frame(0x89, "p"), frame(0x80, "lo")), uint16(1), uint16(1), uint8(0))
	f.Add(slices.Concat(frame(0x41, packed(strings.Repeat("a", 5000))[:5]), frame(0x80, packed(strings.Repeat("a", 5000))[5:])), uint16(3), uint16(100), uint8(1))
	f.Add(slices.Concat(frame(0xc1, packed("κόσμε")), frame(0xc1, packed("κόσμε")), frame(0x88, "\x03\xe8bye")), uint16(2), uint16(7), uint8(2))
	f.Add(frame(0x82, strings.Repeat("b", 70000)), uint16(1000), uint16(50), uint8(3))
	f.Add(frame(0x81, "\xe2\x82"), uint16(1), uint16(1), uint8(0))
	f.Fuzz(func(t *testing.T, in []byte, piece, credit uint16, how uint8) {
		e := NewEngine(Settings{MaxSize: 1 << 16, Deflate: true, Takeover: true})
		d := [...]Deflate{plain, fresh, kept, {On: true, ClientTakeover: true, ServerBits: 15, ClientBits: 8}}[how%4]
		want := outcome(t, e, d, slices.Clone(in), len(in)+1, 1<<20)
		if got := outcome(t, e, d, slices.Clone(in), 1+int(piece), 1+int(credit)); !slices.Equal(finished(got), finished(want)) {
			t.Fatalf("in pieces of %d with credit %d: %.300q\nwhole: %.300q", 1+int(piece), 1+int(credit), got, want)
		}
	})
}

// finished leaves out what was passed on of a message that did not end, and which of two things was wrong with one: compressed data
// that is no UTF-8 first, and no deflate later, fails by what credit lets see first.
func finished(out []string) []string {
	if n := len(out) - 1; n >= 0 && strings.HasPrefix(out[n], "1007 invalid ") {
		out[n] = "1007"
	}
	return slices.DeleteFunc(out, func(s string) bool { return strings.HasPrefix(s, "begun") })
}

// FuzzRoundTrip: what a Writer frames, masked, a Reader gives back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello hello hello hello hello hello hello hello hello hello hello hello"), uint16(3), uint32(1), uint8(1))
	f.Add(bytes.Repeat([]byte("0123456789"), 7000), uint16(60000), uint32(0xdeadbeef), uint8(2))
	e := NewEngine(Settings{Deflate: true, Takeover: true}) // used again, as by the messages of a server
	f.Fuzz(func(t *testing.T, p []byte, cut uint16, key uint32, how uint8) {
		d := Deflate{On: how&1 != 0, ServerTakeover: how&2 != 0, ServerBits: 8 + how>>2&7}
		d.ClientTakeover, d.ClientBits = d.ServerTakeover, d.ServerBits // the Reader has the client's part
		var w Writer
		w.Reset(e, d)
		at := min(int(cut), len(p))
		out := w.Append(nil, p, exchange.Binary, false)
		out = w.Append(out, p[:at], exchange.Text, true)
		out = w.Append(out, p[at:], exchange.Text, true)
		out = w.Append(out, p, exchange.Text, false)
		var m Prepared
		m.Reset(e, p, exchange.Binary)
		out = append(out, w.Frame(&m)...)
		out = w.Append(out, p, exchange.Binary, false)
		whole := fmt.Sprintf("2 %q", p)
		want := []string{whole, fmt.Sprintf("1 %q", string(p)+string(p)), whole, whole}
		in := asClient(t, out, [4]byte(binary.BigEndian.AppendUint32(nil, key)))
		got := outcome(t, e, d, in, 1000, 1<<20)
		if !slices.Equal(got, want) && !(len(got) == 2 && got[1] == "1007 invalid UTF-8 in a text message") {
			t.Fatalf("%.300q\nof %.300q", got, want)
		}
	})
}

// FuzzInflate: what the engine inflates is what was compressed, and what it can't is a violation.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), []byte("abc"))
	f.Add([]byte(packed(strings.Repeat("abc", 100))), []byte(strings.Repeat("abcd", 1000)))
	e := NewEngine(Settings{MaxSize: 1 << 17, Deflate: true})
	f.Fuzz(func(t *testing.T, raw, payload []byte) {
		in := slices.Concat(frame(0xc2, packed(string(payload))), frame(0xc2, string(raw)), frame(0x81, "end"))
		got := outcome(t, e, fresh, in, len(in), 1<<20)
		if len(payload) <= 1<<17 && (len(got) < 2 || got[0] != fmt.Sprintf("2 %q", payload)) {
			t.Fatalf("%.300q", got)
		}
	})
}

// FuzzExtensions: what is agreed was offered, and the answer can be read as an offer that agrees to the same.
func FuzzExtensions(f *testing.F) {
	for _, s := range []string{"permessage-deflate; client_max_window_bits", `a;b="c\"", permessage-deflate; server_max_window_bits="9"`, ",,x"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, offer string, takeover bool) {
		g := negotiation{settings: Settings{Deflate: true, Takeover: takeover}}
		ok := g.read([]byte(offer))
		d := g.agreed
		if !d.On {
			return
		}
		if ok && !strings.Contains(strings.ToLower(offer), "permessage-deflate") || min(d.ServerBits, d.ClientBits) < minWindowBits || max(d.ServerBits, d.ClientBits) > maxWindowBits {
			t.Fatalf("%+v", d)
		}
		answer := d.AppendValue(nil)
		again := negotiation{settings: Settings{Deflate: true, Takeover: takeover}}
		if !again.read(answer) || again.agreed != d {
			t.Fatalf("%+v, then %q, then %+v", d, answer, again.agreed)
		}
	})
}
