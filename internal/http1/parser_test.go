package http1

import (
	"bytes"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// spec: http 2
func TestAbsoluteFormReplacesTheValueOfHostByItsAuthority(t *testing.T) {
	raw := []byte("GET http://a.example:8080/p?q HTTP/1.1\r\nX: y\r\nhost: b.example\r\n\r\n")
	req, _ := parse(t, raw)
	host := req.Fields[1].Value
	if string(host.Of(raw)) != "a.example:8080" {
		t.Errorf("Host is %q", host.Of(raw))
	}
	if int(host.Start) != len("GET http://") {
		t.Errorf("Host doesn't point into the target but to %d", host.Start)
	}
}

// spec: http 1
func TestContentLengthOfARequest(t *testing.T) {
	for _, c := range []struct {
		field string
		want  int64
		end   bool
	}{
		{"X: y", 0, true},
		{"Content-Length: 0", 0, true},
		{"Content-Length: 12", 12, false},
		{"Transfer-Encoding: chunked", exchange.UnknownLength, false},
	} {
		req, _ := parse(t, []byte("POST / HTTP/1.1\r\nHost: a\r\n"+c.field+"\r\n\r\n"))
		if req.ContentLength != c.want || req.End != c.end {
			t.Errorf("%s: length %d, end %v", c.field, req.ContentLength, req.End)
		}
	}
}

// spec: http 6
func TestOnlyTheMethodHEADIsHEAD(t *testing.T) {
	for method, want := range map[string]bool{"HEAD": true, "head": false, "GET": false, "HEADS": false} {
		if _, h := parse(t, []byte(method+" / HTTP/1.1\r\nHost: a\r\n\r\n")); h.HEAD != want {
			t.Errorf("%s: %v", method, h.HEAD)
		}
	}
}

func TestParseLeavesNothingOfAnEarlierRequest(t *testing.T) {
	var p Parser
	var req exchange.Request
	var h Head
	p.Reset(&usualLimits)
	full := "HEAD http://a/p?q HTTP/1.0\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
	for _, raw := range []string{full, "bad request\r\n\r\n", full} {
		_, _ = p.Parse([]byte(raw), &req, &h)
		req.Body = []byte("abc")
		if n, err := p.Parse([]byte("GET / HTTP/1.1\r\nHost: c\r\n\r\n"), &req, &h); n == 0 {
			t.Fatal(err)
		}
		want := "method: GET\npath: /\nquery: \nversion: 1.1\nkeep-alive: yes\nbody: none\nfield: Host: c\n"
		if got := render(&req, &h); got != want || req.Body != nil || h.HEAD {
			t.Errorf("after %q: got\n%s", raw, got)
		}
	}
}

// What counts as the start of a head: the header time is over with 408 if it has started, silently if it hasn't.
func TestParserKnowsWhetherAHeadHasStarted(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want bool
	}{
		{"", false},
		{"\r\n", false},
		{"G", true},
		{"\r\nG", true},
		{"GET / HTTP/1.1\r\n", true},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", false},
		{"\x00", false},
	} {
		var p Parser
		p.Reset(&usualLimits)
		_, _ = p.Parse([]byte(c.raw), &exchange.Request{}, &Head{})
		if p.Started() != c.want {
			t.Errorf("after %q: started is %v", c.raw, p.Started())
		}
	}
}

// Each byte is scanned for a line end once, however many calls it takes: what was scanned may as well be gone.
func TestParserDoesNotScanTheSameBytesAgain(t *testing.T) {
	lines := "GET / HTTP/1.1\r\nHost: a\r\n"
	raw := []byte(lines + "X: " + strings.Repeat("x", 4000))
	var p Parser
	p.Reset(&usualLimits)
	for i := len(lines); i <= len(raw); i++ {
		if _, err := p.Parse(raw[:i], &exchange.Request{}, &Head{}); err != nil {
			t.Fatal(err)
		}
		if int(p.line) != len(lines) || int(p.scan) != i {
			t.Fatalf("after %d bytes: line at %d, scanned up to %d", i, p.line, p.scan)
		}
		for j := range raw[:i] {
			raw[j] = '\n'
		}
	}
}

// spec: http 3
func TestLimitsHoldToTheByte(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{Line: 14, Fields: 2, FieldSize: 7, Head: 16 + 9 + 6 + 2}, ""},
		{Limits{Line: 13, Fields: 2, FieldSize: 7, Head: 33}, "414 request line too long\n"},
		{Limits{Line: 14, Fields: 1, FieldSize: 7, Head: 33}, "431 too many header fields\n"},
		{Limits{Line: 14, Fields: 2, FieldSize: 6, Head: 33}, "431 header field too large\n"},
		{Limits{Line: 14, Fields: 2, FieldSize: 7, Head: 32}, "431 request head too large\n"},
		{Limits{Line: 14, Fields: 2, FieldSize: 7, Head: 10}, "431 request head too large\n"},
		{Limits{}, "431 request head too large\n"},
	} {
		raw := []byte("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
		got := outcome(raw, &c.limits)
		if c.want == "" && !strings.HasPrefix(got, "method: GET") || c.want != "" && got != c.want {
			t.Errorf("%+v: got\n%s", c.limits, got)
		}
	}
}

