package client

import (
	"fmt"
	"net/netip"
)

// denied are networks that no public service lives in, beyond those that netip knows (IANA's special-purpose registries).
var denied = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
	"2001:db8::/32", "2002::/16", "5f00::/16", "fec0::/10", "::/96")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// DenyPrivate is for Settings.Deny: it allows public addresses only. A server that fetches what its clients name is safe with it
// from being sent to its own neighbours (SSRF), whatever names mean by the time they are looked up.
func DenyPrivate(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%s is denied: it is no IP address", address)
	}
	ip := at.Addr().Unmap().WithZone("")
	private := !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast()
	for _, p := range denied {
		private = private || p.Contains(ip)
	}
	if private {
		return fmt.Errorf("%s is denied: it is not a public address", ip)
	}
	return nil
}
