package cgi

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

var limits = http1.Limits{Line: 8190, Fields: 100, FieldSize: 8190, Head: 60 << 10}

// pack packs variables, given as "NAME=value", in one of the two ways.
func pack(proto Protocol, variables ...string) string {
	var rows []byte
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		if proto == SCGI {
			rows = append(rows, name+"\x00"+value+"\x00"...)
			continue
		}
		rows = append(binary.LittleEndian.AppendUint16(rows, uint16(len(name))), name...)
		rows = append(binary.LittleEndian.AppendUint16(rows, uint16(len(value))), value...)
	}
	if proto == SCGI {
		return strconv.Itoa(len(rows)) + ":" + string(rows) + ","
	}
	return string([]byte{0, byte(len(rows)), byte(len(rows) >> 8), 0}) + string(rows)
}

// minimal is a packet that both protocols take, with more variables behind.
func minimal(proto Protocol, variables ...string) string {
	return pack(proto, append([]string{"CONTENT_LENGTH=", "SCGI=1", "REQUEST_METHOD=GET", "PATH_INFO=/"}, variables...)...)
}

// told is a request as text, one line for each thing that is not as usual.
func told(req *exchange.Request, h *http1.Head) string {
	b := []byte{}
	add := func(format string, values ...any) { b = fmt.Appendf(b, format+"\n", values...) }
	text := func(s exchange.Span) string { return string(s.Of(req.Buf)) }
	add("%s %s?%s %d", text(req.Method), text(req.Path), text(req.Query), req.Version)
	for _, f := range req.Fields {
		add("%s: %s", strings.ToLower(text(f.Name)), text(f.Value))
	}
	for _, v := range req.Variables {
		add("%s=%s", text(v.Name), text(v.Value))
	}
	if req.Scheme == exchange.Secure {
		add("secure")
	}
	if req.Client != (exchange.Address{}) || req.ClientName.Len() > 0 {
		add("client %s %s %d", req.Client.AppendTo(nil), text(req.ClientName), req.Client.Port)
	}
	if server := fmt.Sprintf("%s %s %d", req.Server.AppendTo(nil), text(req.ServerName), req.Server.Port); server != "- localhost 80" {
		add("server %s", server)
	}
	if req.RootPath.Len() > 0 {
		add("root %s", text(req.RootPath))
	}
	if h.Body != http1.NoBody || req.ContentLength != 0 || !req.End {
		add("body %d %d %v", h.Body, req.ContentLength, req.End)
	}
	if h.HEAD {
		add("no body")
	}
	if h.Version != exchange.HTTP10 || h.KeepAlive || req.WantsContinue || req.Body != nil || req.UnixPath != "" {
		add("head %+v %+v", h, req)
	}
	return string(b)
}

// outcome parses a packet alone.
func outcome(proto Protocol, raw string) (string, *http1.Error) {
	var req exchange.Request
	var h http1.Head
	n, err := NewParser(&limits).Parse(proto, []byte(raw), &req, &h)
	switch {
	case err != nil:
		return "", err
	case n == 0:
		return "more", nil
	}
	return told(&req, &h), nil
}