// spec: http 3
func TestPartsLongerThanTheWireCarriesAreRefused(t *testing.T) {
	limits := Limits{Line: 1 << 20, Fields: 10, FieldSize: 1 << 20, Head: 1 << 20}
	fits, long := strings.Repeat("a", 65535), strings.Repeat("a", 65536)
	request := func(target, name, value string) []byte {
		return []byte("GET " + target + " HTTP/1.1\r\nHost: a\r\n" + name + ": " + value + "\r\n\r\n")
	}
	for _, c := range []struct {
		raw  []byte
		want *Error
	}{
		{request("/"+fits[1:]+"?"+fits, fits, fits), nil},
		{request("/"+fits, "X", ""), ErrTargetTooLong},
		{request("/?"+long, "X", ""), ErrTargetTooLong},
		{request("http://a?"+long, "X", ""), ErrTargetTooLong},
		{request("/", long, ""), ErrFieldTooLarge},
		{request("/", "X", long), ErrFieldTooLarge},
	} {
		var p Parser
		p.Reset(&limits)
		if n, err := p.Parse(c.raw, &exchange.Request{}, &Head{}); err != c.want || (n == 0) != (err != nil) {
			t.Errorf("%.20q, %d bytes: %v", c.raw, len(c.raw), err)
		}
	}
}

// spec: http 10
func TestEveryOctetIsKeptOrRefusedWhereverItStands(t *testing.T) {
	for c := range 256 {
		for _, length := range []int{1, 7, 8, 9, 16, 17, 40} {
			for at := range length {
				text := bytes.Repeat([]byte("x"), length)
				text[at] = byte(c)
				checkValue(t, text)
				checkTarget(t, text)
				if want := bytes.ToLower(text); c < 0x80 && !bytes.Equal(AppendLower(nil, text), want) {
					t.Errorf("lower case of %q is %q", text, AppendLower(nil, text))
				}
			}
		}
		if got := AppendLower(nil, []byte{byte(c), 2, 3, 4, 5, 6, 7, 8}); c >= 0x80 && got[0] != byte(c) {
			t.Errorf("lower case of %#x is %#x", c, got[0])
		}
	}
}

func checkValue(t *testing.T, text []byte) {
	want := true
	for _, c := range text {
		want = want && (c == '\t' || c >= ' ' && c != 0x7f)
	}
	if ValidValue(text) != want {
		t.Errorf("value %q: valid is %v", text, !want)
	}
	text = append([]byte("GET / HTTP/1.1\r\nHost: a\r\nX: "), append(text, "\r\n\r\n"...)...)
	var p Parser
	var req exchange.Request
	p.Reset(&usualLimits)
	if n, _ := p.Parse(text, &req, &Head{}); n != len(text) && want {
		t.Errorf("%q is refused", text)
	}
}

func checkTarget(t *testing.T, text []byte) {
	want := true
	for _, c := range text {
		want = want && c > ' ' && c != 0x7f && c != '#'
	}
	if validTarget(text) != want {
		t.Errorf("target %q: valid is %v", text, !want)
	}
}

func TestTokensAreThoseOfTheRFC(t *testing.T) {
	const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		if want := strings.IndexByte(tchar, byte(c)) >= 0; ValidToken([]byte{byte(c)}) != want {
			t.Errorf("%q as a token: %v", byte(c), !want)
		}
	}
	if ValidToken(nil) {
		t.Error("nothing is a token")
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	for _, c := range corpus(t, "valid") {
		var p Parser
		var req exchange.Request
		var h Head
		p.Reset(&corpusLimits)
		if n := testing.AllocsPerRun(50, func() {
			if n, err := p.Parse(c.raw, &req, &h); n == 0 {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func TestRefusingAllocatesNothing(t *testing.T) {
	for _, c := range corpus(t, "invalid") {
		r := reading{}
		var req exchange.Request
		var h Head
		r.parser.Reset(&corpusLimits)
		if n := testing.AllocsPerRun(50, func() { _, _ = r.parser.Parse(c.raw, &req, &h) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func parse(t testing.TB, raw []byte) (*exchange.Request, Head) {
	t.Helper()
	var p Parser
	var req exchange.Request
	var h Head
	p.Reset(&usualLimits)
	if n, err := p.Parse(raw, &req, &h); n == 0 {
		t.Fatalf("%q is refused: %v", raw, err)
	}
	return &req, h
}
