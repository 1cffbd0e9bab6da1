package websocket

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// spec: websocket 2
func TestABombIsFoundOutBeforeAnyOfItIsPassedOn(t *testing.T) {
	const limit = 1 << 20
	e := NewEngine(Settings{MaxSize: limit, Deflate: true})
	for _, size := range []int{limit, limit + 1, 8 * limit} {
		var r Reader
		r.Reset(e, fresh)
		in := frame(0xc2, packed(string(make([]byte, size))))
		got, steps := 0, 0
		for done := false; !done; steps++ {
			n, ev, v := r.Next(in, 1<<30)
			in = in[n:]
			switch {
			case v == ErrTooLarge && size > limit && got == 0:
				done = true
			case v != nil || size > limit && ev.Kind == Part:
				t.Fatalf("%d bytes: %v, %d", size, v, ev.Kind)
			case ev.Kind == Part:
				got += len(ev.Payload)
				done = !ev.More
			}
			if len(ev.Payload) > maxOutput {
				t.Fatalf("%d bytes in one step", len(ev.Payload))
			}
		}
		if size <= limit && got != size || steps < limit/maxOutput {
			t.Errorf("%d bytes: %d in %d steps", size, got, steps)
		}
		if !r.Idle() && size <= limit {
			t.Error("something is under way")
		}
	}
}

func TestCountingNeedsNoCredit(t *testing.T) {
	e := NewEngine(Settings{MaxSize: 1 << 20, Deflate: true})
	var r Reader
	r.Reset(e, fresh)
	in := frame(0xc2, packed(string(make([]byte, 1<<20))))
	n, ev, v := r.Next(in, 1)
	for ; ev.Kind == Working && v == nil; _, ev, v = r.Next(in[n:], 0) {
	}
	if n != len(in) || ev.Kind != Blocked || v != nil {
		t.Errorf("%d of %d, %+v, %v", n, len(in), ev, v)
	}
	if _, ev, v = r.Next(nil, 10); ev.Kind != Part || len(ev.Payload) != 10 || !ev.More || v != nil {
		t.Errorf("%+v, %v", ev, v)
	}
}

// A client could have the server read megabytes that inflate to nothing; each step stays small all the same.
func TestBlocksThatHoldNothingAreNoWork(t *testing.T) {
	for name, c := range map[string]struct {
		block string
		times int
		want  *Violation
	}{
		"stored":            {"\x00\x00\x00\xff\xff", 1 << 18, ErrDeflate},
		"a few of them":     {"\x00\x00\x00\xff\xff", 1000, nil},
		"each is the last":  {"\x03\x00", 1 << 18, nil},
		"stored, and final": {"\x01\x00\x00\xff\xff", 1 << 18, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEngine(Settings{Deflate: true})
			var r Reader
			r.Reset(e, fresh)
			in := frame(0xc2, strings.Repeat(c.block, c.times)+packed("a"))
			for {
				before := 0
				if r.inflating {
					before = r.inflation.taken
				}
				n, ev, v := r.Next(in, 1<<20)
				in = in[n:]
				if r.inflating && r.inflation.taken-before > 2*maxInput {
					t.Fatalf("%d bytes in one step", r.inflation.taken-before)
				}
				if v != nil || ev.Kind == Part {
					if v != c.want || v == nil && (string(ev.Payload) != "a" || ev.More) {
						t.Fatalf("%+v, %v", ev, v)
					}
					return
				}
				if ev.Kind != Working {
					t.Fatalf("%+v", ev)
				}
			}
		})
	}
}

func TestALimitCountsAllFragments(t *testing.T) {
	e := NewEngine(Settings{MaxSize: 10, Deflate: true})
	tooLarge := []string{"1009 message too large"}
	for name, c := range map[string]struct {
		in   []byte
		want []string
	}{
		"at the limit":               {slices.Concat(frame(0x01, "12345"), frame(0x80, "67890"), frame(0x81, "1234567890")), []string{`1 "1234567890"`, `1 "1234567890"`}},
		"over it":                    {frame(0x81, "12345678901")[:6], tooLarge},
		"fragments over it":          {slices.Concat(frame(0x01, "12345"), frame(0x80, "678901")[:6]), tooLarge},
		"each message on its own":    {slices.Concat(frame(0x81, "12345"), frame(0x81, "678901")), []string{`1 "12345"`, `1 "678901"`}},
		"inflated":                   {frame(0xc1, packed(strings.Repeat("a", 11))), tooLarge},
		"compressed at the limit":    {frame(0xc1, packed(strings.Repeat("a", 10))), []string{`1 "aaaaaaaaaa"`}},
		"compressed, far too large":  {frame(0xc1, strings.Repeat("a", 1100))[:8], tooLarge},
		"noise, longer if it packed": {frame(0xc2, packed("\x8f\x01\xfe\x23\x99\xa7\x5c\xd0\x3b\x61")), []string{`2 "\x8f\x01\xfe#\x99\xa7\\\xd0;a"`}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{len(c.in), 1} {
				got := outcome(t, e, fresh, c.in, piece, 1<<20)
				if len(got) > 0 && strings.HasPrefix(got[0], "begun") || !slices.Equal(got, c.want) {
					t.Errorf("in pieces of %d: %q", piece, got)
				}
			}
		})
	}
}

