package proxyproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// binaryHeader makes a header of version 2 with the length that its block has.
func binaryHeader(command, family byte, block string) string {
	b := append([]byte(signature), 0x20|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(block)))
	return string(b) + block
}

func tlv(kind byte, value string) string {
	b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))
	return string(b) + value
}

// summed puts the checksum of a header into the first TLV for it, whose value is zeros.
func summed(header string) string {
	at := strings.Index(header, "\x03\x00") + tlvStart
	b := []byte(header)
	binary.BigEndian.PutUint32(b[at:], crc32.Checksum(b, castagnoli))
	return string(b)
}

const (
	inet  = "\x01\x02\x03\x04\x05\x06\x07\x08\x10\x20\x00\x50"
	inet6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xff\xff\x01\xbb"
	mixed = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xff\xff\x01\xbb"
)

var (
	paths   = strings.Repeat("/run/app.sock\x00\x00\x00\x00\x00", 12)
	zeroSum = tlv(typeCRC32C, "\x00\x00\x00\x00")
)

// valid are headers, and what is in them.
var valid = []struct{ name, raw, want string }{
	{"TCP4", "PROXY TCP4 1.2.3.4 5.6.7.8 4128 80\r\n", "1.2.3.4:4128 5.6.7.8:80"},
	{"longest TCP4", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535 255.255.255.255:65535"},
	{"ports of zero", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0 0.0.0.0:0"},
	{"TCP6", "PROXY TCP6 2001:db8::1 2001:DB8:0:0:0:0:0:2 65535 443\r\n", "[2001:db8::1]:65535 [2001:db8::2]:443"},
	{
		"longest TCP6", "PROXY TCP6 " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("FFFF:", 7) + "FFFF 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	},
	{"TCP6 with IPv4 in it", "PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", "1.2.3.4:1 [::1]:2"},
	{"UNKNOWN", "PROXY UNKNOWN\r\n", "local"},
	{"UNKNOWN with more", "PROXY UNKNOWN 1.2.3.4 what\x00ever \xff\r\n", "local"},
	{"longest UNKNOWN", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", "local"},

	{"INET", binaryHeader(commandProxy, inetStream, inet), "1.2.3.4:4128 5.6.7.8:80"},
	{"INET6", binaryHeader(commandProxy, inet6Stream, inet6), "[2001:db8::1]:65535 [2001:db8::2]:443"},
	{"INET6 with IPv4 in it", binaryHeader(commandProxy, inet6Stream, mixed), "1.2.3.4:65535 [2001:db8::2]:443"},
	{"UNIX", binaryHeader(commandProxy, unixStream, paths), "unix unix"},
	{"LOCAL", binaryHeader(commandLocal, unspecified, ""), "local"},
	{"LOCAL with addresses", binaryHeader(commandLocal, inetStream, inet+tlv(4, "x")), "local"},
	{"LOCAL with any family and block", binaryHeader(commandLocal, 0xff, "\x03\xff\xff"), "local"},
	{"UNSPEC", binaryHeader(commandProxy, unspecified, ""), "local"},
	{"UNSPEC with a block", binaryHeader(commandProxy, unspecified, "\x03\xff\xff"), "local"},
	{"UNSPEC on a stream", binaryHeader(commandProxy, unspecifiedStream, inet), "local"},
	{"TLVs", binaryHeader(commandProxy, inetStream, inet+tlv(1, "h2")+tlv(4, "")+tlv(0xea, strings.Repeat("x", 300))), "1.2.3.4:4128 5.6.7.8:80"},
	{"an empty TLV at the end", binaryHeader(commandProxy, inet6Stream, inet6+tlv(4, "")), "[2001:db8::1]:65535 [2001:db8::2]:443"},
	{"as long as can be", binaryHeader(commandProxy, inetStream, inet+tlv(4, strings.Repeat("\x00", MaxLength-16-12-3))), "1.2.3.4:4128 5.6.7.8:80"},
	{"a checksum", summed(binaryHeader(commandProxy, inetStream, inet+zeroSum)), "1.2.3.4:4128 5.6.7.8:80"},
	{"a checksum amid TLVs", summed(binaryHeader(commandProxy, unixStream, paths+tlv(1, "h2")+zeroSum+tlv(4, "xyz"))), "unix unix"},
}

// invalid are bytes that are no header, why, and how many of them are needed to tell.
var invalid = []struct {
	name, raw string
	err       error
	after     int
}{
	{"HTTP", "GET / HTTP/1.1\r\n", errNoHeader, 1},
	{"TLS", "\x16\x03\x01", errNoHeader, 1},
	{"a POST", "POST / HTTP/1.1\r\n", errNoHeader, 2},
	{"lower case", "proxy TCP4", errNoHeader, 1},
	{"no space", "PROXYTCP4", errNoHeader, 6},
	{"two spaces", "PROXY  TCP4", errFamily, 7},
	{"an empty line", "\r\nGET / HTTP/1.1\r\n", errNoHeader, 3},
	{"the signature's end", "\r\n\r\n\x00\r\nQUIT\r", errNoHeader, 12},

	{"UDP4", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", errFamily, 8},
	{"TCP5", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", errFamily, 10},
	{"TCP4 and a tab", "PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n", errFamily, 11},
	{"UNKNOWNS", "PROXY UNKNOWNS\r\n", errFamily, 14},
	{"UNKNOWN and a bare LF", "PROXY UNKNOWN\n", errFamily, 14},
	{"UNKNOWN and a bare CR", "PROXY UNKNOWN\rx", errLineEnd, 15},
	{"a bare LF", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\nGET", errLineEnd, 31},
	{"a bare CR", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rGET", errLineEnd, 32},
	{"a bare LF in what is ignored", "PROXY UNKNOWN a\nb\r\n", errLineEnd, 16},
	{"a bare CR in what is ignored", "PROXY UNKNOWN a\rb\r\n", errLineEnd, 17},
	{"another character", "PROXY TCP4 1.2.3.4, 5.6.7.8 1 2\r\n", errCharacter, 19},
	{"a zone", "PROXY TCP6 fe80::1%1 ::1 1 2\r\n", errCharacter, 19},
	{"a tab", "PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n", errCharacter, 19},
	{"a NUL", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\x00\r\n", errCharacter, 31},
	{"a line without end", "PROXY TCP4 " + strings.Repeat("1", 200), errLongLine, 107},
	{"108 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", errLongLine, 107},
	{"no addresses", "PROXY TCP4 \r\n", errFields, 13},
	{"a port less", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", errFields, 30},
	{"a port more", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", errFields, 34},
	{"a space behind", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", errFields, 33},
	{"a space too many", "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n", errFields, 33},
	{"a space too many in front", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", errFields, 33},
	{"a client that is none", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", errAddress, 30},
	{"a server that is none", "PROXY TCP4 1.2.3.4 5.6.7 1 2\r\n", errAddress, 30},
	{"a leading zero", "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n", errAddress, 33},
	{"IPv6 in TCP4", "PROXY TCP4 ::1 ::1 1 2\r\n", errAddress, 24},
	{"mapped IPv4 in TCP4", "PROXY TCP4 ::ffff:1.2.3.4 1.2.3.4 1 2\r\n", errAddress, 39},
	{"IPv4 in TCP6", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", errAddress, 32},
	{"both in TCP6", "PROXY TCP6 ::1 5.6.7.8 1 2\r\n", errAddress, 28},
	{"brackets", "PROXY TCP6 [::1] ::1 1 2\r\n", errCharacter, 12},
	{"port 65536", "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", errPort, 36},
	{"a port of many digits", "PROXY TCP4 1.2.3.4 5.6.7.8 1 18446744073709551617\r\n", errPort, 51},
	{"a port with a leading zero", "PROXY TCP4 1.2.3.4 5.6.7.8 1 080\r\n", errPort, 34},
	{"port 00", "PROXY TCP4 1.2.3.4 5.6.7.8 00 80\r\n", errPort, 34},
	{"a port in hexadecimal", "PROXY TCP4 1.2.3.4 5.6.7.8 1f 80\r\n", errPort, 34},

	{"version 1", signature + "\x11\x11", errVersion, 13},
	{"version 3", signature + "\x31\x11", errVersion, 13},
	{"command 2", signature + "\x22\x11", errCommand, 13},
	{"command 15", signature + "\x2f\x11", errCommand, 13},
	{"UDP over IPv4", signature + "\x21\x12", errDatagram, 14},
	{"UDP over IPv6", signature + "\x21\x22", errDatagram, 14},
	{"UNIX datagrams", signature + "\x21\x32", errDatagram, 14},
	{"UNSPEC datagrams", signature + "\x21\x02", errDatagram, 14},
	{"family 4", signature + "\x21\x41", errTransport, 14},
	{"transport 3", signature + "\x21\x13", errTransport, 14},
	{"INET without transport", signature + "\x21\x10", errTransport, 14},
	{"too long", signature + "\x21\x11\x0f\xf1", errTooLong, 16},
	{"as long as it goes", signature + "\x20\x00\xff\xff", errTooLong, 16},
	{"INET too short", signature + "\x21\x11\x00\x0b", errShort, 16},
	{"INET6 too short", signature + "\x21\x21\x00\x23", errShort, 16},
	{"UNIX too short", signature + "\x21\x31\x00\xd7", errShort, 16},
	{"no addresses at all", signature + "\x21\x11\x00\x00", errShort, 16},
	{"a TLV's type alone", binaryHeader(commandProxy, inetStream, inet+"\x04"), errTLV, 29},
	{"a TLV's length in half", binaryHeader(commandProxy, inetStream, inet+"\x04\x00"), errTLV, 30},
	{"a TLV without its value", binaryHeader(commandProxy, inetStream, inet+"\x04\x00\x01"), errTLV, 31},
	{"a TLV one byte beyond the end", binaryHeader(commandProxy, inetStream, inet+tlv(1, "h2")+"\x04\x00\x04abc") + "d", errTLV, 39},
	{"a TLV of 64 KiB", binaryHeader(commandProxy, inetStream, inet+"\x04\xff\xff"), errTLV, 31},
	{"a wrong checksum", binaryHeader(commandProxy, inetStream, inet+zeroSum), errChecksum, 35},
	{"a short checksum", binaryHeader(commandProxy, inetStream, inet+tlv(typeCRC32C, "\x00\x00\x00")), errChecksum, 34},
	{"an empty checksum", binaryHeader(commandProxy, inetStream, inet+tlv(typeCRC32C, "")), errChecksum, 31},
	{"a long checksum", summed(binaryHeader(commandProxy, inetStream, inet+tlv(typeCRC32C, "\x00\x00\x00\x00\x00"))), errChecksum, 36},
	{"two checksums", summed(binaryHeader(commandProxy, inetStream, inet+zeroSum+zeroSum)), errChecksum, 42},
}

// outcome tells what Parse makes of raw: what the header says and how long it is, "more", or the error.
func outcome(raw string) string {
	h, n, err := Parse([]byte(raw)[:len(raw):len(raw)])
	switch {
	case err != nil && (n != 0 || h != Header{}):
		return fmt.Sprintf("error with a header of %d bytes", n)
	case err != nil:
		return "error: " + err.Error()
	case n == 0 && h != Header{}:
		return "a part of a header"
	case n == 0:
		return "more"
	case h.Local && (h.Client != exchange.Address{} || h.Server != exchange.Address{}):
		return "local, with addresses"
	case h.Local:
		return fmt.Sprintf("local; %d", n)
	}
	return fmt.Sprintf("%s %s; %d", h.Client.AppendTo(nil), h.Server.AppendTo(nil), n)
}

// spec: protocols 9
func TestAHeaderIsReadWhenItIsComplete(t *testing.T) {
	for _, c := range valid {
		want := fmt.Sprintf("%s; %d", c.want, len(c.raw))
		for i := range c.raw {
			if got := outcome(c.raw[:i]); got != "more" {
				t.Fatalf("%s, first %d bytes: %s", c.name, i, got)
			}
		}
		for _, behind := range []string{"", "\n", "\r\n", "GET / HTTP/1.1\r\n\r\n", c.raw, strings.Repeat("\x04", 5000)} {
			if got := outcome(c.raw + behind); got != want {
				t.Errorf("%s, before %.20q: got %s, want %s", c.name, behind, got, want)
			}
		}
	}
}

// spec: protocols 9
func TestWhatIsNoHeaderIsRefusedAsSoonAsItShows(t *testing.T) {
	for _, c := range invalid {
		for i := range c.raw {
			want := "more"
			if i >= c.after {
				want = "error: " + c.err.Error()
			}
			if got := outcome(c.raw[:i]); got != want {
				t.Fatalf("%s, first %d bytes: got %s, want %s", c.name, i, got, want)
			}
		}
		if _, _, err := Parse([]byte(c.raw + "GET / HTTP/1.1\r\n\r\n")); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	for c := range 256 {
		want := "error: " + errNoHeader.Error()
		if c == 'P' || c == '\r' {
			want = "more"
		}
		if got := outcome(string([]byte{byte(c)})); got != want {
			t.Errorf("first byte %#x: %s", c, got)
		}
	}
}

// Every bit of a header with a checksum counts.
// spec: protocols 9
func TestAChangedBitBreaksTheChecksum(t *testing.T) {
	raw := summed(binaryHeader(commandProxy, inetStream, inet+tlv(1, "h2")+zeroSum))
	for i := offAddress; i < len(raw); i++ {
		for bit := range 8 {
			b := []byte(raw)
			b[i] ^= 1 << bit
			if _, n, err := Parse(b); n != 0 && (i < 33 || i > 35) { // of its own type and length it can't know
				t.Errorf("bit %d of byte %d: %d, %v", bit, i, n, err)
			}
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	for _, c := range valid {
		raw := []byte(c.raw)
		if n := testing.AllocsPerRun(50, func() { _, _, _ = Parse(raw) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"TCP4", "TCP6", "INET", "a checksum"} {
		for _, c := range valid {
			if c.name == name {
				b.Run(name, func(b *testing.B) {
					raw := []byte(c.raw)
					b.ReportAllocs()
					for b.Loop() {
						_, _, _ = Parse(raw)
					}
				})
			}
		}
	}
}
