package proxyproto

import (
	"bytes"
	"errors"
	"net/netip"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Version 1 is one line of text (§2.1):
//
//	PROXY SP TCP4 SP client SP server SP client-port SP server-port CR LF
//	PROXY SP TCP6 SP client SP server SP client-port SP server-port CR LF
//	PROXY SP UNKNOWN [SP anything] CR LF
const (
	textStart = "PROXY "
	// maxText is the longest line, with its CR LF.
	maxText = 107
	maxPort = 65535
)

// Errors of version 1.
var (
	errFamily    = errors.New("the family is none of TCP4, TCP6 and UNKNOWN")
	errCharacter = errors.New("a character that is in no address and no port")
	errLineEnd   = errors.New("the line has a CR or LF that is not a pair")
	errLongLine  = errors.New("the line is longer than 107 bytes")
	errFields    = errors.New("not two addresses and two ports, with one space between each")
	errAddress   = errors.New("not an address of the family")
	errPort      = errors.New("not a port")
)

func parseText(buf []byte) (Header, int, error) {
	if !agree(buf, textStart) {
		return Header{}, 0, errNoHeader
	}
	rest := buf[min(len(buf), len(textStart)):]
	known := agree(rest, "TCP4 ") || agree(rest, "TCP6 ")
	if !known && !agree(rest, "UNKNOWN ") && !agree(rest, "UNKNOWN\r") {
		return Header{}, 0, errFamily
	}
	start := len(textStart) + len("UNKNOWN")
	if known {
		start = len(textStart) + len("TCP4 ")
	}
	end, err := endOfLine(buf, start, known)
	if end < 0 {
		return Header{}, 0, err
	}
	n := end + len("\r\n")
	if !known {
		return Header{Local: true}, n, nil
	}
	h, err := parseAddresses(buf[start:end], rest[len("TCP")] == '4')
	if err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// endOfLine returns the index of the CR, or -1 if there is an error or the line is incomplete. What is wrong first counts, so
// the error doesn't depend on how much of the line is there. With strict, only characters of addresses and ports may come.
func endOfLine(buf []byte, start int, strict bool) (int, error) {
	for i := start; i < len(buf); i++ {
		c := buf[i]
		switch {
		case i > maxText-len("\r\n"):
			return -1, errLongLine
		case c == '\r' && i+1 == len(buf):
			return -1, nil
		case c == '\r' && buf[i+1] == '\n':
			return i, nil
		case c == '\r' || c == '\n':
			return -1, errLineEnd
		case strict && bytes.IndexByte(addressBytes, c) < 0:
			return -1, errCharacter
		}
	}
	return -1, nil
}

var (
	addressBytes = []byte("0123456789.: abcdefABCDEF")
	space        = []byte{' '}
)

// parseAddresses reads all that follows the family. In a TCP6 line, IPv4 mapped into IPv6 is an address of the family: HAProxy
// writes it so if one end has IPv4 and the other IPv6.
func parseAddresses(line []byte, v4 bool) (Header, error) {
	var parts [4][]byte
	for i := range parts {
		part, rest, more := bytes.Cut(line, space)
		if last := i == len(parts)-1; last == more {
			return Header{}, errFields
		}
		parts[i], line = part, rest
	}
	var ends [2]exchange.Address
	for i := range ends {
		ip, ok := exchange.ParseIP(parts[i])
		if !ok || ip.Is4() != v4 {
			return Header{}, errAddress
		}
		port, ok := parsePort(parts[i+2])
		if !ok {
			return Header{}, errPort
		}
		ends[i] = exchange.AddressFrom(netip.AddrPortFrom(ip, port))
	}
	return Header{Client: ends[0], Server: ends[1]}, nil
}

// parsePort reads a number without leading zeros.
func parsePort(b []byte) (uint16, bool) {
	if len(b) == 0 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	port := 0
	for _, c := range b {
		if c-'0' > 9 {
			return 0, false
		}
		if port = port*10 + int(c-'0'); port > maxPort {
			return 0, false
		}
	}
	return uint16(port), true
}
