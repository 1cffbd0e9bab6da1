package http1

import (
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// usualLimits are gunicorn's defaults.
var usualLimits = Limits{Line: 4094, Fields: 100, FieldSize: 8190, Head: 64 << 10}

func corpusFile(t testing.TB, name string) []byte {
	for _, c := range corpus(t, "valid") {
		if c.name == name {
			return c.raw
		}
	}
	t.Fatalf("the corpus has no %s", name)
	return nil
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"002-as-wrk-sends-it", "003-as-a-browser-sends-it"} {
		b.Run(name[4:], func(b *testing.B) {
			raw := corpusFile(b, name)
			var p Parser
			p.Reset(&usualLimits)
			var req exchange.Request
			var h Head
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := p.Parse(raw, &req, &h); n != len(raw) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkBegin(b *testing.B) {
	for _, v := range []struct {
		name   string
		fields []string
	}{
		{"hello", []string{"content-type", "text/plain", "content-length", "13"}},
		{"without-length", []string{"content-type", "text/plain"}},
		{"8-fields", []string{
			"content-type", "application/json", "content-length", "13", "cache-control", "no-store, max-age=0",
			"x-frame-options", "DENY", "x-content-type-options", "nosniff", "referrer-policy", "same-origin",
			"vary", "Accept-Encoding, Cookie", "set-cookie", "session=7f3a9c0e5b1d4e6f8a2b; Path=/; HttpOnly; SameSite=Lax",
		}},
	} {
		b.Run(v.name, func(b *testing.B) {
			r := response(200, v.fields...)
			r.Body, r.End = []byte("Hello, world!"), true
			h := Head{Version: exchange.HTTP11, KeepAlive: true}
			var w ResponseWriter
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = w.Begin(dst[:0], &h, r, &usualOptions); err != nil {
					b.Fatal(err)
				}
				dst, _, _ = w.Frame(dst, len(r.Body), true)
			}
		})
	}
}

func BenchmarkBodyChunked(b *testing.B) {
	raw := []byte("400\r\n" + string(make([]byte, 0x400)) + "\r\n0\r\n\r\n")
	h := Head{Body: ChunkedBody}
	var d BodyDecoder
	b.ReportAllocs()
	for b.Loop() {
		d.Reset(&h, exchange.UnknownLength)
		if _, n, done, err := d.Next(raw); !done || n != len(raw) {
			b.Fatal(n, err)
		}
	}
}
