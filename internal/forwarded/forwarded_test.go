package forwarded

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// request makes a request of header lines, "Name: value", as a protocol would hand it over.
func request(peer exchange.Address, lines ...string) *exchange.Request {
	req := &exchange.Request{Buf: []byte("GET / HTTP/1.1\r\n"), Client: peer}
	span := func(s string) exchange.Span {
		start := uint32(len(req.Buf))
		req.Buf = append(req.Buf, s...)
		return exchange.Span{Start: start, End: start + uint32(len(s))}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		f := exchange.Field{Name: span(name)}
		span(": ")
		f.Value = span(strings.Trim(value, " \t"))
		span("\r\n")
		req.Fields = append(req.Fields, f)
	}
	return req
}

// told is what a request says about its client: address, scheme and Host.
func told(req *exchange.Request) string {
	host := "none"
	for _, f := range req.Fields {
		if strings.EqualFold(string(f.Name.Of(req.Buf)), "host") {
			host = string(f.Value.Of(req.Buf))
		}
	}
	scheme := map[exchange.Scheme]string{exchange.Plain: "http", exchange.Secure: "https"}[req.Scheme]
	return fmt.Sprintf("%s %s %s", req.Client.AppendTo(nil), scheme, host)
}

const peer = "10.0.0.1:9"

// check applies 10.0.0.0/8 and fd00::/8 to a plain request for "h" from 10.0.0.1:9 with some lines.
func check(t *testing.T, want string, lines ...string) {
	t.Helper()
	req := request(at(t, peer), append([]string{"Host: h"}, lines...)...)
	trust(t, "10.0.0.0/8", "fd00::/8").Apply(req)
	if got := told(req); got != want {
		t.Errorf("%q:\ngot  %s\nwant %s", lines, got, want)
	}
}

// spec: http 25
func TestTheClientIsTheRightmostHopThatIsNotTrusted(t *testing.T) {
	for value, want := range map[string]string{
		"1.2.3.4":                             "1.2.3.4:0",
		"9.9.9.9, 1.2.3.4":                    "1.2.3.4:0",
		"1.2.3.4, 10.0.0.2":                   "1.2.3.4:0",
		"9.9.9.9, 1.2.3.4, 10.0.0.3,10.0.0.2": "1.2.3.4:0",
		"1.2.3.4, fd00::2, ::ffff:10.0.0.2":   "1.2.3.4:0",
		"10.0.0.4, 10.0.0.3, 10.0.0.2":        "10.0.0.4:0",
		"10.0.0.2":                            "10.0.0.2:0",

		"1.2.3.4, unknown":               "10.0.0.1:9",
		"1.2.3.4, unknown, 10.0.0.2":     "10.0.0.2:0",
		"1.2.3.4, , 10.0.0.3, 10.0.0.2":  "10.0.0.3:0",
		"1.2.3.4,":                       "10.0.0.1:9",
		",1.2.3.4":                       "1.2.3.4:0",
		"":                               "10.0.0.1:9",
		",":                              "10.0.0.1:9",
		"_hidden":                        "10.0.0.1:9",
		"9.9.9.9, 1.2.3.4;, 10.0.0.2:77": "10.0.0.2:77",
		`"1.2.3.4"`:                      "10.0.0.1:9",
		"1.2.3.4 5.6.7.8":                "10.0.0.1:9",
	} {
		check(t, want+" http h", "X-Forwarded-For: "+value)
	}
}

