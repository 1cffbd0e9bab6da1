package websocket

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Close codes that the engine itself gives (RFC 6455 §7.4.1).
const (
	closeProtocol exchange.CloseCode = 1002
	closeInvalid  exchange.CloseCode = 1007
	closeTooLarge exchange.CloseCode = 1009
)

// ValidCode tells whether a code may be in a close frame: those that RFC 6455 §7.4.1 and IANA's registry define for it, and those that
// libraries and applications give a meaning (§7.4.2). 1005, 1006 and 1015 are for what was not said, never on the wire.
func ValidCode(c exchange.CloseCode) bool {
	switch {
	case c >= 1000 && c <= 1003, c >= 1007 && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}

// parseClose reads the payload of a close frame (RFC 6455 §5.5.1). An empty one has the code exchange.CloseNoCode.
func parseClose(p []byte) (code exchange.CloseCode, reason []byte, v *Violation) {
	switch {
	case len(p) == 0:
		return exchange.CloseNoCode, nil, nil
	case len(p) < closeCode:
		return 0, nil, ErrCloseLength
	}
	code, reason = exchange.CloseCode(binary.BigEndian.Uint16(p)), p[closeCode:]
	switch {
	case !ValidCode(code):
		return 0, nil, ErrCloseCode
	case !utf8.Valid(reason):
		return 0, nil, ErrCloseReason
	}
	return code, reason, nil
}

// AppendClose appends a close frame. A code that is none for the wire, such as exchange.CloseNoCode, makes it an empty one; of
// a reason goes out what is valid UTF-8 and fits.
func AppendClose(dst []byte, code exchange.CloseCode, reason []byte) []byte {
	if !ValidCode(code) {
		return append(dst, finBit|byte(opClose), 0)
	}
	reason = validStart(reason[:min(len(reason), maxReason)])
	dst = append(dst, finBit|byte(opClose), byte(closeCode+len(reason)), byte(code>>8), byte(code))
	return append(dst, reason...)
}

// validStart is what of b, from its first byte, is whole characters of UTF-8.
func validStart(b []byte) []byte {
	for n := 0; n < len(b); {
		r, size := utf8.DecodeRune(b[n:])
		if r == utf8.RuneError && size < 2 {
			return b[:n]
		}
		n += size
	}
	return b
}
