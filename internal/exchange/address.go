package exchange

import (
	"net/netip"
	"unsafe"
)

// Family of an Address. The values are those of the wire.
type Family uint8

// Address families.
const (
	NoAddress Family = 0
	Unix      Family = 1
	IPv4      Family = 4
	IPv6      Family = 6
)

// Address is where a client or a server is: an IP address and port, a unix socket, or nothing. It holds no pointer.
type Address struct {
	IP     [16]byte // an IPv4 address is in the first four
	Port   uint16
	Family Family
}

// AddrPort returns the address as netip knows it; the zero value for other families.
func (a Address) AddrPort() netip.AddrPort {
	switch a.Family {
	case IPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.IP[:4])), a.Port)
	case IPv6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.IP), a.Port)
	}
	return netip.AddrPort{}
}

// AddressFrom makes an Address of an IP address and port. An IPv4 address mapped into IPv6 becomes IPv4; a zone is dropped.
func AddressFrom(ap netip.AddrPort) Address {
	ip := ap.Addr().Unmap()
	a := Address{Port: ap.Port()}
	switch {
	case ip.Is4():
		a.Family = IPv4
		v := ip.As4()
		copy(a.IP[:], v[:])
	case ip.Is6():
		a.Family = IPv6
		a.IP = ip.As16()
	default:
		return Address{}
	}
	return a
}

// ParseIP reads an IPv4 or IPv6 address without a zone. It allocates nothing.
func ParseIP(text []byte) (netip.Addr, bool) {
	if len(text) == 0 {
		return netip.Addr{}, false
	}
	for _, c := range text { // ":" comes behind "9"
		if c-'0' > ':'-'0' && c|0x20-'a' > 'f'-'a' && c != '.' {
			return netip.Addr{}, false
		}
	}
	ip, err := netip.ParseAddr(unsafe.String(&text[0], len(text))) // only a zone or an error would hold on to the text
	return ip, err == nil
}

// AppendTo appends the address as text: 127.0.0.1:80, [::1]:80, "unix", or "-".
func (a Address) AppendTo(b []byte) []byte {
	switch a.Family {
	case IPv4, IPv6:
		return a.AddrPort().AppendTo(b)
	case Unix:
		return append(b, "unix"...)
	}
	return append(b, '-')
}
