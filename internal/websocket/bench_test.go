package websocket

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/awaitd/awaitd/internal/exchange"
)

func TestAnIdleConnectionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Reader{}) + unsafe.Sizeof(Writer{}); n > 150 {
		t.Errorf("%d bytes", n)
	}
}

// exchangeOnce passes a message both ways, as often as it is called.
func exchangeOnce(d Deflate, payload string) func() {
	e := NewEngine(Settings{MaxSize: 16 << 20, Deflate: true, Takeover: true})
	c := newEcho(e, d)
	first := byte(0x82)
	if d.On {
		payload, first = packed(payload), 0xc2
	}
	in := frame(first, payload)
	buf := make([]byte, len(in))
	return func() {
		copy(buf, in)
		c.out = c.out[:0]
		if _, over := c.feed(buf, 64<<10); over {
			panic("closed")
		}
	}
}

func TestMessagesAllocateNothing(t *testing.T) {
	for name, d := range map[string]Deflate{"plain": plain, "fresh": fresh, "kept": kept, "narrow": narrow} {
		for _, size := range []int{0, 16, 200, 5000, 60000} {
			once := exchangeOnce(d, strings.Repeat("0123456789abcdef", size/16))
			for range 20 {
				once() // what is used again comes into being
			}
			if n := testing.AllocsPerRun(100, once); n != 0 {
				t.Errorf("%s, %d bytes: %v allocations", name, size, n)
			}
		}
	}
	ping := frame(0x89, "ping")
	c := newEcho(NewEngine(Settings{}), plain)
	buf := slices.Clone(ping)
	if n := testing.AllocsPerRun(100, func() { copy(buf, ping); c.out = c.out[:0]; c.feed(buf, 1) }); n != 0 {
		t.Errorf("ping: %v allocations", n)
	}
}

func TestAnUpgradeIsWantedWithoutAllocation(t *testing.T) {
	req := request("GET", exchange.HTTP11, shake...)
	if n := testing.AllocsPerRun(100, func() { Wanted(req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkUnmask(b *testing.B) {
	for _, size := range []int{16, 125, 1024, 65536} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				unmask(p, 0x12345678)
			}
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, c := range []struct {
		name string
		d    Deflate
	}{{"plain", plain}, {"fresh", fresh}, {"kept", kept}} {
		for _, size := range []int{16, 128, 1024, 16384} {
			b.Run(fmt.Sprint(c.name, "/", size), func(b *testing.B) {
				once := exchangeOnce(c.d, strings.Repeat(`{"id":123,"a":0},`, size/16)[:size])
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					once()
				}
			})
		}
	}
}

func BenchmarkText(b *testing.B) {
	for name, s := range map[string]string{"ascii": strings.Repeat("a", 1024), "greek": strings.Repeat("κόσμε", 100)} {
		b.Run(name, func(b *testing.B) {
			p := []byte(s)
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				var x text
				x.add(p)
			}
		})
	}
}

// A message to many clients is framed once for each way they may have it.
func BenchmarkPrepared(b *testing.B) {
	e := NewEngine(Settings{Deflate: true})
	var w Writer
	w.Reset(e, fresh)
	var m Prepared
	payload := []byte(strings.Repeat(`{"id":123,"a":0},`, 60))
	b.ReportAllocs()
	for b.Loop() {
		m.Reset(e, payload, exchange.Text)
		for range 1000 {
			w.Frame(&m)
		}
	}
}
