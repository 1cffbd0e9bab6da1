package forwarded

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Trust is the proxies whose word is taken. It never changes, so that all reactors share one. The zero value, and nil, trust
// nobody.
type Trust struct {
	everybody bool
	unix      bool
	networks  []netip.Prefix // never of IPv4 mapped into IPv6
}

// Parse makes a Trust of IP addresses, networks in CIDR notation, "unix" for whoever comes over a unix socket, and "*" for
// everybody. IPv4 mapped into IPv6 is IPv4; ::/0 is all of IPv6 and nothing of IPv4. The error says what an element must be and
// what it is.
func Parse(list []string) (*Trust, error) {
	t := &Trust{}
	for _, text := range list {
		switch text {
		case "*":
			t.everybody = true
		case "unix":
			t.unix = true
		default:
			network, err := parseNetwork(text)
			if err != nil {
				return nil, err
			}
			t.networks = append(t.networks, network)
		}
	}
	return t, nil
}

// parseNetwork reads an address, as a network of one, or a network. It refuses a zone, since an exchange.Address has none, and
// a network by the address of one of its hosts: who writes that may mean the host alone.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, wrong(text)
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, wrong(text)
	}
	if whole := network.Masked(); whole != network {
		return netip.Prefix{}, fmt.Errorf("must be a network by its first address, such as `%v`, got `%s`", whole, text)
	}
	if ip := network.Addr(); ip.Is4In6() { // then all of the 96 bits before the IPv4 address count, or the mask had cut some
		network = netip.PrefixFrom(ip.Unmap(), network.Bits()-96)
	}
	return network, nil
}

func wrong(text string) error {
	const forms = "an IP address, a network such as `10.0.0.0/8`, `unix` or `*`"
	if text == "" {
		return fmt.Errorf("must be %s, got nothing", forms)
	}
	return fmt.Errorf("must be %s, got `%s`", forms, text)
}

// Has tells whether whoever is at a is trusted.
func (t *Trust) Has(a exchange.Address) bool {
	switch {
	case t == nil:
		return false
	case t.everybody:
		return true
	case a.Family == exchange.Unix:
		return t.unix
	}
	ip := a.AddrPort().Addr().Unmap()
	for _, network := range t.networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}
