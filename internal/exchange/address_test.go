package exchange

import (
	"net/netip"
	"strings"
	"testing"
)

var addresses = []string{
	"1.2.3.4", "255.255.255.255", "::", "::1", "2001:db8::1", "2001:DB8:0:0:0:0:0:1", "::ffff:1.2.3.4",
	"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
}

var noAddresses = []string{
	"", "1.2.3", "1.2.3.4.5", "1.2.3.04", "1.2.3.256", "1.2.3.4:80", "[::1]", ":", ":::", "1:2:3", "fe80::1%eth0", "localhost",
	"unknown", "1.2.3.4 ", " 1.2.3.4", "::1\x00", "\xff", "g::1", "@::1", "`::1", "/::1", ";::1", strings.Repeat("0", 46) + "::1",
}

func TestParseIP(t *testing.T) {
	for _, text := range addresses {
		if ip, ok := ParseIP([]byte(text)); !ok || ip != netip.MustParseAddr(text) {
			t.Errorf("%s: %v, %v", text, ip, ok)
		}
	}
	for _, text := range noAddresses {
		if ip, ok := ParseIP([]byte(text)); ok || ip.IsValid() {
			t.Errorf("%q is taken for %v", text, ip)
		}
	}
}

func TestParseIPAllocatesNothing(t *testing.T) {
	text := []byte("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { ParseIP(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
