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