func TestWhatNginxSends(t *testing.T) {
	// spec: protocols 10
	for _, proto := range []Protocol{UWSGI, SCGI} {
		got, err := outcome(proto, pack(proto, "CONTENT_LENGTH=5", "SCGI=1", "QUERY_STRING=a=1&b=%20", "REQUEST_METHOD=POST",
			"CONTENT_TYPE=text/plain", "REQUEST_URI=/caf%C3%A9/a%2Fb?a=1&b=%20", "PATH_INFO=/caf\xc3\xa9/a/b", "DOCUMENT_ROOT=/usr/share/nginx/html",
			"SERVER_PROTOCOL=HTTP/2.0", "REQUEST_SCHEME=https", "HTTPS=on", "REMOTE_ADDR=192.0.2.7", "REMOTE_PORT=51234",
			"SERVER_PORT=443", "SERVER_NAME=www.example.org", "REMOTE_USER=ann", "HTTP_HOST=www.example.org", "HTTP_X_REAL_IP=",
			"HTTP_CONTENT_LENGTH=5", "HTTP_CONTENT_TYPE=text/plain", "HTTP_TRANSFER_ENCODING=chunked", "HTTP_PROXY=http://evil/"))
		want := "POST /caf%C3%A9/a%2Fb?a=1&b=%20 20\n" +
			"host: www.example.org\nx-real-ip: \ncontent-type: text/plain\ncontent-length: 5\n" +
			"REQUEST_URI=/caf%C3%A9/a%2Fb?a=1&b=%20\nDOCUMENT_ROOT=/usr/share/nginx/html\nREQUEST_SCHEME=https\nREMOTE_USER=ann\n" +
			"secure\nclient 192.0.2.7:51234  51234\nserver - www.example.org 443\nbody 1 5 false\n"
		if err != nil || got != want {
			t.Errorf("%d: %v, got\n%s\nwant\n%s", proto, err, got, want)
		}
	}
}

