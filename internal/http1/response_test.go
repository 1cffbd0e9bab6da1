package http1

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

var usualOptions = HeadOptions{
	Date:   []byte("date: Mon, 23 Nov 2026 10:00:00 GMT\r\n"),
	Server: []byte("server: awaitd\r\n"),
}

// Heads of requests as responses see them.
var (
	get       = Head{Version: exchange.HTTP11, KeepAlive: true}
	getClose  = Head{Version: exchange.HTTP11}
	get10     = Head{Version: exchange.HTTP10}
	get10Keep = Head{Version: exchange.HTTP10, KeepAlive: true}
	head      = Head{Version: exchange.HTTP11, KeepAlive: true, HEAD: true}
)

// response makes a response head of names and values in turn.
func response(status int, fields ...string) *exchange.Response {
	r := &exchange.Response{Status: status}
	r.Buf, r.Fields = fieldTable(fields...)
	return r
}

// phrased gives r a reason phrase of its own.
func phrased(r *exchange.Response, phrase string) *exchange.Response {
	at := len(r.Buf)
	r.Buf = append(r.Buf, phrase...)
	r.Phrase = span(at, len(r.Buf))
	return r
}

func fieldTable(fields ...string) (buf []byte, table []exchange.Field) {
	for i := 0; i < len(fields); i += 2 {
		at := len(buf)
		buf = append(append(buf, fields[i]...), fields[i+1]...)
		middle := at + len(fields[i])
		table = append(table, exchange.Field{Name: span(at, middle), Value: span(middle, len(buf))})
	}
	return buf, table
}

// whole makes r a response whose body came with it.
func whole(r *exchange.Response, body string) *exchange.Response {
	r.Body, r.End = []byte(body), true
	return r
}

// send frames r, then the parts as the rest of the body, and returns what goes on the wire.
func send(t *testing.T, w *ResponseWriter, h *Head, r *exchange.Response, o *HeadOptions, parts ...string) string {
	t.Helper()
	dst, err := w.Begin(nil, h, r, o)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(p string, end bool) {
		var take int
		var suffix string
		dst, take, suffix = w.Frame(dst, len(p), end)
		dst = append(append(dst, p[:take]...), suffix...)
	}
	frame(string(r.Body), r.End)
	for i, p := range parts {
		frame(p, i == len(parts)-1)
	}
	return string(dst)
}

