package forwarded

import (
	"net/netip"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// at makes an address of "unix", "", an IP address, or one with a port.
func at(t testing.TB, text string) exchange.Address {
	t.Helper()
	switch text {
	case "unix":
		return exchange.Address{Family: exchange.Unix}
	case "":
		return exchange.Address{}
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return exchange.AddressFrom(netip.AddrPortFrom(ip, 0))
	}
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		t.Fatal(err)
	}
	return exchange.AddressFrom(ap)
}

func trust(t testing.TB, list ...string) *Trust {
	t.Helper()
	trusted, err := Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	return trusted
}

// spec: http 25
func TestWhoIsTrusted(t *testing.T) {
	for _, c := range []struct {
		list    []string
		in, out []string
	}{
		{nil, nil, []string{"127.0.0.1", "::1", "unix", ""}},
		{[]string{"127.0.0.1"}, []string{"127.0.0.1", "127.0.0.1:80", "::ffff:127.0.0.1"}, []string{"127.0.0.2", "::1", "unix", ""}},
		{[]string{"::1"}, []string{"::1", "[::1]:80"}, []string{"::2", "127.0.0.1", "0.0.0.1"}},
		{[]string{"10.0.0.0/8"}, []string{"10.0.0.0", "10.255.255.255"}, []string{"9.255.255.255", "11.0.0.0", "::10.0.0.1"}},
		{[]string{"10.1.2.3/32"}, []string{"10.1.2.3"}, []string{"10.1.2.2", "10.1.2.4"}},
		{[]string{"2001:db8::/32"}, []string{"2001:db8:ffff::1"}, []string{"2001:db9::1", "32.1.13.184"}},
		{[]string{"::ffff:10.0.0.1"}, []string{"10.0.0.1"}, []string{"10.0.0.2"}},
		{[]string{"::ffff:10.0.0.0/104"}, []string{"10.9.9.9"}, []string{"11.0.0.0"}},
		{[]string{"::ffff:0:0/96"}, []string{"1.2.3.4"}, []string{"::1"}},
		{[]string{"0.0.0.0/0"}, []string{"1.2.3.4"}, []string{"::1", "unix", ""}},
		{[]string{"::/0"}, []string{"::1", "2001:db8::1"}, []string{"1.2.3.4", "unix"}},
		{[]string{"unix"}, []string{"unix"}, []string{"127.0.0.1", ""}},
		{[]string{"*"}, []string{"127.0.0.1", "::1", "unix", ""}, nil},
		{[]string{"unix", "::1", "10.0.0.0/8"}, []string{"unix", "::1", "10.0.0.1"}, []string{"127.0.0.1"}},
	} {
		trusted := trust(t, c.list...)
		for _, a := range c.in {
			if !trusted.Has(at(t, a)) {
				t.Errorf("%q does not have %q", c.list, a)
			}
		}
		for _, a := range c.out {
			if trusted.Has(at(t, a)) {
				t.Errorf("%q has %q", c.list, a)
			}
		}
	}
	mapped := exchange.Address{Family: exchange.IPv6, IP: netip.MustParseAddr("::ffff:10.0.0.1").As16()}
	if !trust(t, "10.0.0.1").Has(mapped) {
		t.Error("an IPv4 address that was left mapped into IPv6 is not known")
	}
	if (*Trust)(nil).Has(at(t, "127.0.0.1")) || new(Trust).Has(at(t, "unix")) {
		t.Error("an empty Trust has somebody")
	}
}

func TestParseNamesTheElementThatIsWrong(t *testing.T) {
	const forms = "must be an IP address, a network such as `10.0.0.0/8`, `unix` or `*`, got "
	const first = "must be a network by its first address, such as "
	for text, want := range map[string]string{
		"":                   forms + "nothing",
		"localhost":          forms + "`localhost`",
		"127.0.0.1:80":       forms + "`127.0.0.1:80`",
		"[::1]":              forms + "`[::1]`",
		"fe80::1%eth0":       forms + "`fe80::1%eth0`",
		"10.0.0.0/33":        forms + "`10.0.0.0/33`",
		"10.0.0.0/":          forms + "`10.0.0.0/`",
		"10.0.0.0/08":        forms + "`10.0.0.0/08`",
		"10.0.0.0/255.0.0.0": forms + "`10.0.0.0/255.0.0.0`",
		"UNIX":               forms + "`UNIX`",
		"unix:/run/a":        forms + "`unix:/run/a`",
		"**":                 forms + "`**`",
		"10.1.2.3/8":         first + "`10.0.0.0/8`, got `10.1.2.3/8`",
		"::1/64":             first + "`::/64`, got `::1/64`",
		"::ffff:0:0/90":      first + "`::ffc0:0:0/90`, got `::ffff:0:0/90`",
	} {
		trusted, err := Parse([]string{"127.0.0.1", text, "::1"})
		if trusted != nil || err == nil || err.Error() != want {
			t.Errorf("%q: got %v\nwant %s", text, err, want)
		}
	}
}
