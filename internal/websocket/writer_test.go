package websocket

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// asClient makes frames of a server into frames of a client, so that a Reader can look at them.
func asClient(t testing.TB, frames []byte, key [4]byte) (out []byte) {
	t.Helper()
	for len(frames) > 0 {
		if frames[1]&maskBit != 0 {
			t.Fatal("a masked frame")
		}
		h, n, v := parseHeader(append([]byte{frames[0], frames[1]}, append(slices.Clone(frames[2:min(len(frames), 10)]), 0, 0, 0, 0)...))
		if v != nil || n == 0 {
			t.Fatalf("% x: %v", frames[:2], v)
		}
		n -= keySize
		end := n + int(h.length)
		out = append(out, masked(frames[0], frames[n:end], key)...)
		frames = frames[end:]
	}
	return out
}

func TestWriterIsReadAgain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 70000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	texts := []string{"", "a", strings.Repeat("b", 63), strings.Repeat("c", 64), strings.Repeat("d", 125), strings.Repeat("e", 126), strings.Repeat("f", 65535), strings.Repeat("g", 65536), string(noise)}
	for i := range 50 {
		texts = append(texts, fmt.Sprintf(`{"event":"tick","number":%d,"value":%d,"text":"%x"}`, i, random.Uint32(), noise[:i]))
	}
	for name, d := range map[string]Deflate{"plain": plain, "fresh": fresh, "kept": kept, "narrow": narrow} {
		t.Run(name, func(t *testing.T) {
			e := NewEngine(Settings{Deflate: true, Takeover: true})
			var w Writer
			w.Reset(e, d)
			var out []byte
			var want []string
			for i, text := range texts {
				cut := len(text) / 3
				switch i % 3 {
				case 0:
					out = w.Append(out, []byte(text), exchange.Binary, false)
				case 1:
					out = w.Append(out, []byte(text[:cut]), exchange.Binary, true)
					out = w.Append(out, []byte(text[cut:]), exchange.Binary, false)
				case 2:
					var m Prepared
					m.Reset(e, []byte(text), exchange.Binary)
					out = append(out, w.Frame(&m)...)
				}
				want = append(want, fmt.Sprintf("2 %q", text))
			}
			if got := outcome(t, e, d, asClient(t, out, someKey), 1<<20, 1<<20); !slices.Equal(got, want) {
				t.Fatalf("%.300q", got)
			}
		})
	}
}

// spec: websocket 2
func TestAContextIsUsedAndKeptInStep(t *testing.T) {
	e := NewEngine(Settings{Deflate: true, Takeover: true})
	var w Writer
	w.Reset(e, kept)
	one := []byte(`{"event":"greeting","from":"the first of the messages","number":1234567890,"more":"nothing at all"}`)
	two := []byte(strings.Repeat("something else, which is said again. ", 20))
	first := w.Append(nil, one, exchange.Text, false)
	again := w.Append(nil, one, exchange.Text, false)
	if len(again) > len(first)/3 {
		t.Errorf("%d bytes, then %d", len(first), len(again))
	}
	var m Prepared
	m.Reset(e, two, exchange.Text)
	out := append(first, again...)
	out = append(out, w.Frame(&m)...)
	last := w.Append(nil, append(one, two...), exchange.Text, false)
	if len(last) > 40 {
		t.Errorf("%d bytes for what was sent before", len(last))
	}
	want := []string{fmt.Sprintf("1 %q", one), fmt.Sprintf("1 %q", one), fmt.Sprintf("1 %q", two), fmt.Sprintf("1 %q", append(one, two...))}
	if got := outcome(t, e, kept, asClient(t, append(out, last...), someKey), 1<<20, 1<<20); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestAPreparedMessageIsFramedOnceForEachState(t *testing.T) {
	e := NewEngine(Settings{Deflate: true})
	long := []byte(strings.Repeat("0123456789", 100))
	var m Prepared
	m.Reset(e, long, exchange.Binary)
	for range 3 {
		for name, d := range map[string]Deflate{"plain": plain, "fresh": fresh, "kept": kept, "narrow": narrow} {
			var w Writer
			w.Reset(e, d)
			f := w.Frame(&m)
			if got, want := outcome(t, e, d, asClient(t, f, someKey), 1<<20, 1<<20), []string{fmt.Sprintf("2 %q", long)}; !slices.Equal(got, want) {
				t.Fatalf("%s: %.100q", name, got)
			}
		}
	}
	size := len(m.frames)
	var w Writer
	w.Reset(e, fresh)
	if w.Frame(&m); len(m.frames) != size {
		t.Error("framed again")
	}
	if n := len(m.frames); n > len(long)+100 {
		t.Errorf("%d bytes of frames", n)
	}
}