// spec: http 6
// spec: http 7
// spec: http 8
// spec: http 10
func TestResponsesAreFramed(t *testing.T) {
	for _, c := range []struct {
		name  string
		head  Head
		r     *exchange.Response
		o     HeadOptions
		parts []string
		want  string // with "|" for CR LF
		keep  bool
	}{
		{
			name: "a whole body gets its length", head: get, r: whole(response(200, "content-type", "text/plain"), "hello"),
			want: "HTTP/1.1 200 OK|content-type: text/plain|content-length: 5||hello", keep: true,
		},
		{
			name: "a whole empty body gets its length", head: get, r: whole(response(404), ""),
			want: "HTTP/1.1 404 Not Found|content-length: 0||", keep: true,
		},
		{
			name: "the application's own phrase", head: get, r: whole(phrased(response(404, "x", "y"), "Nicht da, \xe4h"), ""),
			want: "HTTP/1.1 404 Nicht da, \xe4h|x: y|content-length: 0||", keep: true,
		},
		{
			name: "the application's own phrase in CGI", head: get, o: HeadOptions{CGI: true}, r: whole(phrased(response(404), "Nicht da"), ""),
			want: "status: 404 Nicht da|content-length: 0||", keep: true,
		},
		{
			name: "a phrase for a status that has none", head: get, r: whole(phrased(response(299), "Whatever"), ""),
			want: "HTTP/1.1 299 Whatever|content-length: 0||", keep: true,
		},
		{
			name: "the application's length is kept where it is", head: get, r: response(200, "Content-Length", "4", "X", "y"), parts: []string{"ab", "cd"},
			want: "HTTP/1.1 200 OK|Content-Length: 4|X: y||abcd", keep: true,
		},
		{
			name: "without length 1.1 is chunked", head: get, r: response(200), parts: []string{"", "ab", "0123456789abcdef", ""},
			want: "HTTP/1.1 200 OK|transfer-encoding: chunked||2|ab|10|0123456789abcdef|0||", keep: true,
		},
		{
			name: "the last part ends the chunks", head: get, r: response(200), parts: []string{"ab"},
			want: "HTTP/1.1 200 OK|transfer-encoding: chunked||2|ab|0||", keep: true,
		},
		{
			name: "without length 1.0 ends with the connection", head: get10Keep, r: response(200), parts: []string{"ab", "c"},
			want: "HTTP/1.1 200 OK||abc",
		},
		{
			name: "1.0 keeps alive if asked to", head: get10Keep, r: whole(response(200), "ab"),
			want: "HTTP/1.1 200 OK|content-length: 2|connection: keep-alive||ab", keep: true,
		},
		{
			name: "1.0 closes", head: get10, r: whole(response(200), "ab"),
			want: "HTTP/1.1 200 OK|content-length: 2||ab",
		},
		{
			name: "the client's close is confirmed", head: getClose, r: whole(response(200), ""),
			want: "HTTP/1.1 200 OK|content-length: 0|connection: close||",
		},
		{
			name: "the server closes", head: get, o: HeadOptions{Close: true}, r: whole(response(200), ""),
			want: "HTTP/1.1 200 OK|content-length: 0|connection: close||",
		},
		{
			name: "the application's close is honoured", head: get, r: whole(response(200, "Connection", "x, Close"), ""),
			want: "HTTP/1.1 200 OK|content-length: 0|connection: close||",
		},
		{
			name: "the application's close is honoured on 1.0", head: get10Keep, r: whole(response(200, "connection", "close"), ""),
			want: "HTTP/1.1 200 OK|content-length: 0||",
		},
		{
			name: "the application's other words on the connection are dropped", head: get,
			r:    whole(response(200, "Connection", "x-hop", "Keep-Alive", "timeout=5", "Proxy-Connection", "close", "Transfer-Encoding", "gzip, chunked"), "a"),
			want: "HTTP/1.1 200 OK|content-length: 1||a", keep: true,
		},
		{
			name: "an upgrade that is asked for is named", head: get,
			r:    whole(response(426, "Upgrade", "websocket", "Connection", "Upgrade"), ""),
			want: "HTTP/1.1 426 Upgrade Required|Upgrade: websocket|content-length: 0|connection: upgrade||", keep: true,
		},
		{
			name: "an upgrade that is asked for is named with the close", head: getClose,
			r:    whole(response(426, "Upgrade", "websocket", "Connection", "Upgrade"), ""),
			want: "HTTP/1.1 426 Upgrade Required|Upgrade: websocket|content-length: 0|connection: close, upgrade||",
		},
		{
			name: "HEAD has no body but its length", head: head, r: whole(response(200), "hello"),
			want: "HTTP/1.1 200 OK|content-length: 5||", keep: true,
		},
		{
			name: "HEAD keeps the application's length", head: head, r: whole(response(200, "content-length", "7"), ""),
			want: "HTTP/1.1 200 OK|content-length: 7||", keep: true,
		},
		{
			name: "HEAD makes up no length", head: head, r: whole(response(200), ""),
			want: "HTTP/1.1 200 OK||", keep: true,
		},
		{
			name: "HEAD has no chunks", head: head, r: response(200), parts: []string{"a", "b"},
			want: "HTTP/1.1 200 OK||", keep: true,
		},
		{
			name: "204 has no body and no length", head: get, r: whole(response(204, "content-length", "5"), "hello"),
			want: "HTTP/1.1 204 No Content||", keep: true,
		},
		{
			name: "205 has no body and length 0", head: get, r: whole(response(205, "content-length", "5"), "hello"),
			want: "HTTP/1.1 205 Reset Content|content-length: 0||", keep: true,
		},
		{
			name: "304 has no body but the application's length", head: get, r: whole(response(304, "content-length", "5", "etag", "x"), "hello"),
			want: "HTTP/1.1 304 Not Modified|content-length: 5|etag: x||", keep: true,
		},
		{
			name: "304 makes up no length", head: get, r: whole(response(304), ""),
			want: "HTTP/1.1 304 Not Modified||", keep: true,
		},
		{
			name: "304 to 1.0 keeps the connection", head: get10Keep, r: response(304), parts: []string{"x"},
			want: "HTTP/1.1 304 Not Modified|connection: keep-alive||", keep: true,
		},
		{
			name: "Date and Server are added", head: get, o: usualOptions, r: whole(response(200), ""),
			want: "HTTP/1.1 200 OK|content-length: 0|date: Mon, 23 Nov 2026 10:00:00 GMT|server: awaitd||", keep: true,
		},
		{
			name: "the application's Date and Server win", head: get, o: usualOptions, r: whole(response(200, "Server", "me", "DATE", "now"), ""),
			want: "HTTP/1.1 200 OK|Server: me|DATE: now|content-length: 0||", keep: true,
		},
		{
			name: "more lines of the server's go last", head: get, o: HeadOptions{Server: []byte("server: s\r\n"), Extra: []byte("alt-svc: h3\r\n")}, r: whole(response(200), ""),
			want: "HTTP/1.1 200 OK|content-length: 0|server: s|alt-svc: h3||", keep: true,
		},
		{
			name: "order, case and duplicates are kept", head: get, r: whole(response(200, "Set-Cookie", "a", "x", "1", "set-cookie", "b", "X", ""), ""),
			want: "HTTP/1.1 200 OK|Set-Cookie: a|x: 1|set-cookie: b|X: |content-length: 0||", keep: true,
		},
		{
			name: "equal lengths go out once", head: get, r: response(200, "content-length", "1", "Content-Length", "01"), parts: []string{"a"},
			want: "HTTP/1.1 200 OK|content-length: 1||a", keep: true,
		},
		{
			name: "octets above ASCII are kept", head: get, r: whole(response(200, "x", "caf\xe9 \t\xff"), "\x00\xff"),
			want: "HTTP/1.1 200 OK|x: caf\xe9 \t\xff|content-length: 2||\x00\xff", keep: true,
		},
		{
			name: "an unknown status has no phrase", head: get, r: whole(response(799), ""),
			want: "HTTP/1.1 799 |content-length: 0||", keep: true,
		},
		{
			name: "an unknown status among the known", head: get, r: whole(response(299), ""),
			want: "HTTP/1.1 299 |content-length: 0||", keep: true,
		},
		{
			name: "excess stays off the wire", head: get, r: response(200, "content-length", "3"), parts: []string{"ab", "cd", "ef"},
			want: "HTTP/1.1 200 OK|content-length: 3||abc", keep: true,
		},
		{
			name: "excess of a whole body stays off the wire", head: get, r: whole(response(200, "content-length", "3"), "abcdef"),
			want: "HTTP/1.1 200 OK|content-length: 3||abc", keep: true,
		},
		{
			name: "nothing follows the end", head: get, r: whole(response(200), "ab"), parts: []string{"c"},
			want: "HTTP/1.1 200 OK|content-length: 2||ab", keep: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w ResponseWriter
			got := send(t, &w, &c.head, c.r, &c.o, c.parts...)
			if want := strings.ReplaceAll(c.want, "|", "\r\n"); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if w.KeepAlive() != c.keep {
				t.Errorf("keep-alive is %v", w.KeepAlive())
			}
		})
	}
}