func TestVariables(t *testing.T) {
	// spec: protocols 10
	for name, c := range map[string]struct {
		variables []string
		want      string // behind "GET /? 11\n", or an error's reason
	}{
		"nothing":                          {nil, ""},
		"HEAD":                             {[]string{"REQUEST_METHOD=HEAD"}, "HEAD"},
		"the last of two counts":           {[]string{"REQUEST_METHOD=PUT", "REQUEST_METHOD=DELETE"}, "DELETE"},
		"no method":                        {[]string{"REQUEST_METHOD="}, ErrNoMethod.Reason},
		"a method that is no token":        {[]string{"REQUEST_METHOD=GET "}, http1.ErrMethod.Reason},
		"a method that is too long":        {[]string{"REQUEST_METHOD=" + strings.Repeat("A", 256)}, http1.ErrMethodTooLong.Reason},
		"CONNECT":                          {[]string{"REQUEST_METHOD=CONNECT"}, http1.ErrConnect.Reason},
		"HTTP/1.0":                         {[]string{"SERVER_PROTOCOL=HTTP/1.0"}, "GET /? 10\n"},
		"HTTP/2":                           {[]string{"SERVER_PROTOCOL=HTTP/2"}, "GET /? 20\n"},
		"HTTP/3.0":                         {[]string{"SERVER_PROTOCOL=HTTP/3.0"}, "GET /? 30\n"},
		"another protocol":                 {[]string{"SERVER_PROTOCOL=INCLUDED"}, ""},
		"HTTPS on":                         {[]string{"HTTPS=on"}, "secure\nserver - localhost 443\n"},
		"HTTPS 1":                          {[]string{"HTTPS=1", "REQUEST_SCHEME=http"}, "REQUEST_SCHEME=http\nsecure\nserver - localhost 443\n"},
		"HTTPS off":                        {[]string{"HTTPS=off"}, ""},
		"uWSGI's scheme":                   {[]string{"UWSGI_SCHEME=https"}, "UWSGI_SCHEME=https\nsecure\nserver - localhost 443\n"},
		"a client without a port":          {[]string{"REMOTE_ADDR=2001:db8::1", "REMOTE_PORT="}, "client [2001:db8::1]:0  0\n"},
		"a client by its name":             {[]string{"REMOTE_ADDR=an.example", "REMOTE_PORT=9"}, "client - an.example 9\n"},
		"a client by a unix socket":        {[]string{"REMOTE_ADDR=unix:", "REMOTE_PORT="}, ""},
		"a client's port that is none":     {[]string{"REMOTE_PORT=x"}, ErrPort.Reason},
		"a client's port too high":         {[]string{"REMOTE_PORT=65536"}, ErrPort.Reason},
		"a server by its address":          {[]string{"SERVER_NAME=127.0.0.1", "SERVER_PORT=8080"}, "server 127.0.0.1:8080  8080\n"},
		"a server's port that is none":     {[]string{"SERVER_PORT=-1"}, ErrPort.Reason},
		"no body":                          {[]string{"CONTENT_LENGTH="}, ""},
		"a body of nothing":                {[]string{"CONTENT_LENGTH=0"}, "content-length: 0\n"},
		"a body":                           {[]string{"CONTENT_LENGTH=7"}, "content-length: 7\nbody 1 7 false\n"},
		"a length that is none":            {[]string{"CONTENT_LENGTH=+7"}, http1.ErrContentLength.Reason},
		"a length that is too long":        {[]string{"CONTENT_LENGTH=99999999999999999999"}, http1.ErrContentLength.Reason},
		"fields that repeat":               {[]string{"HTTP_A=1", "HTTP_B_C=2", "HTTP_A=3"}, "a: 1\nb-c: 2\na: 3\n"},
		"an empty field":                   {[]string{"HTTP_A="}, "a: \n"},
		"a client without Host":            {[]string{"HTTP_HOST="}, ""},
		"a Host that is none":              {[]string{"HTTP_HOST=a b"}, http1.ErrHost.Reason},
		"two of Host":                      {[]string{"HTTP_HOST=a", "HTTP_HOST=a"}, http1.ErrHostRepeated.Reason},
		"a field's name that is no token":  {[]string{"HTTP_A B=1"}, http1.ErrFieldName.Reason},
		"a field's name with a colon":      {[]string{"HTTP_A:=1"}, http1.ErrFieldName.Reason},
		"a field's value with CR LF":       {[]string{"HTTP_A=1\r\nb: 2"}, http1.ErrFieldValue.Reason},
		"a content type with LF":           {[]string{"CONTENT_TYPE=a\nb: 2"}, http1.ErrFieldValue.Reason},
		"a field that is too large":        {[]string{"HTTP_A=" + strings.Repeat("x", 8190)}, http1.ErrFieldTooLarge.Reason},
		"too many fields":                  {strings.Split(strings.Repeat("HTTP_A=1 ", 101), " "), http1.ErrTooManyFields.Reason},
		"no name":                          {[]string{"=x"}, ErrVariable.Reason},
		"HTTP_ alone":                      {[]string{"HTTP_=x"}, ""},
		"what the server itself says":      {[]string{"wsgi.input=x", "wsgi.version=x", "RAW_URI=x", "SERVER_SOFTWARE=x"}, ""},
		"a variable with lines":            {[]string{"SSL_CLIENT_CERT=-----BEGIN\nMII\n"}, "SSL_CLIENT_CERT=-----BEGIN\nMII\n\n"},
		"a variable in lower case":         {[]string{"uwsgi_file="}, "uwsgi_file=\n"},
		"no query but in the URI":          {[]string{"REQUEST_URI=/?a?b"}, "GET /?a?b 11\nREQUEST_URI=/?a?b\n"},
		"a query that a rewrite has taken": {[]string{"REQUEST_URI=/?a", "QUERY_STRING="}, "REQUEST_URI=/?a\n"},
		"a query with LF":                  {[]string{"QUERY_STRING=a\nb"}, ErrQuery.Reason},
		"a line that is too long":          {[]string{"QUERY_STRING=" + strings.Repeat("q", 8190)}, http1.ErrLineTooLong.Reason},
		"an escaped path that is too long": {[]string{"PATH_INFO=/" + strings.Repeat("\xe9", 3000)}, http1.ErrLineTooLong.Reason},
	} {
		t.Run(name, func(t *testing.T) {
			for _, proto := range []Protocol{UWSGI, SCGI} {
				got, err := outcome(proto, minimal(proto, trimLast(c.variables)...))
				if err != nil {
					got = err.Reason
				}
				want := c.want
				if !strings.HasPrefix(want, "GET ") && (err == nil) {
					want = "GET /? 11\n" + want
				}
				if c.want == "HEAD" {
					want = "HEAD /? 11\nno body\n"
				} else if c.want == "DELETE" {
					want = "DELETE /? 11\n"
				}
				if got != want {
					t.Errorf("%d: got %q, want %q", proto, got, want)
				}
			}
		})
	}
}

