package forwarded

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

var peers = []string{"10.0.0.1:9", "unix", "[fd00::1]:9", "9.9.9.9:9", ""}

// FuzzApply gives any lines to Apply: spans stay inside the buffer, nothing changes but what may, and that only if the peer is
// trusted. Of X-Forwarded-For it has an oracle.
func FuzzApply(f *testing.F) {
	for _, lines := range usual {
		f.Add(strings.Join(lines, "\n"), uint8(0))
	}
	f.Add("X-Forwarded-For: 9.9.9.9, 1.2.3.4\nx-forwarded-for: [fd00::2]:80,10.0.0.2\nX-Forwarded-Host: a, b, c", uint8(2))
	f.Add("Forwarded: for=\"1.2.\\3.4\";host=\"a\\\\\", for=_x\nForwarded: for=\"10.0.0.2:_y\" ; proto=ws;x=\"\\\",\"", uint8(1))
	f.Add("Forwarded: host=a\nhost: b\nForwarded: for=10.0.0.2;;", uint8(3))
	trusted := trust(f, "10.0.0.0/8", "fd00::/8", "unix")
	f.Fuzz(func(t *testing.T, text string, from uint8) {
		req := request(at(t, peers[int(from)%len(peers)]), strings.Split(text, "\n")...)
		before := *req
		before.Buf, before.Fields = bytes.Clone(req.Buf), slices.Clone(req.Fields)
		trusted.Apply(req)
		checkFields(t, req, &before)
		if !trusted.Has(before.Client) {
			if told(req) != told(&before) || len(req.Fields) != len(before.Fields) {
				t.Fatalf("believed %q: %s", text, told(req))
			}
			return
		}
		if want, ok := naive(trusted, &before); ok && req.Client != want {
			t.Fatalf("got %s, want %s", req.Client.AppendTo(nil), want.AppendTo(nil))
		}
	})
}

// checkFields allows one Host to change, or a new one, that http1 would accept.
func checkFields(t *testing.T, req, before *exchange.Request) {
	t.Helper()
	if !bytes.Equal(req.Buf, before.Buf) || len(req.Fields) > len(before.Fields)+1 || len(req.Fields) < len(before.Fields) {
		t.Fatalf("the buffer, or the number of fields has changed: %d, %d", len(before.Fields), len(req.Fields))
	}
	changed := 0
	for i, f := range req.Fields {
		if f.Value.Start > f.Value.End || int(f.Value.End) > len(req.Buf) || f.Name.Start > f.Name.End || int(f.Name.End) > len(req.Buf) {
			t.Fatalf("field %d is %v of %d bytes", i, f, len(req.Buf))
		}
		if i < len(before.Fields) && f == before.Fields[i] {
			continue
		}
		changed++
		name := f.Name.Of(req.Buf)
		if i < len(before.Fields) && f.Name != before.Fields[i].Name || !strings.EqualFold(string(name), "host") || f.Value.Len() == 0 {
			t.Fatalf("field %d has become %q: %q", i, name, f.Value.Of(req.Buf))
		}
	}
	if changed > 1 {
		t.Fatalf("%d fields have changed", changed)
	}
}

// naive finds the client by X-Forwarded-For with means that allocate. Names with control characters are not its business.
func naive(trusted *Trust, req *exchange.Request) (exchange.Address, bool) {
	client, seen := req.Client, false
	var all []string
	for _, f := range req.Fields {
		name := string(f.Name.Of(req.Buf))
		if strings.ContainsFunc(name, func(r rune) bool { return !isToken(byte(min(r, 0x7f))) }) {
			return client, false
		}
		if strings.EqualFold(name, "x-forwarded-for") {
			seen = true
			all = append(all, strings.Split(string(f.Value.Of(req.Buf)), ",")...)
		}
	}
	slices.Reverse(all)
	for _, text := range all[:min(len(all), 64)] {
		text = strings.Trim(text, " \t")
		hop, err := netip.ParseAddrPort(text)
		if i := strings.Index(text, ":_"); i >= 0 || err != nil {
			bare, obfuscated := text, false
			if i >= 0 && isObfuscated([]byte(text[i+1:])) {
				bare, obfuscated = text[:i], true
			}
			bracketed := strings.HasPrefix(bare, "[") && strings.HasSuffix(bare, "]")
			ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(bare, "["), "]"))
			if err != nil || bracketed != strings.ContainsAny(bare, "[]") || bracketed && ip.Is4() || obfuscated && ip.Is6() && !bracketed {
				break
			}
			hop = netip.AddrPortFrom(ip, 0)
		}
		if hop.Addr().Zone() != "" || len(hop.Addr().String()) > 45 {
			break
		}
		client = exchange.AddressFrom(hop)
		if !trusted.Has(client) {
			break
		}
	}
	return client, seen
}

// FuzzNothingBeforeTheProxysWordCounts puts anything before the element that a trusted proxy appends.
func FuzzNothingBeforeTheProxysWordCounts(f *testing.F) {
	for _, before := range []string{"", "for=9.9.9.9", `for="`, `\`, `x="\"`, "unknown", "10.0.0.2", ";", `",`, `\",`, "\t"} {
		f.Add(before)
	}
	trusted := trust(f, "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, before string) {
		if strings.ContainsAny(before, "\r\n\x00") {
			return
		}
		for _, lines := range [][]string{
			{"X-Forwarded-For: " + before + ", 1.2.3.4:5"},
			{"X-Forwarded-For: " + before, "X-Forwarded-For: 1.2.3.4:5, 10.0.0.2"},
			{"Forwarded: " + before + `, for="1.2.3.4:5"`},
			{"Forwarded: " + before + `, for="1.2.3.4:5";x="\"", for=10.0.0.2`},
			{"Forwarded: " + before, `Forwarded: for="1.2.3.4:5"`},
		} {
			req := request(at(t, peer), lines...)
			trusted.Apply(req)
			if got := told(req); got != "1.2.3.4:5 http none" {
				t.Fatalf("%q: %s", lines, got)
			}
		}
	})
}