// spec: http 7
func TestExcessAndMissingBytesAreCounted(t *testing.T) {
	for _, c := range []struct {
		name            string
		r               *exchange.Response
		head            Head
		parts           []string
		excess, missing int64
	}{
		{"right", response(200, "content-length", "4"), get, []string{"ab", "cd"}, 0, 0},
		{"too long", response(200, "content-length", "3"), get, []string{"ab", "cd", "ef"}, 3, 0},
		{"too short", response(200, "content-length", "7"), get, []string{"ab", "cd"}, 0, 3},
		{"whole and too short", whole(response(200, "content-length", "7"), "abc"), get, nil, 0, 4},
		{"no body to be missing", response(200, "content-length", "7"), head, []string{""}, 0, 0},
		{"chunked", response(200), get, []string{"ab"}, 0, 0},
	} {
		var w ResponseWriter
		send(t, &w, &c.head, c.r, &usualOptions, c.parts...)
		if w.Excess() != c.excess || w.Missing() != c.missing {
			t.Errorf("%s: excess %d, missing %d", c.name, w.Excess(), w.Missing())
		}
	}
}

// spec: http 7
// spec: http 9
func TestInvalidResponsesLeaveNothingHalfWritten(t *testing.T) {
	for _, c := range []struct {
		name string
		r    *exchange.Response
		want error
	}{
		{"CR in a value", response(200, "x", "a\rb"), ErrResponseValue},
		{"LF in a value", response(200, "x", "a\nb"), ErrResponseValue},
		{"NUL in a value", response(200, "x", "a\x00b"), ErrResponseValue},
		{"injected field", response(200, "a", "b", "location", "/\r\nset-cookie: evil=1"), ErrResponseValue},
		{"DEL in a value", response(200, "x", "a long value \x7f, refused"), ErrResponseValue},
		{"escape in a value", response(200, "x", "\x1b[0m"), ErrResponseValue},
		{"control in a dropped field", response(200, "connection", "close\r\nx: y"), ErrResponseValue},
		{"empty name", response(200, "", "a"), ErrResponseName},
		{"space in a name", response(200, "x y", "a"), ErrResponseName},
		{"colon in a name", response(200, "x:", "a"), ErrResponseName},
		{"LF in a name", response(200, "x\r\ny", "a"), ErrResponseName},
		{"name above ASCII", response(200, "x\xe9", "a"), ErrResponseName},
		{"length is no number", response(200, "content-length", "five"), ErrResponseLength},
		{"length is negative", response(200, "content-length", "-1"), ErrResponseLength},
		{"length is empty", response(200, "content-length", ""), ErrResponseLength},
		{"lengths differ", response(200, "content-length", "1", "content-length", "2"), ErrResponseLength},
		{"length too large", response(200, "content-length", "9223372036854775808"), ErrResponseLength},
		{"bad length where it is dropped", response(204, "content-length", "x"), ErrResponseLength},
		{"CR LF in the phrase", phrased(response(200), "OK\r\nset-cookie: evil=1"), ErrResponsePhrase},
		{"NUL in the phrase", phrased(response(200, "x", "y"), "O\x00K"), ErrResponsePhrase},
		{"interim status", response(103), ErrResponseStatus},
		{"switching protocols", response(101), ErrResponseStatus},
		{"status 0", response(0), ErrResponseStatus},
		{"status of four digits", response(1000), ErrResponseStatus},
		{"negative status", response(-200), ErrResponseStatus},
	} {
		var w ResponseWriter
		before := []byte("HTTP/1.1 100 Continue\r\n\r\n")
		dst, err := w.Begin(before, &get, c.r, &usualOptions)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if string(dst) != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Errorf("%s: %q", c.name, dst)
		}
	}
}

