package cgi

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

// FuzzParse holds Parse to its invariants: the same bytes have the same outcome however they come, and what is behind the packet
// has no part in it; the input stays as it is; and what is accepted holds only what http1 would accept, inside its buffer.
func FuzzParse(f *testing.F) {
	for _, proto := range []Protocol{UWSGI, SCGI} {
		f.Add(uint8(proto), []byte(usual(proto)))
		f.Add(uint8(proto), []byte(minimal(proto)))
		f.Add(uint8(proto), []byte(minimal(proto, "PATH_INFO=/a b", "SCRIPT_NAME=/a b/", "HTTP_A_B=c", "A=b", "CONTENT_LENGTH=5")+"hello"))
		f.Add(uint8(proto), []byte(minimal(proto, "HTTP_HOST=a b")))
	}
	f.Add(uint8(UWSGI), []byte("\x00\x06\x00\x00\x02\x00ab\xff\xff"))
	f.Add(uint8(SCGI), []byte("17:CONTENT_LENGTH\x000x,"))
	f.Fuzz(func(t *testing.T, which uint8, raw []byte) {
		proto := Protocol(which%2 + 1)
		before := bytes.Clone(raw)
		p := NewParser(&limits)
		var req exchange.Request
		var h http1.Head
		n, err := p.Parse(proto, raw, &req, &h)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input has changed")
		}
		want := "more"
		switch {
		case err != nil:
			want = err.Reason
		case n > 0:
			want = told(&req, &h)
		}
		checkPieces(t, proto, raw, want)
		if err != nil || n == 0 {
			return
		}
		if got, _ := outcome(proto, string(raw[:n])); got != want {
			t.Fatalf("the packet alone:\n%s\nwith more behind:\n%s", got, want)
		}
		checkRequest(t, &req, &h)
	})
}

// checkPieces gives ever more of the packet: there is nothing to say until it is whole or wrong, and then that stays.
func checkPieces(t *testing.T, proto Protocol, raw []byte, want string) {
	t.Helper()
	for i := range raw {
		got, err := outcome(proto, string(raw[:i]))
		if err != nil {
			got = err.Reason
		}
		if got == "more" {
			continue
		}
		if got != want {
			t.Fatalf("first %d bytes: %s\nwhole: %s", i, got, want)
		}
		return
	}
}

func checkRequest(t *testing.T, req *exchange.Request, h *http1.Head) {
	t.Helper()
	text := func(s exchange.Span) []byte {
		if s.Start > s.End || int(s.End) > len(req.Buf) {
			t.Fatalf("%+v is not in %d bytes", s, len(req.Buf))
		}
		return s.Of(req.Buf)
	}
	for _, f := range req.Fields {
		name := strings.ToLower(string(text(f.Name)))
		if !http1.ValidToken([]byte(name)) || !http1.ValidValue(text(f.Value)) || strings.Contains(name, "_") {
			t.Fatalf("%q: %q", name, text(f.Value))
		}
		if name == "proxy" || name == "transfer-encoding" {
			t.Fatalf("%q came through", name)
		}
	}
	for _, v := range req.Variables {
		name := string(text(v.Name))
		if name == "" || strings.HasPrefix(name, "HTTP_") || strings.HasPrefix(name, "wsgi.") || name == "PATH_INFO" ||
			name == "CONTENT_LENGTH" || bytes.IndexByte(text(v.Value), 0) >= 0 {
			t.Fatalf("%q=%q", name, text(v.Value))
		}
	}
	path, root := string(text(req.Path)), string(text(req.RootPath))
	if path != "*" && !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\x00\r\n #?") || !http1.ValidToken(text(req.Method)) {
		t.Fatalf("%q %q", text(req.Method), path)
	}
	if root != "" && (root[0] != '/' || strings.HasSuffix(root, "/")) || !http1.ValidValue(text(req.Query)) {
		t.Fatalf("root %q, query %q", root, text(req.Query))
	}
	if (h.Body == http1.FixedBody) != (req.ContentLength > 0) || req.ContentLength < 0 || req.End == (req.ContentLength > 0) {
		t.Fatalf("%+v, %d bytes, %v", h, req.ContentLength, req.End)
	}
	text(req.ClientName)
	text(req.ServerName)
}

// FuzzPath compares what the application will see of the path, by net/url, with what the web server said.
func FuzzPath(f *testing.F) {
	f.Add("/app", "/app/a b", "/app/a%20b")
	f.Add("/app", "/x", "/app/x")
	f.Add("", "/%zz\xff", "/%25zz%ff")
	f.Fuzz(func(t *testing.T, script, info, uri string) {
		raw := pack(UWSGI, "REQUEST_METHOD=GET", "SCRIPT_NAME="+script, "PATH_INFO="+info, "REQUEST_URI="+uri)
		if len(script)+len(info)+len(uri) > 2000 {
			return
		}
		var req exchange.Request
		var h http1.Head
		if _, err := NewParser(&limits).Parse(UWSGI, []byte(raw), &req, &h); err != nil {
			return
		}
		path, root := string(req.Path.Of(req.Buf)), string(req.RootPath.Of(req.Buf))
		got, err := url.PathUnescape(path)
		if err != nil { // an escape that is none, as the client sent it
			if !strings.HasPrefix(uri, path) {
				t.Fatalf("%q of %q", path, uri)
			}
			return
		}
		slash := func(s string) string {
			if s == "" || s[0] == '/' || s == "*" {
				return s
			}
			return "/" + s
		}
		if rest := root + slash(info); got != info && got != rest && got != slash(info) && got != root+"/*" && (rest != "" || got != "/") {
			t.Fatalf("%q is neither %q nor %q", got, info, rest)
		}
	})
}
