package wscases

import (
	"bytes"
	"compress/flate"
	"strings"
	"testing"
)

func TestTheTableIsRead(t *testing.T) {
	cases, err := All(16 << 20)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range Families() {
		known[f[0]] = true
	}
	for _, c := range cases {
		if !known[c.Family()] {
			t.Errorf("%s is of no family", c.Number)
		}
		if len(c.steps) == 0 && c.handshake.status == 0 && !c.handshake.refused && c.Number != "0.1" && c.Number != "0.2" && c.Number != "0.3" {
			t.Errorf("%s does nothing", c.Number)
		}
		if strings.Contains(c.Title+c.Number, "$") {
			t.Errorf("%s %s: a name is left", c.Number, c.Title)
		}
	}
	if len(cases) < 500 {
		t.Errorf("%d cases", len(cases))
	}
}

func TestWhatIsNoCaseIsRefused(t *testing.T) {
	for _, text := range []string{
		"1.1 no rule\n  > text",
		"1.1 a | b\n  > nonsense",
		"1.1 a | b\n  > text \"open",
		"1.1 a | b\n  > text nonsense",
		"1.1 a | b\n  > text zeros many",
		"1.1 a | b\n  > text hex 0",
		"1.1 a | b\n  > op=16",
		"1.1 a | b\n  < raw",
		"1.1 a | b\n  what",
		"1.1 a | b\n  chop -1",
		"1.1 a | b\n  > text\n1.1 a | b\n  > text",
	} {
		if _, err := parse(text, 1); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestLinesBecomeFrames(t *testing.T) {
	cases, err := parse("1.$ a $N | b\n  each N 2 3\n  > text \"a\" x $N + hex ff nofin rsv1\n  > close 1000 \"x\"\n  < close none", 10)
	if err != nil || len(cases) != 2 {
		t.Fatal(len(cases), err)
	}
	c := cases[1]
	if c.Number != "1.2" || c.Title != "a 3" || c.Rule != "b" {
		t.Errorf("%+v", c)
	}
	if f := c.steps[0]; f.op != 1 || f.first != 0x40 || string(f.payload) != "aaa\xff" {
		t.Errorf("%+v", f)
	}
	if f := c.steps[1]; f.op != 8 || string(f.payload) != "\x03\xe8x" {
		t.Errorf("%+v", f)
	}
	if f := c.steps[2]; f.do != expectClose || f.code != -1 {
		t.Errorf("%+v", f)
	}
}

// deflated compresses with the standard library: two messages of a stream whose context is kept.
func deflated(messages ...[]byte) (packed [][]byte) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	for _, m := range messages {
		b.Reset()
		_, _ = w.Write(m)
		_ = w.Flush()
		packed = append(packed, bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte(marker))))
	}
	return packed
}

func TestTheUnpackerIsRightAndStrict(t *testing.T) {
	u := &unpacker{agreed: agreement{on: true, serverBits: 15, clientBits: 15}}
	messages := [][]byte{json(5000), json(5000), nil, greek(70000), noise(3000), words(100), make([]byte, 100000)}
	for i, p := range deflated(messages...) {
		if got, err := u.message(p); err != nil || !bytes.Equal(got, messages[i]) {
			t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
		}
	}
	far := append(append(noise(400), make([]byte, 400)...), noise(400)...)
	for bits, fits := range map[int]bool{8: false, 9: false, 10: true} {
		u := &unpacker{agreed: agreement{on: true, serverBits: bits}}
		if _, err := u.message(deflated(far)[0]); (err == nil) != fits {
			t.Errorf("a distance of 800 in a window of %d bits: %v", bits, err)
		}
	}
	u = &unpacker{agreed: agreement{on: true, serverNoTakeover: true, serverBits: 15}}
	two := deflated(noise(100), noise(100))
	if _, err := u.message(two[0]); err != nil {
		t.Error(err)
	}
	if _, err := u.message(two[1]); err == nil {
		t.Error("a message refers to one before it, without a context")
	}
	for _, wrong := range []string{"\x07", "\x00\x05\x00\x00", "\xff\xff\xff", "\xf2\x48\xcd"} {
		if _, err := u.message([]byte(wrong)); err == nil {
			t.Errorf("%x is inflated", wrong)
		}
	}
}

func TestAnAnswerIsSetAgainstTheOffer(t *testing.T) {
	for answer, offer := range map[string]string{
		"x":                  "x",
		"permessage-deflate": "x",
		"permessage-deflate; client_max_window_bits=10":       "permessage-deflate",
		"permessage-deflate; server_max_window_bits=16":       "permessage-deflate",
		"permessage-deflate; server_max_window_bits":          "permessage-deflate; server_max_window_bits=9",
		"permessage-deflate; other":                           "permessage-deflate",
		"permessage-deflate; server_no_context_takeover=1":    "permessage-deflate",
		"permessage-deflate; client_max_window_bits=7; other": "permessage-deflate; client_max_window_bits",
	} {
		if _, err := parseAgreement(answer, offer); err == nil {
			t.Errorf("%q answers %q", answer, offer)
		}
	}
	a, err := parseAgreement("permessage-deflate; server_no_context_takeover; client_max_window_bits=10", "permessage-deflate; client_max_window_bits")
	if want := (agreement{on: true, serverNoTakeover: true, serverBits: 15, clientBits: 10}); a != want || err != nil {
		t.Errorf("%+v, %v", a, err)
	}
}