func TestErrorsNameTheField(t *testing.T) {
	_, err := new(ResponseWriter).Begin(nil, &get, response(200, "x-mine", "a\nb"), &usualOptions)
	if want := `invalid response field value: "x-mine" has a control character`; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestTrailersEndAChunkedBody(t *testing.T) {
	buf, fields := fieldTable("X-Sum", "7", "content-length", "3", "transfer-encoding", "x")
	for _, c := range []struct {
		name   string
		head   Head
		r      *exchange.Response
		fields []exchange.Field
		want   string
	}{
		{"chunked", get, response(200), fields, "HTTP/1.1 200 OK|transfer-encoding: chunked||1|a|0|X-Sum: 7||"},
		{"chunked and whole", get, whole(response(200), "b"), fields, "HTTP/1.1 200 OK|transfer-encoding: chunked||1|b|1|a|0|X-Sum: 7||"},
		{"none after all", get, response(200), nil, "HTTP/1.1 200 OK|transfer-encoding: chunked||1|a|0||"},
		{"no place for them", get, response(200, "content-length", "1"), fields, "HTTP/1.1 200 OK|content-length: 1||a"},
		{"no place on 1.0", get10, response(200), fields, "HTTP/1.1 200 OK||a"},
		{"no body", head, response(200), fields, "HTTP/1.1 200 OK||"},
	} {
		var w ResponseWriter
		c.r.Trailers = true
		dst := []byte(send(t, &w, &c.head, c.r, &HeadOptions{}, "a"))
		dst, err := w.Trailers(dst, buf, c.fields)
		if want := strings.ReplaceAll(c.want, "|", "\r\n"); err != nil || string(dst) != want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", c.name, err, dst, want)
		}
		if again, _ := w.Trailers(nil, buf, c.fields); len(again) != 0 {
			t.Errorf("%s: ended twice with %q", c.name, again)
		}
	}
}

