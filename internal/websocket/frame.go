package websocket

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A frame (RFC 6455 §5.2), in network byte order:
//
//	0: FIN 0x80, RSV1 0x40, RSV2 0x20, RSV3 0x10, opcode
//	1: MASK 0x80, length 0-125; 126: 16 bits follow; 127: 64 bits follow
//	2, 4 or 10: masking key, 4 bytes, from clients only
//	payload

// opcode of a frame. The values are those of RFC 6455 §5.2.
type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

const (
	finBit      = 0x80
	rsv1Bit     = 0x40 // the message is compressed (RFC 7692 §6)
	rsv2Bit     = 0x20
	rsv3Bit     = 0x10
	maskBit     = 0x80
	opcodeBits  = 0x0f
	controlBit  = 0x08
	lengthBits  = 0x7f
	length16    = 126
	length64    = 127
	keySize     = 4
	maxControl  = 125 // bytes of payload of a control frame (§5.5)
	maxHeader   = 10  // of a frame without a key
	closeCode   = 2   // bytes of the code in a close frame
	maxReason   = maxControl - closeCode
	largest16   = math.MaxUint16
	lengthField = 2 // where an extended length is
)

// header is a frame's header as far as it matters.
type header struct {
	length uint64
	key    uint32 // as four bytes read little-endian; the first is for the next byte of payload
	first  byte   // FIN, RSV, opcode
}

func (h header) op() opcode    { return opcode(h.first & opcodeBits) }
func (h header) final() bool   { return h.first&finBit != 0 }
func (h header) control() bool { return h.first&controlBit != 0 }

// judge tells what is wrong with the first two bytes of a frame, whatever follows.
func judge(first, second byte) *Violation {
	switch op := opcode(first & opcodeBits); {
	case first&(rsv2Bit|rsv3Bit) != 0:
		return ErrReserved
	case op > opPong || op > opBinary && op < opClose:
		return ErrOpcode
	case second&maskBit == 0:
		return ErrUnmasked
	case first&controlBit == 0:
		return nil
	case first&rsv1Bit != 0:
		return ErrReserved
	case first&finBit == 0:
		return ErrControlFragmented
	case second&lengthBits > maxControl:
		return ErrControlTooLong
	}
	return nil
}

// parseHeader reads the header at the start of in, whose first two bytes have been judged. n is its length: 0 if it is not all there.
func parseHeader(in []byte) (h header, n int, v *Violation) {
	h.first, h.length, n = in[0], uint64(in[1]&lengthBits), lengthField
	switch h.length {
	case length16:
		if len(in) < n+2 {
			return h, 0, nil
		}
		h.length = uint64(binary.BigEndian.Uint16(in[n:]))
		if h.length < length16 {
			return h, 0, ErrLengthNotMinimal
		}
		n += 2
	case length64:
		if len(in) < n+8 {
			return h, 0, nil
		}
		h.length = binary.BigEndian.Uint64(in[n:])
		switch {
		case h.length > math.MaxInt64:
			return h, 0, ErrLength
		case h.length <= largest16:
			return h, 0, ErrLengthNotMinimal
		}
		n += 8
	}
	if len(in) < n+keySize {
		return h, 0, nil
	}
	h.key = binary.LittleEndian.Uint32(in[n:])
	return h, n + keySize, nil
}

// appendHeader appends the header of a frame to a client.
func appendHeader(dst []byte, first byte, length int) []byte {
	switch {
	case length < length16:
		return append(dst, first, byte(length))
	case length <= largest16:
		return append(dst, first, length16, byte(length>>8), byte(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, length64), uint64(length))
}

// unmask applies a masking key to b (RFC 6455 §5.3) and returns the key for the byte after it.
func unmask(b []byte, key uint32) uint32 {
	k := uint64(key)<<32 | uint64(key)
	for len(b) >= 32 {
		c := b[:32:32]
		binary.LittleEndian.PutUint64(c, binary.LittleEndian.Uint64(c)^k)
		binary.LittleEndian.PutUint64(c[8:], binary.LittleEndian.Uint64(c[8:])^k)
		binary.LittleEndian.PutUint64(c[16:], binary.LittleEndian.Uint64(c[16:])^k)
		binary.LittleEndian.PutUint64(c[24:], binary.LittleEndian.Uint64(c[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}
