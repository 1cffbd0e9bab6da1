package websocket

import (
	"errors"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

var shake = []string{
	"host: a", "upgrade: websocket", "connection: keep-alive, Upgrade", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13",
}

// with replaces the fields of a handshake that have the same names; an empty value leaves them out.
func with(changes ...string) []string {
	var fields []string
	for _, f := range append(append([]string{}, shake...), changes...) {
		name, value, _ := strings.Cut(f, ": ")
		replaced := false
		for _, c := range changes {
			n, _, _ := strings.Cut(c, ": ")
			replaced = replaced || n == name && c != f
		}
		if !replaced && value != "" {
			fields = append(fields, f)
		}
	}
	return fields
}

// spec: websocket 9
func TestHandshakesAreJudged(t *testing.T) {
	e := NewEngine(Settings{Deflate: true})
	for name, c := range map[string]struct {
		method string
		fields []string
		want   *Refusal
	}{
		"as in RFC 6455 §1.2":    {"GET", shake, nil},
		"another method":         {"POST", shake, ErrMethod},
		"in lower case":          {"get", shake, ErrMethod},
		"Connection: close":      {"GET", with("connection: close"), ErrConnection},
		"no Connection":          {"GET", with("connection: "), ErrConnection},
		"no key":                 {"GET", with("sec-websocket-key: "), ErrKeyMissing},
		"two keys":               {"GET", append(with(), "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="), ErrKeyTwice},
		"a key of 15 bytes":      {"GET", with("sec-websocket-key: dGhlIHNhbXBsZSBub25j"), ErrKey},
		"a key of 17 bytes":      {"GET", with("sec-websocket-key: dGhlIHNhbXBsZSBub25jZSE="), ErrKey},
		"a key that is no key":   {"GET", with("sec-websocket-key: ************************"), ErrKey},
		"a longer key":           {"GET", with("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==="), ErrKey},
		"no version":             {"GET", with("sec-websocket-version: "), ErrVersion},
		"an old version":         {"GET", with("sec-websocket-version: 8"), ErrVersion},
		"a list of versions":     {"GET", with("sec-websocket-version: 13, 8"), ErrVersion},
		"two versions":           {"GET", append(with(), "sec-websocket-version: 13"), ErrVersion},
		"malformed extensions":   {"GET", with("sec-websocket-extensions: permessage-deflate;"), ErrExtensions},
		"an extension with junk": {"GET", with("sec-websocket-extensions: a b"), ErrExtensions},
	} {
		t.Run(name, func(t *testing.T) {
			var o Offer
			if got := e.Check(request(c.method, exchange.HTTP11, c.fields...), &o); got != c.want {
				t.Errorf("%v instead of %v", got, c.want)
			}
		})
	}
	withBody := request("GET", exchange.HTTP11, shake...)
	withBody.End = false
	if got := e.Check(withBody, &Offer{}); got != ErrContent {
		t.Errorf("with content: %v", got)
	}
	if lines := ErrVersion.Lines; !strings.Contains(lines, "sec-websocket-version: 13\r\n") || !strings.Contains(lines, "upgrade: websocket\r\n") {
		t.Errorf("426 with %q", lines)
	}
}

func TestAnUpgradeIsWanted(t *testing.T) {
	for _, c := range []struct {
		version exchange.Version
		field   string
		want    bool
	}{
		{exchange.HTTP11, "upgrade: websocket", true},
		{exchange.HTTP11, "Upgrade: h2c ,\tWebSocket", true},
		{exchange.HTTP11, "upgrade: h2c", false},
		{exchange.HTTP11, "upgrade: websockets", false},
		{exchange.HTTP11, "upgradf: websocket", false},
		{exchange.HTTP10, "upgrade: websocket", false},
		{exchange.HTTP2, "upgrade: websocket", false},
	} {
		if got := Wanted(request("GET", c.version, "a: b", c.field)); got != c.want {
			t.Errorf("%d %q: %v", c.version, c.field, got)
		}
	}
}

func TestExtendedConnectHasNeitherKeyNorUpgrade(t *testing.T) {
	e := NewEngine(Settings{Deflate: true})
	for _, version := range []exchange.Version{exchange.HTTP2, exchange.HTTP3} {
		var o Offer
		req := request("CONNECT", version, "sec-websocket-version: 13", "sec-websocket-extensions: permessage-deflate")
		req.End = false
		if r := e.Check(req, &o); r != nil {
			t.Fatal(r)
		}
		lines, err := o.AppendLines(nil, &exchange.Acceptance{})
		if want := "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"; string(lines) != want || err != nil {
			t.Errorf("%q, %v", lines, err)
		}
		if r := e.Check(request("CONNECT", version), &o); r != ErrVersionCONNECT {
			t.Errorf("no version: %v", r)
		}
	}
}

// acceptance is an application's word.
func acceptance(subprotocol string, fields ...string) *exchange.Acceptance {
	req := request(subprotocol, exchange.HTTP11, fields...)
	return &exchange.Acceptance{Buf: req.Buf, Fields: req.Fields, Subprotocol: req.Method}
}

// spec: websocket 4
func TestTheAnswerHasWhatWasAgreed(t *testing.T) {
	var o Offer
	e := NewEngine(Settings{Deflate: true})
	fields := with("sec-websocket-protocol: chat, superchat", "sec-websocket-extensions: permessage-deflate; server_max_window_bits=10")
	req := request("GET", exchange.HTTP11, append(fields, "sec-websocket-protocol: third")...)
	if r := e.Check(req, &o); r != nil {
		t.Fatal(r)
	}
	clear(req.Buf) // the request may be gone by the time the application answers
	got, err := o.AppendLines([]byte("x"), acceptance("superchat", "X-One: 1", "set-cookie: a=b"))
	want := "xupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10\r\n" +
		"sec-websocket-protocol: superchat\r\nX-One: 1\r\nset-cookie: a=b\r\n"
	if string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, p := range []string{"chat", "third", ""} {
		if _, err := o.AppendLines(nil, acceptance(p)); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// spec: websocket 4
func TestAnApplicationsMistakesAreNamed(t *testing.T) {
	var o Offer
	if r := NewEngine(Settings{}).Check(request("GET", exchange.HTTP11, with("sec-websocket-protocol: chat, superchat")...), &o); r != nil {
		t.Fatal(r)
	}
	for _, c := range []struct {
		a    *exchange.Acceptance
		want error
		name string
	}{
		{acceptance("Chat"), ErrSubprotocol, "Chat"},
		{acceptance("cha"), ErrSubprotocol, "cha"},
		{acceptance("chat, superchat"), ErrSubprotocol, "chat, superchat"},
		{acceptance(" "), ErrSubprotocol, " "},
		{acceptance("", "a b: 1"), ErrAcceptedName, "a b"},
		{acceptance("", ": 1"), ErrAcceptedName, ""},
		{acceptance("", "a: 1\r\nb: 2"), ErrAcceptedValue, "a"},
		{acceptance("", "a: \x00"), ErrAcceptedValue, "a"},
		{acceptance("", "Sec-WebSocket-Accept: x"), ErrAcceptedField, "Sec-WebSocket-Accept"},
		{acceptance("", "sec-websocket-protocol: chat"), ErrAcceptedField, "sec-websocket-protocol"},
		{acceptance("", "sec-websocket-extensions: a"), ErrAcceptedField, "sec-websocket-extensions"},
		{acceptance("", "Upgrade: x"), ErrAcceptedField, "Upgrade"},
		{acceptance("", "connection: x"), ErrAcceptedField, "connection"},
		{acceptance("", "content-length: 0"), ErrAcceptedField, "content-length"},
		{acceptance("", "transfer-encoding: chunked"), ErrAcceptedField, "transfer-encoding"},
	} {
		got, err := o.AppendLines([]byte("x"), c.a)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.name) || string(got) != "x" {
			t.Errorf("%q: %q, %v", c.a.Buf, got, err)
		}
	}
}