func TestNothingIsFramedAfterTheEnd(t *testing.T) {
	for _, h := range []*Head{&get, &get10} { // chunked, until close
		var w ResponseWriter
		send(t, &w, h, response(200), &usualOptions, "a")
		if dst, take, suffix := w.Frame(nil, 1, true); len(dst) != 0 || take != 0 || suffix != "" {
			t.Errorf("%d: %q, %d, %q", h.Version, dst, take, suffix)
		}
	}
}

func TestTrailersThatWereNotAnnouncedComeTooLateAfterTheEnd(t *testing.T) {
	var w ResponseWriter
	send(t, &w, &get, response(200), &usualOptions, "a")
	buf, fields := fieldTable("x", "y")
	if dst, err := w.Trailers(nil, buf, fields); len(dst) != 0 || err != nil {
		t.Errorf("%q, %v", dst, err)
	}
}

// spec: http 9
func TestInvalidTrailersLeaveTheBodyOpen(t *testing.T) {
	var w ResponseWriter
	r := response(200)
	r.Trailers = true
	send(t, &w, &get, r, &usualOptions, "a")
	buf, fields := fieldTable("x", "y\r\nz")
	dst, err := w.Trailers([]byte("before"), buf, fields)
	if !errors.Is(err, ErrResponseValue) || string(dst) != "before" {
		t.Errorf("%q, %v", dst, err)
	}
	if dst, err = w.Trailers(nil, nil, nil); err != nil || string(dst) != "0\r\n\r\n" {
		t.Errorf("then %q, %v", dst, err)
	}
}

// spec: http 6
func TestInterimResponsesAreForHTTP11Only(t *testing.T) {
	r := response(103, "Link", "</a.css>; rel=preload", "content-length", "5", "connection", "close")
	dst, err := AppendInform(nil, &get, r)
	if want := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"; err != nil || string(dst) != want {
		t.Errorf("%q, %v", dst, err)
	}
	if dst, err = AppendInform([]byte("x"), &get10Keep, r); err != nil || string(dst) != "x" {
		t.Errorf("to HTTP/1.0: %q, %v", dst, err)
	}
	if dst, _ = AppendInform(nil, &get, response(100)); string(dst) != Continue {
		t.Errorf("100 is %q", dst)
	}
}

// spec: http 9
func TestInvalidInterimResponsesAreRefused(t *testing.T) {
	for _, r := range []*exchange.Response{response(101), response(200), response(99), response(103, "a", "\n"), response(103, "a b", "")} {
		if dst, err := AppendInform([]byte("x"), &get, r); err == nil || string(dst) != "x" {
			t.Errorf("%d: %q, %v", r.Status, dst, err)
		}
	}
}

