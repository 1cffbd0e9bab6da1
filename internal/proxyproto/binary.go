package proxyproto

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Version 2 is binary, its numbers big-endian (§2.2):
//
//	 0  signature
//	12  version 2 (high four bits), command (low): 0 LOCAL, 1 PROXY
//	13  family (high): 0 UNSPEC, 1 INET, 2 INET6, 3 UNIX; transport (low): 0 UNSPEC, 1 STREAM, 2 DGRAM
//	14  length of what follows
//	16  client's address, server's address, client's port, server's port: 12 bytes for INET, 36 for INET6, 216 (no ports) for UNIX
//	 …  TLVs: type (1 byte), length of the value (2), value
const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	offCommand = 12
	offFamily  = 13
	offLength  = 14
	offAddress = 16

	commandLocal = 0
	commandProxy = 1

	transportDatagram = 2

	unspecified       = 0x00
	unspecifiedStream = 0x01
	inetStream        = 0x11
	inet6Stream       = 0x21
	unixStream        = 0x31

	inetLength  = 2*4 + 2*2
	inet6Length = 2*16 + 2*2
	unixLength  = 2 * 108

	tlvStart   = 3 // type and length
	typeCRC32C = 0x03
)

// Errors of version 2.
var (
	errVersion   = errors.New("the version is not 2")
	errCommand   = errors.New("the command is neither LOCAL nor PROXY")
	errDatagram  = errors.New("a datagram's header on a stream")
	errTransport = errors.New("unknown family or transport")
	errTooLong   = errors.New("the header is longer than 4 KiB")
	errShort     = errors.New("the header is shorter than its addresses")
	errTLV       = errors.New("a TLV goes beyond the header")
	errChecksum  = errors.New("wrong checksum")
)

func parseBinary(buf []byte) (Header, int, error) {
	if !agree(buf, signature) {
		return Header{}, 0, errNoHeader
	}
	if len(buf) <= offCommand {
		return Header{}, 0, nil
	}
	command := buf[offCommand] & 0xf
	switch {
	case buf[offCommand]>>4 != 2:
		return Header{}, 0, errVersion
	case command != commandLocal && command != commandProxy:
		return Header{}, 0, errCommand
	case len(buf) <= offFamily:
		return Header{}, 0, nil
	case command == commandLocal:
		return parseBlock(buf, unspecified) // whatever the family is
	}
	return parseBlock(buf, buf[offFamily])
}

// parseBlock reads what follows the command. Without addresses the block is skipped, TLVs and all: where they would begin is not
// said.
func parseBlock(buf []byte, family byte) (Header, int, error) {
	addresses, err := addressLength(family)
	if err != nil || len(buf) < offAddress {
		return Header{}, 0, err
	}
	n := offAddress + int(binary.BigEndian.Uint16(buf[offLength:]))
	switch {
	case n > MaxLength:
		return Header{}, 0, errTooLong
	case n < offAddress+addresses:
		return Header{}, 0, errShort
	case len(buf) < n:
		return Header{}, 0, nil
	case addresses == 0:
		return Header{Local: true}, n, nil
	}
	if err := checkTLVs(buf[:n], offAddress+addresses); err != nil {
		return Header{}, 0, err
	}
	return parseEnds(buf[offAddress:offAddress+addresses], family), n, nil
}

// addressLength returns how long the addresses of a family and transport are. UNSPEC in only one half is refused, as §2.2 lets a
// receiver do, but for that of a stream.
func addressLength(family byte) (int, error) {
	switch family {
	case unspecified, unspecifiedStream:
		return 0, nil
	case inetStream:
		return inetLength, nil
	case inet6Stream:
		return inet6Length, nil
	case unixStream:
		return unixLength, nil
	}
	if family&0xf == transportDatagram {
		return 0, errDatagram
	}
	return 0, errTransport
}

func parseEnds(b []byte, family byte) Header {
	if family == unixStream {
		end := exchange.Address{Family: exchange.Unix}
		return Header{Client: end, Server: end}
	}
	size := 4
	if family == inet6Stream {
		size = 16
	}
	end := func(i int) exchange.Address {
		ip, _ := netip.AddrFromSlice(b[i*size : (i+1)*size])
		return exchange.AddressFrom(netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[2*size+2*i:])))
	}
	return Header{Client: end(0), Server: end(1)}
}

// checkTLVs walks the TLVs of a header, from at on. All that matters in them is that they end where the header does, and the
// checksum; what is inside a value (of PP2_TYPE_SSL) is not looked at.
func checkTLVs(header []byte, at int) error {
	for at < len(header) {
		value := at + tlvStart
		if value > len(header) {
			return errTLV
		}
		next := value + int(binary.BigEndian.Uint16(header[at+1:]))
		if next > len(header) {
			return errTLV
		}
		if header[at] == typeCRC32C && (next-value != crc32.Size || !checksumHolds(header, value)) {
			return errChecksum
		}
		at = next
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumHolds tells whether the four bytes at at are the CRC32c of the header with zeros there (§2.2.3).
func checksumHolds(header []byte, at int) bool {
	sum := crc32.Update(0, castagnoli, header[:at])
	sum = crc32.Update(sum, castagnoli, zeros)
	sum = crc32.Update(sum, castagnoli, header[at+crc32.Size:])
	return sum == binary.BigEndian.Uint32(header[at:])
}

var zeros = make([]byte, crc32.Size)
