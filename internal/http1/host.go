package http1

import "bytes"

const (
	maxPort = 65535
	// maxIPv6 is the longest text of an IPv6 address: six groups of four digits and an IPv4 address.
	maxIPv6 = 45
)

// ValidHost tells whether b is uri-host [":" port] with a host that is not empty (RFC 9110 §4.2.1 and §7.2, RFC 3986 §3.2).
// The port may be empty.
func ValidHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		return end > 0 && validIPv6(b[1:end]) && validPort(b[end+1:])
	}
	i := 0
	for i < len(b) && class[b[i]]&hostChar != 0 {
		if b[i] == '%' && (len(b) < i+3 || !all(b[i+1:i+3], hexChar)) {
			return false
		}
		i++
	}
	return i > 0 && validPort(b[i:])
}

// validIPv6 checks characters and bounds; whether the groups make sense is up to who uses the address.
func validIPv6(b []byte) bool {
	colons := 0
	for _, c := range b {
		switch {
		case c == ':':
			colons++
		case c != '.' && class[c]&hexChar == 0:
			return false
		}
	}
	return colons >= 2 && colons <= 7 && len(b) <= maxIPv6
}

// validPort tells whether b is empty, or a colon and a port number, which may be empty.
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if b[0] != ':' {
		return false
	}
	port := 0
	for _, c := range b[1:] {
		if c-'0' > 9 {
			return false
		}
		if port = port*10 + int(c-'0'); port > maxPort {
			return false
		}
	}
	return true
}
