package websocket

import "github.com/awaitd/awaitd/internal/exchange"

// Violation is a rule that a client broke. The connection is failed (RFC 6455 §7.1.7): a close frame with Code and Reason goes out,
// nothing more is read. The application hears of the same code. All values are predeclared below.
type Violation struct {
	Code   exchange.CloseCode
	Reason string
}

// Error returns the reason.
func (v *Violation) Error() string { return v.Reason }

// Violations of the protocol.
var (
	ErrReserved          = &Violation{closeProtocol, "reserved bit set"}
	ErrOpcode            = &Violation{closeProtocol, "unknown opcode"}
	ErrUnmasked          = &Violation{closeProtocol, "frame without a mask"}
	ErrControlFragmented = &Violation{closeProtocol, "fragmented control frame"}
	ErrControlTooLong    = &Violation{closeProtocol, "control frame over 125 bytes"}
	ErrLength            = &Violation{closeProtocol, "length over 63 bits"}
	ErrLengthNotMinimal  = &Violation{closeProtocol, "length not in its shortest form"}
	ErrContinuation      = &Violation{closeProtocol, "continuation of no message"}
	ErrInterleaved       = &Violation{closeProtocol, "new message inside a fragmented one"}
	ErrCloseLength       = &Violation{closeProtocol, "close frame with one byte"}
	ErrCloseCode         = &Violation{closeProtocol, "invalid close code"}
)

// Violations of what a message says it is, and of the limit.
var (
	ErrText        = &Violation{closeInvalid, "invalid UTF-8 in a text message"}
	ErrCloseReason = &Violation{closeInvalid, "invalid UTF-8 in a close reason"}
	ErrDeflate     = &Violation{closeInvalid, "invalid compressed data"}
	ErrTooLarge    = &Violation{closeTooLarge, "message too large"}
)
