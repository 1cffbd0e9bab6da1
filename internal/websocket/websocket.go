// Package websocket is the WebSocket engine: the handshake (RFC 6455 §4.2), frames in both directions (§5), closing (§7) and
// permessage-deflate (RFC 7692), from the server's side.
//
// The package is sans-I/O: bytes in, events out; it knows no socket, no clock, no goroutine, and not what carries it. Inbound reads what a
// client sends, Outbound frames what goes to it; each is a small value that a connection embeds. Between messages they hold no memory,
// unless a client was granted context takeover. What takes memory, a compressor and a decompressor, is in a Codec that many
// connections on one goroutine share.
//
// It keeps two invariants. A message reaches the application whole, in order and once, or the connection is closed with a code; and
// the outcome doesn't depend on how the bytes were split on their way.
package websocket

import "github.com/awaitd/awaitd/internal/exchange"

// opcode of a frame (RFC 6455 §5.2).
type opcode uint8

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

func (o opcode) control() bool { return o&8 != 0 }

// Bits of a frame's first two bytes.
const (
	finBit  = 0x80
	rsv1Bit = 0x40 // the message is compressed (RFC 7692 §6)
	rsvBits = 0x70
	maskBit = 0x80
)

// Lengths.
const (
	maxControl = 125 // of a control frame's payload (RFC 6455 §5.5)
	maxHead    = 14  // of a frame's header, from a client
	tinyMax    = 125 // of a payload whose length is in the second byte
	length16   = 126 // there: two bytes follow
	length64   = 127 // eight bytes
)

// Codes that the engine closes with.
const (
	codeProtocol exchange.CloseCode = 1002
	codeBadData  exchange.CloseCode = 1007
	codeTooBig   exchange.CloseCode = 1009
)

// Error is a rule that a client broke: what the connection is to be closed with. Reason fits a close frame.
type Error struct {
	Code   exchange.CloseCode
	Reason string
}

// Error returns the reason.
func (e *Error) Error() string { return e.Reason }

var (
	errReserved     = &Error{codeProtocol, "reserved bits are set"}
	errOpcode       = &Error{codeProtocol, "unknown opcode"}
	errUnmasked     = &Error{codeProtocol, "frame is not masked"}
	errLongControl  = &Error{codeProtocol, "control frame is longer than 125 bytes"}
	errSplitControl = &Error{codeProtocol, "control frame is fragmented"}
	errLength       = &Error{codeProtocol, "length is not in its shortest form"}
	errHugeLength   = &Error{codeProtocol, "length has its highest bit set"}
	errNoMessage    = &Error{codeProtocol, "continuation without a message"}
	errInMessage    = &Error{codeProtocol, "new message before the end of the last"}
	errCloseLength  = &Error{codeProtocol, "close frame with half a code"}
	errCloseCode    = &Error{codeProtocol, "close code must not be sent"}
	errUTF8         = &Error{codeBadData, "text is not UTF-8"}
	errInflate      = &Error{codeBadData, "compressed data is corrupt"}
	errTooBig       = &Error{codeTooBig, "message is too big"}
)

// EventKind says what an Event is.
type EventKind uint8

// Kinds of events.
const (
	Nothing EventKind = iota // more bytes, or more credit, are needed
	Part                     // of a message
	Ping                     // to be answered with a pong that has the same payload
	Pong
	Close // the client closes: Code and Data, its reason
	Again // there is more to do, but others may be served first: call again
)

// Event is what a client has sent. Data is valid until the next call, or until the input it was found in is used again.
type Event struct {
	Data    []byte
	Code    exchange.CloseCode // of a Close; CloseNoCode if there was none
	Kind    EventKind
	Message exchange.MessageKind // of a Part
	More    bool                 // the message goes on in another part
}

// ValidCode says whether a code may stand in a close frame (RFC 6455 §7.4, and the registry it sets up).
func ValidCode(code exchange.CloseCode) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004 || code == exchange.CloseNoCode || code == exchange.CloseAbnormal:
		return false
	}
	return code >= 1000 && code <= 1014
}
