package proxyproto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// FuzzParse holds Parse to its two invariants: the same bytes have the same outcome however they come, and what is behind the
// header has no part in it. What is accepted is then looked at with other means.
func FuzzParse(f *testing.F) {
	for _, c := range valid {
		f.Add([]byte(c.raw))
	}
	for _, c := range invalid {
		f.Add([]byte(c.raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 2*MaxLength {
			return
		}
		want := outcome(string(raw))
		for i := range raw {
			got := outcome(string(raw[:i]))
			if got == "more" {
				continue
			}
			if got != want {
				t.Fatalf("first %d bytes: %s\nwhole: %s", i, got, want)
			}
			break // it stays so: the whole is one of the continuations, here is another
		}
		h, n, err := Parse(raw)
		if err == nil && n == 0 {
			return
		}
		if got := outcome(string(raw) + "\r\n\x00"); got != want {
			t.Fatalf("with more behind: %s\nwhole: %s", got, want)
		}
		if err != nil {
			return
		}
		if n > len(raw) || n > MaxLength {
			t.Fatalf("a header of %d bytes in %d", n, len(raw))
		}
		if got := outcome(string(raw[:n])); got != want {
			t.Fatalf("header alone: %s\nwhole: %s", got, want)
		}
		if raw[0] == 'P' {
			checkText(t, raw[:n], h)
		} else {
			checkBinary(t, raw[:n], h)
		}
	})
}

var (
	unknownLine = regexp.MustCompile(`^PROXY UNKNOWN( [^\r\n]*)?\r\n$`)
	knownLine   = regexp.MustCompile(`^PROXY TCP(4 [0-9.]+ [0-9.]+|6 [0-9a-fA-F:.]+ [0-9a-fA-F:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n$`)
)

func checkText(t *testing.T, line []byte, h Header) {
	m := knownLine.FindSubmatch(bytes.ToValidUTF8(line, []byte("?")))
	if len(line) > 107 || h.Local != (m == nil) || m == nil && !unknownLine.Match(bytes.ToValidUTF8(line, []byte("?"))) {
		t.Fatalf("%q is a line", line)
	}
	if m != nil && (fmt.Sprint(h.Client.Port) != string(m[2]) || fmt.Sprint(h.Server.Port) != string(m[3])) {
		t.Fatalf("ports %d and %d of %q", h.Client.Port, h.Server.Port, line)
	}
}

// checkBinary writes the addresses again.
func checkBinary(t *testing.T, header []byte, h Header) {
	if string(header[:12]) != signature || header[12]&^1 != 0x20 || len(header) != 16+int(header[14])<<8+int(header[15]) {
		t.Fatalf("%q is a header", header)
	}
	local := header[12] == 0x20 || header[13] < 0x10
	if local || header[13] == 0x31 {
		if h.Local != local || (h.Client.Family == exchange.Unix) != !local {
			t.Fatalf("%q: %v", header, h)
		}
		return
	}
	var again []byte
	for _, a := range []exchange.Address{h.Client, h.Server} {
		ip := a.AddrPort().Addr()
		if header[13] == 0x21 {
			all := ip.As16()
			again = append(again, all[:]...)
		} else {
			again = append(again, ip.AsSlice()...)
		}
	}
	again = binary.BigEndian.AppendUint16(again, h.Client.Port)
	again = binary.BigEndian.AppendUint16(again, h.Server.Port)
	if !bytes.HasPrefix(header[16:], again) {
		t.Fatalf("%q: %v", header, h)
	}
}