// spec: http 6
func TestErrorPages(t *testing.T) {
	for _, c := range []struct {
		name   string
		head   *Head
		status int
		o      HeadOptions
		text   string
		want   string
	}{
		{"phrase as text", &get, 503, HeadOptions{}, "", "HTTP/1.1 503 Service Unavailable|content-type: text/plain; charset=utf-8|content-length: 20||Service Unavailable\n"},
		{"text", &get, 500, HeadOptions{Extra: []byte("retry-after: 1\r\n")}, "id 7", "HTTP/1.1 500 Internal Server Error|content-type: text/plain; charset=utf-8|content-length: 5|retry-after: 1||id 7\n"},
		{"no readable head", nil, 400, usualOptions, "x", "HTTP/1.1 400 Bad Request|content-type: text/plain; charset=utf-8|content-length: 2|connection: close|date: Mon, 23 Nov 2026 10:00:00 GMT|server: awaitd||x\n"},
		{"closing", &get, 408, HeadOptions{Close: true}, "x", "HTTP/1.1 408 Request Timeout|content-type: text/plain; charset=utf-8|content-length: 2|connection: close||x\n"},
		{"HEAD", &head, 404, HeadOptions{}, "x", "HTTP/1.1 404 Not Found|content-type: text/plain; charset=utf-8|content-length: 2||"},
		{"1.0", &get10Keep, 404, HeadOptions{}, "x", "HTTP/1.1 404 Not Found|content-type: text/plain; charset=utf-8|content-length: 2|connection: keep-alive||x\n"},
		{"426 says to what", &get, 426, HeadOptions{Close: true, Upgrade: true, Extra: []byte("upgrade: x\r\n")}, "x", "HTTP/1.1 426 Upgrade Required|content-type: text/plain; charset=utf-8|content-length: 2|connection: close, upgrade|upgrade: x||x\n"},
		{"405 says what is allowed", nil, 405, HeadOptions{}, "x", "HTTP/1.1 405 Method Not Allowed|allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT|content-type: text/plain; charset=utf-8|content-length: 2|connection: close||x\n"},
	} {
		got := string(AppendError([]byte("before "), c.head, c.status, &c.o, c.text))
		if want := "before " + strings.ReplaceAll(c.want, "|", "\r\n"); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, want)
		}
	}
}

// spec: http 8
func TestAnUpgradeHasOneDateAndOneServer(t *testing.T) {
	lines := []byte("upgrade: websocket\r\nconnection: upgrade\r\n")
	for fields, want := range map[[2]string]string{
		{"x-a", "1"}:    "date: Mon, 23 Nov 2026 10:00:00 GMT\r\nserver: awaitd\r\n\r\n",
		{"Date", "1"}:   "server: awaitd\r\n\r\n",
		{"server", "1"}: "date: Mon, 23 Nov 2026 10:00:00 GMT\r\n\r\n",
	} {
		r := response(200, fields[0], fields[1])
		got := string(AppendUpgrade(nil, lines, &exchange.Acceptance{Buf: r.Buf, Fields: r.Fields}, &usualOptions))
		if want := "HTTP/1.1 101 Switching Protocols\r\n" + string(lines) + want; got != want {
			t.Errorf("%v: %q", fields, got)
		}
	}
}

func TestStatusTextsAreThoseOfTheRegistry(t *testing.T) {
	newer := map[int]string{413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
	for code := -1; code < 1001; code++ {
		want := http.StatusText(code)
		if s, ok := newer[code]; ok {
			want = s
		}
		if got := StatusText(code); got != want {
			t.Errorf("%d is %q, want %q", code, got, want)
		}
	}
}

func TestFramingAllocatesNothing(t *testing.T) {
	buf, trailers := fieldTable("x-sum", "1")
	dst := make([]byte, 0, 4096)
	for _, r := range []*exchange.Response{
		whole(response(200, "content-type", "text/plain", "content-length", "5"), "hello"),
		whole(response(200, "content-type", "text/plain", "set-cookie", "a"), "hello"),
		response(200, "connection", "close", "x", "a value that is longer than eight bytes"),
		response(599),
		phrased(response(299, "x", "y"), "Whatever that is"),
	} {
		var w ResponseWriter
		if n := testing.AllocsPerRun(100, func() {
			var err error
			if dst, err = w.Begin(dst[:0], &get, r, &usualOptions); err != nil {
				t.Fatal(err)
			}
			dst, _, _ = w.Frame(dst, 5, r.End)
			if dst, err = w.Trailers(dst, buf, trailers); err != nil {
				t.Fatal(err)
			}
			dst = AppendError(dst, &get, 503, &usualOptions, "")
		}); n != 0 {
			t.Errorf("%d: %v allocations", r.Status, n)
		}
	}
}
