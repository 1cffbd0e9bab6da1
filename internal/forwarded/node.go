package forwarded

import (
	"bytes"
	"net/netip"

	"github.com/awaitd/awaitd/internal/exchange"
)

const (
	maxPort       = 65535
	maxPortDigits = 5
)

// parseNode reads an address as proxies write it: 1.2.3.4, 1.2.3.4:5678, 2001:db8::1, [2001:db8::1] or [2001:db8::1]:5678. The
// port may be an obfuscated one, which counts as none (RFC 7239 §6).
func parseNode(b []byte) (exchange.Address, bool) {
	host, port := b, []byte(nil)
	colon := bytes.IndexByte(b, ':')
	bracket := len(b) > 0 && b[0] == '['
	switch {
	case bracket:
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return exchange.Address{}, false
		}
		host, port = b[1:end], b[end+1:]
	case colon >= 0 && colon == bytes.LastIndexByte(b, ':'):
		host, port = b[:colon], b[colon:]
	}
	ip, ok := exchange.ParseIP(host)
	if !ok || bracket && !ip.Is6() {
		return exchange.Address{}, false
	}
	number, ok := parsePort(port)
	return exchange.AddressFrom(netip.AddrPortFrom(ip, number)), ok
}

// parsePort reads nothing, or a colon and a port.
func parsePort(b []byte) (uint16, bool) {
	if len(b) == 0 {
		return 0, true
	}
	digits := b[1:]
	if b[0] != ':' || len(digits) == 0 {
		return 0, false
	}
	if digits[0] == '_' {
		return 0, isObfuscated(digits)
	}
	if len(digits) > maxPortDigits {
		return 0, false
	}
	number := 0
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		number = number*10 + int(c-'0')
	}
	return uint16(number), number <= maxPort
}

// isObfuscated tells whether b is an obfport: "_" and at least one letter, digit, ".", "_" or "-".
func isObfuscated(b []byte) bool {
	for _, c := range b[1:] {
		if c|0x20-'a' > 'z'-'a' && c-'0' > 9 && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return len(b) > 1
}