// trimLast drops the empty text that strings.Split leaves at the end.
func trimLast(list []string) []string {
	if n := len(list); n > 0 && list[n-1] == "" {
		return list[:n-1]
	}
	return list
}

func TestPaths(t *testing.T) {
	// spec: protocols 10
	for name, c := range map[string]struct {
		script, info, uri string
		root, path        string
	}{
		"as it comes":                       {"", "/a b/\xc3\xa9", "/a%20b/%c3%A9?q", "", "/a%20b/%c3%A9"},
		"an escaped slash":                  {"", "/a/b", "/a%2Fb", "", "/a%2Fb"},
		"an escape that is none":            {"", "/a%zz%", "/a%zz%", "", "/a%zz%"},
		"dots and slashes that nginx drops": {"", "/a/c", "/a//b/../c", "", "/a/c"},
		"a rewrite":                         {"", "/b c?#%;=\xff", "/a", "", "/b%20c%3F%23%25;=%FF"},
		"a rewrite that lost the slash":     {"", "b", "/a/b", "", "/b"},
		"no REQUEST_URI":                    {"", "/a b", "", "", "/a%20b"},
		"REQUEST_URI of a proxy request":    {"", "/a b", "http://h/a%20b", "", "/a%20b"},
		"REQUEST_URI with a space":          {"", "/a b", "/a b", "", "/a%20b"},
		"the server itself":                 {"", "*", "*", "", "*"},
		"nothing":                           {"", "", "", "", "/"},

		"a mount point, nginx":                    {"/app", "/app/caf\xe9", "/app/caf%E9", "/app", "/app/caf%E9"},
		"a mount point, nginx, an escaped slash":  {"/app", "/app/a/b", "/app/a%2Fb", "/app", "/app/a%2Fb"},
		"a mount point, by RFC 3875":              {"/app", "/caf\xe9", "/app/caf%E9", "/app", "/app/caf%E9"},
		"a mount point below one of its name":     {"/app", "/app/x", "/app/app/x", "/app", "/app/app/x"},
		"a mount point with escapes":              {"/a b", "/x", "/a%20b/x", "/a b", "/a%20b/x"},
		"a mount point with a slash behind":       {"/app/", "/app/x", "/app/x", "/app", "/app/x"},
		"a mount point that is the root":          {"/", "/x", "/x", "", "/x"},
		"a mount point alone":                     {"/app", "", "/app", "/app", "/app"},
		"a mount point alone, nginx":              {"/app", "/app", "/app", "/app", "/app"},
		"a mount point and a rewrite":             {"/app", "/tea", "/app/caf%E9", "/app", "/app/tea"},
		"a mount point and a rewrite with it":     {"/app", "/app/tea", "/app/caf%E9", "/app", "/app/tea"},
		"a mount point, a rewrite, a slash":       {"/app", "tea", "/app/caf%E9", "/app", "/app/tea"},
		"a mount point, a URI without the slash":  {"/app", "le", "/apple", "/app", "/app/le"},
		"a mount point and the server itself":     {"/app", "*", "*", "/app", "/app/*"},
		"a mount point and a path like it":        {"/app", "/apple", "/apple", "/app", "/app/apple"},
		"a mount point with escapes, a rewrite":   {"/a b", "/x", "/y", "/a b", "/a%20b/x"},
		"a mount point that the client never saw": {"/app", "/x", "/x", "/app", "/app/x"},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(variables ...string) {
				t.Helper()
				var req exchange.Request
				var h http1.Head
				raw := pack(UWSGI, append(variables, "REQUEST_METHOD=GET", "SCRIPT_NAME="+c.script, "REQUEST_URI="+c.uri)...)
				if n, err := NewParser(&limits).Parse(UWSGI, []byte(raw), &req, &h); err != nil || n != len(raw) {
					t.Fatal(n, err)
				}
				if path, root := string(req.Path.Of(req.Buf)), string(req.RootPath.Of(req.Buf)); path != c.path || root != c.root {
					t.Errorf("%q under %q, want %q under %q", path, root, c.path, c.root)
				}
			}
			check("PATH_INFO=" + c.info)
			check("PATH_INFO="+c.info, "DOCUMENT_URI=/no")
			check("DOCUMENT_URI=" + c.info) // as nginx's SCGI has it
		})
	}
	for _, c := range []struct {
		variables []string
		want      *http1.Error
	}{
		{[]string{"PATH_INFO=/", "SCRIPT_NAME=app"}, ErrScriptName},
		{nil, ErrNoPath},
		{[]string{"REQUEST_URI=http://h/"}, ErrNoPath},
	} {
		if _, err := outcome(UWSGI, pack(UWSGI, append(c.variables, "REQUEST_METHOD=GET")...)); err != c.want {
			t.Errorf("%q: %v", c.variables, err)
		}
	}
	if got, err := outcome(UWSGI, pack(UWSGI, "REQUEST_METHOD=GET", "REQUEST_URI=/a%20b?q")); err != nil || !strings.HasPrefix(got, "GET /a%20b?q 11\n") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPacketsThatAreNone(t *testing.T) {
	// spec: protocols 10
	good := minimal(UWSGI)
	for name, c := range map[string]struct {
		proto Protocol
		raw   string
		want  *http1.Error
	}{
		"another modifier":            {UWSGI, "\x01" + good[1:], ErrModifier},
		"HTTP":                        {UWSGI, "GET / HTTP/1.1\r\n\r\n", ErrModifier},
		"a name beyond the end":       {UWSGI, "\x00\x04\x00\x00\x03\x00ab", ErrRow},
		"half a length":               {UWSGI, "\x00\x01\x00\x00\x03", ErrRow},
		"no value":                    {UWSGI, "\x00\x04\x00\x00\x02\x00ab", ErrRow},
		"a value beyond the end":      {UWSGI, "\x00\x06\x00\x00\x02\x00ab\xff\xff", ErrRow},
		"nothing inside":              {UWSGI, "\x00\x00\x00\x00", ErrNoMethod},
		"too large":                   {UWSGI, "\x00\xff\xff\x00", http1.ErrHeadTooLarge},
		"a NUL in a variable":         {UWSGI, minimal(UWSGI, "A=\x00"), ErrVariable},
		"a NUL in a name":             {UWSGI, minimal(UWSGI, "A\x00=b"), ErrVariable},
		"a NUL in a field":            {UWSGI, minimal(UWSGI, "HTTP_A=\x00"), http1.ErrFieldValue},
		"no netstring":                {SCGI, "GET / HTTP/1.1\r\n\r\n", ErrNetstring},
		"a size in hexadecimal":       {SCGI, "1f:", ErrNetstring},
		"a size that begins with 0":   {SCGI, "07:", ErrNetstring},
		"no size":                     {SCGI, ":", ErrNetstring},
		"no comma":                    {SCGI, "2:ab;", ErrNetstring},
		"a size that is too large":    {SCGI, "61441", http1.ErrHeadTooLarge},
		"no NUL":                      {SCGI, "2:ab,", ErrPairs},
		"no second NUL":               {SCGI, "17:CONTENT_LENGTH\x000x,", ErrPairs},
		"a name without a value":      {SCGI, "15:CONTENT_LENGTH\x00,", ErrPairs},
		"nothing":                     {SCGI, "0:,", ErrFirst},
		"a length that is not first":  {SCGI, pack(SCGI, "SCGI=1", "CONTENT_LENGTH=0", "REQUEST_METHOD=GET", "PATH_INFO=/"), ErrFirst},
		"SCGI is not there":           {SCGI, pack(SCGI, "CONTENT_LENGTH=0", "REQUEST_METHOD=GET", "PATH_INFO=/"), ErrFirst},
		"another version of SCGI":     {SCGI, pack(SCGI, "CONTENT_LENGTH=0", "SCGI=2", "REQUEST_METHOD=GET", "PATH_INFO=/"), ErrFirst},
		"uwsgi's modifier 30 is good": {UWSGI, "\x1e" + good[1:], nil},
		"and so is any modifier2":     {UWSGI, good[:3] + "\x07" + good[4:], nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := outcome(c.proto, c.raw); err != c.want || got == "more" {
				t.Errorf("%q, %v, want %v", got, err, c.want)
			}
		})
	}
}

