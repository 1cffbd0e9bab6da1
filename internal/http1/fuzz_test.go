package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// FuzzParser holds the parser to its two invariants: the same bytes have the same outcome however they come, and what is
// accepted has the structure that the RFC gives it.
func FuzzParser(f *testing.F) {
	for _, kind := range []string{"valid", "invalid"} {
		for _, c := range corpus(f, kind) {
			f.Add(c.raw, uint16(len(c.raw)/2), uint16(1))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut, step uint16) {
		if len(raw) > 8<<10 {
			return
		}
		want := outcome(raw, &corpusLimits)
		if got := outcome(raw, &corpusLimits, min(int(cut), len(raw))); got != want {
			t.Fatalf("cut at %d: %s\nwhole: %s", cut, got, want)
		}
		if got := outcome(raw, &corpusLimits, every(max(1, int(step)), len(raw))...); got != want {
			t.Fatalf("in pieces of %d: %s\nwhole: %s", step, got, want)
		}
		checkAccepted(t, raw)
	})
}

// checkAccepted looks at a head that was accepted with means other than the parser's.
func checkAccepted(t *testing.T, raw []byte) {
	var p Parser
	var req exchange.Request
	var h Head
	p.Reset(&corpusLimits)
	n, err := p.Parse(raw, &req, &h)
	if n == 0 || err != nil {
		return
	}
	text, isHead := strings.CutSuffix(strings.TrimPrefix(string(raw[:n]), "\r\n"), "\r\n\r\n")
	lines := strings.Split(text, "\r\n")
	if !isHead || n > corpusLimits.Head || len(lines) != len(req.Fields)+1 {
		t.Fatalf("%q is a head of %d fields", text, len(req.Fields))
	}
	if i := strings.IndexFunc(strings.Join(lines, ""), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
		t.Fatalf("control character in %q", lines)
	}
	hosts := 0
	for i, field := range req.Fields {
		name, value, _ := strings.Cut(lines[i+1], ":")
		if strings.EqualFold(name, "host") {
			hosts++
		}
		if string(field.Name.Of(raw)) != name || name == "" || strings.ContainsAny(name, " \t") {
			t.Fatalf("name %q of %q", field.Name.Of(raw), lines[i+1])
		}
		if got := string(field.Value.Of(raw)); got != strings.Trim(value, " \t") && !strings.EqualFold(name, "host") {
			t.Fatalf("value %q of %q", got, lines[i+1])
		}
	}
	if hosts > 1 || hosts == 0 && req.Version == exchange.HTTP11 {
		t.Fatalf("%d hosts in %q", hosts, lines)
	}
	if h.Body == FixedBody != (req.ContentLength > 0) || h.Body == ChunkedBody != (req.ContentLength == exchange.UnknownLength) {
		t.Fatalf("body kind %d with length %d", h.Body, req.ContentLength)
	}
}

// FuzzBody decodes a chunked body in one piece and in two, and holds what is accepted against net/http's decoder.
func FuzzBody(f *testing.F) {
	for _, kind := range []string{"valid", "invalid"} {
		for _, c := range corpus(f, kind) {
			if _, body, found := bytes.Cut(c.raw, []byte("chunked\r\n\r\n")); found {
				f.Add(body, uint16(len(body)/2))
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, cut uint16) {
		content, end, done, err := decode(t, raw)
		at := min(int(cut), len(raw))
		content2, end2, done2, err2 := decode(t, raw[:at], raw[at:])
		if content != content2 || end != end2 || done != done2 || err != err2 {
			t.Fatalf("whole: %q, %d, %v, %v\ncut at %d: %q, %d, %v, %v", content, end, done, err, at, content2, end2, done2, err2)
		}
		if !done || bytes.ContainsAny(raw, "; \t") { // the other one has its own idea of extensions
			return
		}
		want, fault := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(raw)))
		if fault != nil || string(want) != content {
			t.Fatalf("%q here, %q and %v there", content, want, fault)
		}
	})
}

// decode returns the content, how many bytes were consumed, whether the body was complete, and the error.
func decode(t *testing.T, pieces ...[]byte) (content string, end int, done bool, err *Error) {
	var d BodyDecoder
	d.Reset(&Head{Body: ChunkedBody}, exchange.UnknownLength)
	for _, in := range pieces {
		for len(in) > 0 && !d.Done() && err == nil {
			var data []byte
			var n int
			data, n, _, err = d.Next(in)
			if n == 0 && err == nil {
				t.Fatalf("stands still before %q", in)
			}
			content += string(data)
			in = in[n:]
			end += n
		}
	}
	return content, end, d.Done(), err
}

// FuzzResponse frames a response and reads it with net/http: no field more than were given, no byte of another body.
func FuzzResponse(f *testing.F) {
	f.Add(200, "content-type", "text/plain", "X", "y", "hello", uint8(0))
	f.Add(204, "content-length", "5", "Connection", "close", "hello", uint8(1))
	f.Add(304, "content-length", "5", "etag", "\"x\"", "", uint8(2))
	f.Add(200, "content-length", "3", "transfer-encoding", "chunked", "hello", uint8(3))
	f.Add(302, "location", "/\r\nset-cookie: a=b", "x", "\x00", "", uint8(4))
	f.Add(205, "", "", "a b", "", "x", uint8(9))
	f.Fuzz(func(t *testing.T, status int, name1, value1, name2, value2, body string, mode uint8) {
		r := response(status, name1, value1, name2, value2)
		h := Head{Version: exchange.HTTP11, KeepAlive: mode&1 == 0, HEAD: mode&2 != 0}
		if mode&4 != 0 {
			h.Version = exchange.HTTP10
		}
		var w ResponseWriter
		dst, err := w.Begin([]byte("before"), &h, r, &usualOptions)
		if err != nil {
			if string(dst) != "before" {
				t.Fatalf("%q after %v", dst, err)
			}
			return
		}
		half := len(body) / 2
		for i, part := range []string{body[:half], body[half:]} {
			var take int
			var suffix string
			dst, take, suffix = w.Frame(dst, len(part), i == 1)
			dst = append(append(dst, part[:take]...), suffix...)
		}
		readBack(t, dst[len("before"):], &h, &w, body)
	})
}

func readBack(t *testing.T, wire []byte, h *Head, w *ResponseWriter, body string) {
	method := "GET"
	if h.HEAD {
		method = "HEAD"
	}
	reader := bufio.NewReader(bytes.NewReader(wire))
	got, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", wire, err)
	}
	top, _, _ := bytes.Cut(wire, []byte("\r\n\r\n"))
	if lines := bytes.Count(top, []byte("\r\n")); lines > 6 || bytes.Count(top, []byte("\n")) != lines {
		t.Fatalf("%d lines in %q", lines, top)
	}
	content, err := io.ReadAll(got.Body)
	short := w.Missing() > 0
	if (err != nil) != short {
		t.Fatalf("%q: missing %d, but %v", wire, w.Missing(), err)
	}
	if !strings.HasPrefix(body, string(content)) || w.framing != bodyless && len(content)+int(w.Excess()) != len(body) {
		t.Fatalf("%q: content %q of %q", wire, content, body)
	}
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		t.Fatalf("%q is left of %q", rest, wire)
	}
}
