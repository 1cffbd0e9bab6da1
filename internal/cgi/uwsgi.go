package cgi

import (
	"encoding/binary"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

// The uwsgi protocol, as nginx and Apache speak it to uWSGI:
//
//	u8 modifier1   u16 size   u8 modifier2   size bytes of variables   body
//	variable: u16 length, name, u16 length, value
//
// Integers are little-endian. Modifier1 is 0 for a Python request, 30 for one whose PATH_INFO begins with SCRIPT_NAME, which is
// seen anyway. Modifier2 means nothing for them.

// headerUWSGI is the size of a packet's header.
const headerUWSGI = 4

// measureUWSGI finds the bounds of the variables; n is 0 if the packet is not whole.
func measureUWSGI(in []byte, limit int) (start, end, n int, err *http1.Error) {
	if len(in) > 0 && in[0] != 0 && in[0] != 30 {
		return 0, 0, 0, ErrModifier
	}
	if len(in) < headerUWSGI {
		return 0, 0, 0, nil
	}
	end = headerUWSGI + int(binary.LittleEndian.Uint16(in[1:]))
	switch {
	case end > limit:
		return 0, 0, 0, http1.ErrHeadTooLarge
	case len(in) < end:
		return 0, 0, 0, nil
	}
	return headerUWSGI, end, end, nil
}

// takeUWSGI takes all variables of the packet.
func (p *Parser) takeUWSGI(req *exchange.Request) *http1.Error {
	for at := uint32(0); int(at) < len(p.buf); {
		name, ok := p.text(at)
		if !ok {
			return ErrRow
		}
		value, ok := p.text(name.End)
		if !ok {
			return ErrRow
		}
		at = value.End
		if err := p.take(req, name, value); err != nil {
			return err
		}
	}
	return nil
}

// text reads a length and as many bytes.
func (p *Parser) text(at uint32) (s exchange.Span, ok bool) {
	start := int(at) + 2
	if start > len(p.buf) {
		return s, false
	}
	end := start + int(binary.LittleEndian.Uint16(p.buf[at:]))
	return span(start, end), end <= len(p.buf)
}