// spec: http 25
func TestFormsOfAnAddress(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4":                   "1.2.3.4:0",
		"1.2.3.4:5678":              "1.2.3.4:5678",
		"2001:db8::1":               "[2001:db8::1]:0",
		"2001:DB8::0:1":             "[2001:db8::1]:0",
		"[2001:db8::1]":             "[2001:db8::1]:0",
		"[2001:db8::1]:5678":        "[2001:db8::1]:5678",
		"::ffff:1.2.3.4":            "1.2.3.4:0",
		"[::ffff:1.2.3.4]:80":       "1.2.3.4:80",
		"1.2.3.4:0":                 "1.2.3.4:0",
		"1.2.3.4:65535":             "1.2.3.4:65535",
		"1.2.3.4:00080":             "1.2.3.4:80",
		"1.2.3.4:_http":             "1.2.3.4:0", // RFC 7239 §6: an obfuscated port
		"1.2.3.4:_":                 "",
		"1.2.3.4:_a:b":              "",
		"1.2.3.4:_a~":               "",
		"1.2.3.4:65536":             "",
		"1.2.3.4:000080":            "",
		"1.2.3.4:99999999999999999": "",
		"1.2.3.4:":                  "",
		"1.2.3.4:-1":                "",
		"1.2.3.4:8a":                "",
		"1.2.3.04":                  "",
		"1.2.3":                     "",
		"[1.2.3.4]":                 "",
		"[::1":                      "",
		"[::1]80":                   "",
		"[::1]:":                    "",
		"[]":                        "",
		"::1]":                      "",
		"fe80::1%eth0":              "",
		"[fe80::1%25eth0]:80":       "",
		"localhost":                 "",
		"1.2.3.4:80:90":             "",
		":80":                       "",
	} {
		if want == "" {
			want = peer
		}
		check(t, want+" http h", "X-Forwarded-For: "+text)
		check(t, want+" http h", `Forwarded: for="`+text+`"`)
	}
	check(t, "1.2.3.4:0 http h", "X-Forwarded-For: 9.9.9.9 ,\t 1.2.3.4 \t, 10.0.0.2")
	check(t, peer+" http h", `Forwarded: for=" 1.2.3.4"`)
}