// A parser is used again and again, and so is a request.
func TestNothingOfOneRequestIsInTheNext(t *testing.T) {
	p := NewParser(&limits)
	var req exchange.Request
	var h http1.Head
	full := minimal(UWSGI, "REQUEST_METHOD=HEAD", "SCRIPT_NAME=/a", "QUERY_STRING=q", "HTTPS=on", "HTTP_HOST=h", "REMOTE_ADDR=x", "A=b",
		"CONTENT_TYPE=t", "CONTENT_LENGTH=5", "SERVER_NAME=s", "SERVER_PORT=1", "SERVER_PROTOCOL=HTTP/3.0")
	for _, raw := range []string{full, minimal(UWSGI), full} {
		n, err := p.Parse(UWSGI, []byte(raw+"body"), &req, &h)
		want, _ := outcome(UWSGI, raw)
		if err != nil || n != len(raw) || told(&req, &h) != want {
			t.Errorf("%v, %d:\n%s\nwant\n%s", err, n, told(&req, &h), want)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, proto := range map[string]Protocol{"uwsgi": UWSGI, "scgi": SCGI} {
		b.Run(name, func(b *testing.B) {
			raw := []byte(usual(proto))
			p := NewParser(&limits)
			var req exchange.Request
			var h http1.Head
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := p.Parse(proto, raw, &req, &h); n != len(raw) {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// usual is what nginx sends for a browser's request.
func usual(proto Protocol) string {
	return pack(proto, "CONTENT_LENGTH=", "SCGI=1", "QUERY_STRING=page=2", "REQUEST_METHOD=GET", "CONTENT_TYPE=",
		"REQUEST_URI=/articles/caf%C3%A9?page=2", "PATH_INFO=/articles/caf\xc3\xa9", "DOCUMENT_ROOT=/usr/share/nginx/html",
		"SERVER_PROTOCOL=HTTP/2.0", "REQUEST_SCHEME=https", "HTTPS=on", "REMOTE_ADDR=192.0.2.7", "REMOTE_PORT=51234", "SERVER_PORT=443",
		"SERVER_NAME=www.example.org", "HTTP_HOST=www.example.org", "HTTP_ACCEPT=text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"HTTP_USER_AGENT=Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "HTTP_ACCEPT_LANGUAGE=en-US,en;q=0.5",
		"HTTP_ACCEPT_ENCODING=gzip, deflate, br", "HTTP_COOKIE=sessionid=0123456789abcdef; csrftoken=0123456789abcdef")
}

func TestAPacketAllocatesNothing(t *testing.T) {
	for _, proto := range []Protocol{UWSGI, SCGI} {
		for _, raw := range []string{usual(proto), minimal(proto, "PATH_INFO=/a b"), minimal(proto, "HTTP_HOST=a b")} {
			in, p := []byte(raw), NewParser(&limits)
			var req exchange.Request
			var h http1.Head
			if n := testing.AllocsPerRun(100, func() { _, _ = p.Parse(proto, in, &req, &h) }); n > 0 {
				t.Errorf("%v allocations for %.60q", n, raw)
			}
		}
	}
}