func TestContextsAreKeptInBounds(t *testing.T) {
	e := NewEngine(Settings{Deflate: true, Takeover: true})
	for _, bits := range []uint8{8, 10, 15} {
		d := Deflate{On: true, ServerTakeover: true, ClientTakeover: true, ServerBits: bits, ClientBits: bits}
		c := newEcho(e, d)
		var h history
		for i := range 300 {
			p := bytes.Repeat([]byte{byte(i)}, 1+i*7)
			if rest, over := c.feed(frame(0xc2, packed(string(p))), 1<<20); len(rest) > 0 || over {
				t.Fatal(i, over)
			}
			h = append(h, p...)
		}
		window := h[len(h)-1<<bits:]
		if got := c.Reader.inflation.history; !bytes.Equal(got, window) || cap(got) > 1<<bits {
			t.Errorf("%d bits: %d bytes of %d were kept of what was received", bits, len(got), cap(got))
		}
		most := 1 << min(bits, sentBits)
		if got := c.context(); !bytes.HasSuffix(h, got) || cap(got) > most || len(got) == 0 {
			t.Errorf("%d bits: %d bytes of %d were kept of what was sent", bits, len(got), cap(got))
		}
	}
}

func TestAnEngineKeepsLittle(t *testing.T) {
	e := NewEngine(Settings{Deflate: true})
	large := frame(0x42, strings.Repeat("\x00", 1<<20))
	readers := make([]Reader, 100)
	for i := range readers {
		readers[i].Reset(e, fresh)
		if _, _, v := readers[i].Next(slices.Clone(large), 1); v != nil {
			t.Fatal(v)
		}
	}
	for i := range readers {
		readers[i].Release()
		if n, ev, v := readers[i].Next(frame(0x81, "a"), 1); n != 7 || ev.Kind != Starved || v != nil {
			t.Fatal("a reader works that was released")
		}
	}
	if len(e.inflations) > maxSpare || len(e.gathers) > maxSpare {
		t.Errorf("%d are kept", len(e.inflations))
	}
	for _, b := range e.gathers {
		if cap(b) > maxKept {
			t.Errorf("%d bytes are kept", cap(b))
		}
	}
}

func TestNothingButAMessageTakesCredit(t *testing.T) {
	e := NewEngine(Settings{})
	var r Reader
	r.Reset(e, plain)
	in := slices.Concat(frame(0x89, "p"), frame(0x81, "a"))
	n, ev, _ := r.Next(in, 0)
	if n != 7 || ev.Kind != Ping {
		t.Fatalf("%d, %+v", n, ev)
	}
	if n, ev, _ := r.Next(in[7:], 0); n != 0 || ev.Kind != Blocked {
		t.Errorf("%d, %+v", n, ev)
	}
	if _, ev, _ := r.Next(in[7:], 1); ev.Kind != Part || ev.Message != exchange.Text {
		t.Errorf("%+v", ev)
	}
	if n, ev, v := r.Next([]byte{0x83, 0x80}, 0); n != 0 || v != ErrOpcode {
		t.Errorf("%d, %+v, %v", n, ev, v)
	}
}

func TestAMessageThatFitsItsCreditIsOnePart(t *testing.T) {
	e := NewEngine(Settings{Deflate: true})
	for _, size := range []int{1, 100, 5000, maxOutput} {
		var r Reader
		r.Reset(e, fresh)
		if _, ev, v := r.Next(frame(0xc2, packed(strings.Repeat("a", size))), size); len(ev.Payload) != size || ev.More || v != nil {
			t.Errorf("%d bytes: %d, more: %v, %v", size, len(ev.Payload), ev.More, v)
		}
	}
}