// Fields are a request's lines of one name, read as one list.
// spec: http 25
func TestSeveralLinesAreOneList(t *testing.T) {
	check(t, "1.2.3.4:0 http h", "X-Forwarded-For: 9.9.9.9", "X-Other: a", "x-forwarded-for: 1.2.3.4", "X-FORWARDED-FOR: 10.0.0.3, 10.0.0.2")
	check(t, "10.0.0.2:0 http h", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-For:", "X-Forwarded-For: 10.0.0.2")
	check(t, "10.0.0.1:9 http h", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-For:")
	check(t, "1.2.3.4:0 https h", "X-Forwarded-For: 1.2.3.4, 10.0.0.2", "X-Forwarded-Proto: https", "X-Forwarded-Proto: http")
	check(t, "1.2.3.4:0 http h", "X-Forwarded-For: 1.2.3.4, 10.0.0.2", "X-Forwarded-Proto: https, https", "X-Forwarded-Proto: http")
	check(t, "1.2.3.4:0 http b", "X-Forwarded-For: 9.9.9.9, 1.2.3.4", "X-Forwarded-Host: a, b", "X-Forwarded-Host: c", "X-Forwarded-For: 10.0.0.3")
	check(t, "1.2.3.4:0 https h", "Forwarded: for=9.9.9.9", "Forwarded: for=1.2.3.4;proto=https", "Forwarded: for=10.0.0.3, for=10.0.0.2")
}

// spec: http 25
func TestOnlyATrustedPeerIsBelieved(t *testing.T) {
	lines := []string{
		"Host: h", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: e",
		"Forwarded: for=1.2.3.4;proto=https;host=e",
	}
	for _, c := range []struct {
		peer, list, want string
	}{
		{"10.0.0.1:9", "10.0.0.1", "1.2.3.4:0 https e"},
		{"10.0.0.2:9", "10.0.0.1", "10.0.0.2:9 http h"},
		{"[fd00::1]:9", "10.0.0.1", "[fd00::1]:9 http h"},
		{"[fd00::1]:9", "fd00::/8", "1.2.3.4:0 https e"},
		{"unix", "10.0.0.1", "unix http h"},
		{"unix", "unix", "1.2.3.4:0 https e"},
		{"10.0.0.1:9", "unix", "10.0.0.1:9 http h"},
		{"9.9.9.9:9", "*", "1.2.3.4:0 https e"},
		{"unix", "*", "1.2.3.4:0 https e"},
		{"", "*", "1.2.3.4:0 https e"},
		{"", "10.0.0.1", "- http h"},
	} {
		for _, family := range [][]string{lines, lines[:4], {lines[0], lines[4]}} {
			req := request(at(t, c.peer), family...)
			trust(t, c.list).Apply(req)
			if got := told(req); got != c.want {
				t.Errorf("%q with %q trusted: got %s, want %s", c.peer, c.list, got, c.want)
			}
		}
	}
	req := request(at(t, peer), lines...)
	(*Trust)(nil).Apply(req)
	if got := told(req); got != "10.0.0.1:9 http h" {
		t.Errorf("with nobody trusted: %s", got)
	}
}

// spec: http 25
func TestWithEverybodyTrustedTheLeftmostHopIsTheClient(t *testing.T) {
	for _, line := range []string{"X-Forwarded-For: 1.2.3.4, 5.6.7.8, 10.0.0.2", "Forwarded: for=1.2.3.4, for=5.6.7.8, for=10.0.0.2"} {
		req := request(at(t, "9.9.9.9:9"), line)
		trust(t, "*").Apply(req)
		if got := told(req); got != "1.2.3.4:0 http none" {
			t.Errorf("%s: %s", line, got)
		}
	}
}

// spec: http 25
func TestSchemeAndHostOfTheFamily(t *testing.T) {
	hops := "X-Forwarded-For: 9.9.9.9, 1.2.3.4, 10.0.0.2" // the client is the second
	for _, c := range []struct {
		scheme, host, want string
	}{
		{"https", "a.example", "https a.example"},
		{"HTTPS", "a.example:8443", "https a.example:8443"},
		{"wss", "[::1]:80", "https [::1]:80"},
		{"Ws", "h", "http h"},
		{"http", "a_b", "http a_b"},
		{"ftp", "", "http h"},
		{"", "a/b", "http h"},
		{"https1", "a b", "http h"},
		{"http\u017f", "a:b", "http h"},
		{"http, https, http", "a, b, c", "https b"},
		{"https, http, https", "a, a/b, c", "http h"},
		{"https, ftp, https", "a, , c", "http h"},
		{"https, http", "a, b", "http b"},
		{"http,https", "a, b, c, d", "https d"},
		{"https,http,http,http", ",", "http h"},
		{"https, ", "a, ", "http h"},
	} {
		check(t, "1.2.3.4:0 "+c.want, hops, "X-Forwarded-Proto: "+c.scheme, "X-Forwarded-Host: "+c.host)
	}
	check(t, "10.0.0.1:9 https a", "X-Forwarded-Proto: https", "X-Forwarded-Host: a")
	check(t, "10.0.0.1:9 http b", "X-Forwarded-Proto: https, http", "X-Forwarded-Host: a, b")
	// The walk ends before its first step: what the peer itself says counts.
	check(t, "10.0.0.1:9 https b", "X-Forwarded-For: 1.2.3.4, unknown", "X-Forwarded-Proto: http, https", "X-Forwarded-Host: a, b")
	// It ends at the hop before the one that is not known.
	check(t, "10.0.0.3:0 https b", "X-Forwarded-For: unknown, 10.0.0.3, 10.0.0.2", "X-Forwarded-Proto: http, https, http", "X-Forwarded-Host: a, b, c")
}

func TestAPlainSchemeIsBelievedToo(t *testing.T) {
	for _, line := range []string{"X-Forwarded-Proto: http", "Forwarded: proto=http"} {
		req := request(at(t, peer), line)
		req.Scheme = exchange.Secure
		trust(t, "*").Apply(req)
		if req.Scheme != exchange.Plain {
			t.Error(line)
		}
	}
}

// spec: http 25
func TestForwarded(t *testing.T) {
	for value, want := range map[string]string{
		"for=1.2.3.4;proto=https;host=a;by=10.0.0.1":                                   "1.2.3.4:0 https a",
		`By="10.0.0.1";HOST="a:80";Proto=HTTPS;FOR="1.2.3.4:5"`:                        "1.2.3.4:5 https a:80",
		`For="[2001:db8:cafe::17]:4711"`:                                               "[2001:db8:cafe::17]:4711 http h",
		"for=9.9.9.9;proto=http;host=a, for=1.2.3.4;host=b, for=10.0.0.2;proto=https":  "1.2.3.4:0 http b",
		"for=1.2.3.4;proto=https;host=a, for=10.0.0.3;proto=http, for=10.0.0.2;host=b": "1.2.3.4:0 https a",
		"for=10.0.0.3;proto=https;host=a, for=10.0.0.2;proto=http;host=b":              "10.0.0.3:0 https a",

		// Not known, hidden, missing: the walk ends.
		"for=1.2.3.4, for=unknown":                         "10.0.0.1:9 http h",
		"for=1.2.3.4, for=_hidden, for=10.0.0.2":           "10.0.0.2:0 http h",
		"for=1.2.3.4, , for=10.0.0.2":                      "10.0.0.2:0 http h",
		"for=1.2.3.4,":                                     "10.0.0.1:9 http h",
		"":                                                 "10.0.0.1:9 http h",
		"for=unknown;proto=https;host=a":                   "10.0.0.1:9 https a",
		"proto=https;host=a":                               "10.0.0.1:9 https a",
		"proto=https;host=a, for=10.0.0.2;host=b":          "10.0.0.2:0 http b",
		"for=1.2.3.4;proto=ftp;host=\"a/b\"":               "1.2.3.4:0 http h",
		"for=1.2.3.4;host=\"\";proto=\"\"":                 "1.2.3.4:0 http h",
		"for=1.2.3.4;secret=\"a,b;c=\\\"d\\\"\";proto=wss": "1.2.3.4:0 https h",
		`for=1.2.3.4;host="a,b"`:                           "1.2.3.4:0 http a,b",

		`for=1.2.3.4;x="a,b\\", for=10.0.0.2;x="a,\"\",b"`: "1.2.3.4:0 http h",

		// Escapes count where no span is needed.
		`for="1.2\.3.\4";proto="ht\tps"`:      "1.2.3.4:0 https h",
		`for=1.2.3.4;host="a\.b"`:             "1.2.3.4:0 http h",
		`x="\\", for=1.2.3.4;y="\\\"";host=a`: "1.2.3.4:0 http a",

		// What many send, though RFC 7239 does not allow it.
		"for=1.2.3.4; proto=https ; host=a:80": "1.2.3.4:0 https a:80",
		"for=[2001:db8::1]:80":                 "[2001:db8::1]:80 http h",
		";for=1.2.3.4;;proto=https;":           "1.2.3.4:0 https h", // this is allowed

		// Malformed: the walk ends.
		"for=1.2.3.4, for = 10.0.0.2":          "10.0.0.1:9 http h",
		"for=1.2.3.4, for=9.9.9.9 proto=https": "10.0.0.1:9 http h",
		"for=1.2.3.4;for=9.9.9.9;proto=https":  "10.0.0.1:9 http h",
		"for=1.2.3.4;proto=http;Proto=https":   "10.0.0.1:9 http h",
		"for=1.2.3.4;host=a;host=b":            "10.0.0.1:9 http h",
		"for=1.2.3.4;proto":                    "10.0.0.1:9 http h",
		"for=1.2.3.4;=a":                       "10.0.0.1:9 http h",
		"for=1.2.3.4;proto=":                   "10.0.0.1:9 http h",
		"for=":                                 "10.0.0.1:9 http h",
		"for":                                  "10.0.0.1:9 http h",
		"1.2.3.4":                              "10.0.0.1:9 http h",
		`for="1.2.3.4`:                         "10.0.0.1:9 http h",
		`for="1.2.3.4\"`:                       "10.0.0.1:9 http h",
		`for="1.2.3.4"x;proto=https`:           "10.0.0.1:9 http h",
		`for=1.2.3.4", for=10.0.0.2`:           "10.0.0.2:0 http h",
		"for=1.2.3.4;host=a/b":                 "10.0.0.1:9 http h",
		"for=1.2.3.4;b@d=a":                    "10.0.0.1:9 http h",
		"for=1.2.3.4;proto=https;x, for=10.0.0.2;host=b": "10.0.0.2:0 http b",
	} {
		check(t, want, "Forwarded: "+value)
	}
}

// Whatever an untrusted client writes, the element that the proxy appends is read as it is.
// spec: http 25
func TestAnOpenQuoteHidesNothing(t *testing.T) {
	for _, before := range []string{`for="`, `for="\`, `"`, `\`, `for=8.8.8.8;x="`, `for="8.8.8.8", "`, `for=8.8.8.8;host="a\", for="`} {
		check(t, "1.2.3.4:0 https a", "Forwarded: "+before+`, for=1.2.3.4;host="a";proto=https`)
		check(t, "[2001:db8::1]:80 http h", "Forwarded: "+before, `Forwarded: for="[2001:db8::1]:80"`)
		check(t, "1.2.3.4:0 http h", "X-Forwarded-For: "+before+", 1.2.3.4")
	}
}

// spec: http 25
func TestTheFamiliesAreNeverMixed(t *testing.T) {
	full := "Forwarded: for=9.9.9.9;proto=https;host=e"
	check(t, "1.2.3.4:0 http h", full, "X-Forwarded-For: 1.2.3.4")
	check(t, "10.0.0.1:9 http h", full, "X-Forwarded-For:")
	check(t, "10.0.0.1:9 http h", full, "X-Forwarded-Proto: http")
	check(t, "10.0.0.1:9 http a", full, "X-Forwarded-Host: a")
	check(t, "9.9.9.9:0 https e", full, "X-Forwarded-Port: 1", "X-Forwarded-Foo: 1.2.3.4", "X_Forwarded_For: 1.2.3.4", "X-Real-IP: 1.2.3.4")
}

func TestALongListIsReadToABound(t *testing.T) {
	for _, c := range []struct {
		hops int
		want string
	}{
		{63, "1.2.3.4:0"},
		{64, "10.0.0.64:0"},
		{20_000, "10.0.0.64:0"},
	} {
		var plain, pairs strings.Builder
		plain.WriteString("X-Forwarded-For: 1.2.3.4")
		pairs.WriteString("Forwarded: for=1.2.3.4")
		for i := c.hops; i > 0; i-- {
			fmt.Fprintf(&plain, ",10.0.0.%d", i%256)
			fmt.Fprintf(&pairs, ",for=10.0.0.%d", i%256)
		}
		check(t, c.want+" http h", plain.String())
		check(t, c.want+" http h", pairs.String())
	}
}

// The application still sees all of the headers: a value of Host is all that changes.
func TestOnlyHostChangesAmongTheFields(t *testing.T) {
	lines := []string{
		"Accept: a", "hOsT: h", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "x-forwarded-host: a, b",
		"Forwarded: for=9.9.9.9;host=e", "X-Forwarded-Port: 7",
	}
	req := request(at(t, peer), lines...)
	req.Server, req.ID = at(t, "10.0.0.9:80"), 7
	before := *req
	before.Fields, before.Buf = slices.Clone(req.Fields), bytes.Clone(req.Buf)
	trust(t, "*").Apply(req)
	host := req.Fields[1].Value
	if string(host.Of(req.Buf)) != "b" || int(host.Start) != bytes.Index(req.Buf, []byte("a, b"))+3 {
		t.Errorf("Host is %q at %d", host.Of(req.Buf), host.Start)
	}
	req.Fields[1].Value = before.Fields[1].Value
	if !bytes.Equal(req.Buf, before.Buf) || !slices.Equal(req.Fields, before.Fields) {
		t.Error("more than the value of Host has changed")
	}
	if req.Server != before.Server || req.ID != before.ID || req.Kind != before.Kind || req.Path != before.Path {
		t.Error("more than the client, the scheme and Host has changed")
	}
}

func TestARequestWithoutHostGetsOne(t *testing.T) {
	for line, name := range map[string]string{
		"x-forwarded-HOSt: a":           "HOSt",
		"Forwarded: for=1.2.3.4;hoST=a": "hoST",
		"X-Forwarded-Host: a, b/":       "",
		`Forwarded: host="\a"`:          "",
	} {
		req := request(at(t, peer), "Accept: x", line)
		trust(t, "*").Apply(req)
		if name == "" {
			if len(req.Fields) != 2 {
				t.Errorf("%s: %s", line, told(req))
			}
			continue
		}
		if len(req.Fields) != 3 {
			t.Fatalf("%s: %d fields", line, len(req.Fields))
		}
		f := req.Fields[2]
		if string(f.Name.Of(req.Buf)) != name || string(f.Value.Of(req.Buf)) != "a" {
			t.Errorf("%s: %q: %q", line, f.Name.Of(req.Buf), f.Value.Of(req.Buf))
		}
	}
}

var usual = map[string][]string{
	"family":    {"Host: h", "Accept: */*", "User-Agent: x", "X-Forwarded-For: 1.2.3.4, 10.0.0.2", "X-Forwarded-Proto: https"},
	"host":      {"Host: h", "X-Forwarded-For: 2001:db8::1", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.example:8443"},
	"forwarded": {"Host: h", `Forwarded: for="[2001:db8::1]:80";proto=https;host=a.example, for=10.0.0.2`},
	"hidden":    {"Host: h", "X-Forwarded-For: unknown"},
	"nothing":   {"Host: h", "Accept: */*", "User-Agent: x"},
}

func TestApplyAllocatesNothing(t *testing.T) {
	trusted := trust(t, "127.0.0.1", "10.0.0.0/8")
	from := at(t, peer)
	for name, lines := range usual {
		req := request(from, lines...)
		host := req.Fields[0].Value
		if n := testing.AllocsPerRun(100, func() {
			req.Client, req.Fields[0].Value = from, host
			trusted.Apply(req)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	trusted := trust(b, "127.0.0.1", "10.0.0.0/8")
	from := at(b, peer)
	for name, lines := range usual {
		b.Run(name, func(b *testing.B) {
			req := request(from, lines...)
			host := req.Fields[0].Value
			b.ReportAllocs()
			for b.Loop() {
				req.Client, req.Fields[0].Value = from, host
				trusted.Apply(req)
			}
		})
	}
}
