package websocket

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/awaitd/awaitd/internal/exchange"
)

// reader takes a client's frames apart. Nothing is kept but numbers: headers and control frames are left in the input until they are
// whole, and the payload of messages is given away as it comes.
type reader struct {
	left    uint64 // of the payload of the current data frame
	total   int64  // bytes of the message so far, with the frame that has begun
	limit   int64  // of a message
	mask    [4]byte
	turn    uint8                // where in mask the payload goes on
	message exchange.MessageKind // that is under way; 0 for none
	inFrame bool                 // a data frame's header was read, and its end is yet to come
	final   bool                 // that frame is the last of the message
	packed  bool                 // the message is compressed
	deflate bool                 // it may be
}

// header is a frame's, read.
type header struct {
	length uint64
	mask   [4]byte
	size   int // of the header itself
	op     opcode
	final  bool
	packed bool
}

// readHeader reads the header that buf begins with; ok is false while it is not whole. What is wrong already is found already.
func (r *reader) readHeader(buf []byte) (h header, ok bool, err *Error) {
	if len(buf) == 0 {
		return h, false, nil
	}
	h.op, h.final, h.packed = opcode(buf[0]&0x0f), buf[0]&finBit != 0, buf[0]&rsv1Bit != 0
	if err := r.judge(&h, buf[0]&rsvBits); err != nil || len(buf) < 2 {
		return h, false, err
	}
	if buf[1]&maskBit == 0 {
		return h, false, errUnmasked
	}
	h.length, h.size = uint64(buf[1]&^maskBit), 2
	if h.op.control() && h.length > maxControl {
		return h, false, errLongControl
	}
	if ok, err := h.readLength(buf); !ok || err != nil {
		return h, false, err
	}
	if len(buf) < h.size+len(h.mask) {
		return h, false, nil
	}
	h.size += copy(h.mask[:], buf[h.size:])
	return h, true, nil
}

// judge checks what the first byte says.
func (r *reader) judge(h *header, reserved byte) *Error {
	switch {
	case reserved&^rsv1Bit != 0, h.packed && (!r.deflate || h.op.control() || h.op == opContinuation):
		return errReserved
	case h.op > opBinary && h.op < opClose, h.op > opPong:
		return errOpcode
	case h.op.control() && !h.final:
		return errSplitControl
	case h.op.control():
		return nil
	case h.op == opContinuation && r.message == 0:
		return errNoMessage
	case h.op != opContinuation && r.message != 0:
		return errInMessage
	}
	return nil
}

// readLength reads the longer forms of the length.
func (h *header) readLength(buf []byte) (ok bool, err *Error) {
	switch h.length {
	case length16:
		if len(buf) < 4 {
			return false, nil
		}
		h.length, h.size = uint64(binary.BigEndian.Uint16(buf[2:])), 4
		if h.length <= tinyMax {
			return false, errLength
		}
	case length64:
		if len(buf) < 10 {
			return false, nil
		}
		h.length, h.size = binary.BigEndian.Uint64(buf[2:]), 10
		switch {
		case h.length>>63 != 0:
			return false, errHugeLength
		case h.length <= 0xffff:
			return false, errLength
		}
	}
	return true, nil
}

// next reads what buf begins with, and returns how much of it was used. Of a message that is not compressed it gives at most credit
// bytes. Payload is unmasked in place.
func (r *reader) next(buf []byte, credit int) (ev Event, n int, err *Error) {
	for {
		if r.inFrame {
			part, m := r.payload(buf[n:], credit)
			return part, n + m, nil
		}
		h, ok, err := r.readHeader(buf[n:])
		if !ok || err != nil {
			return Event{}, n, err
		}
		if h.op.control() {
			size := h.size + int(h.length)
			if len(buf)-n < size {
				return Event{}, n, nil
			}
			payload := buf[n+h.size : n+size]
			unmask(payload, h.mask, 0)
			ev, err := control(h.op, payload)
			return ev, n + size, err
		}
		if err := r.begin(&h); err != nil {
			return Event{}, n, err
		}
		n += h.size
	}
}

// begin starts a data frame. A message that gets too big by it is refused before its payload is read.
func (r *reader) begin(h *header) *Error {
	if h.op != opContinuation {
		r.message, r.total, r.packed = exchange.MessageKind(h.op), 0, h.packed
	}
	limit := r.limit
	if r.packed {
		limit += limit>>10 + 64 // what cannot be compressed grows a little
	}
	if h.length > uint64(limit-r.total) {
		return errTooBig
	}
	r.total += int64(h.length)
	r.left, r.mask, r.turn, r.final, r.inFrame = h.length, h.mask, 0, h.final, true
	return nil
}

// payload gives what has come of the frame.
func (r *reader) payload(buf []byte, credit int) (Event, int) {
	if credit <= 0 {
		return Event{}, 0
	}
	most := len(buf)
	if !r.packed {
		most = min(most, credit)
	}
	n := int(min(uint64(most), r.left))
	if n == 0 && r.left > 0 {
		return Event{}, 0
	}
	unmask(buf[:n], r.mask, r.turn)
	r.turn = (r.turn + uint8(n&3)) & 3
	r.left -= uint64(n)
	ev := Event{Kind: Part, Data: buf[:n], Message: r.message, More: true}
	if r.left == 0 {
		r.inFrame = false
		if r.final {
			r.message, ev.More = 0, false
		}
	}
	return ev, n
}

// control makes an event of a control frame.
func control(op opcode, payload []byte) (Event, *Error) {
	switch op {
	case opPing:
		return Event{Kind: Ping, Data: payload}, nil
	case opPong:
		return Event{Kind: Pong, Data: payload}, nil
	}
	ev := Event{Kind: Close, Code: exchange.CloseNoCode}
	switch {
	case len(payload) == 0:
		return ev, nil
	case len(payload) == 1:
		return ev, errCloseLength
	}
	ev.Code, ev.Data = exchange.CloseCode(binary.BigEndian.Uint16(payload)), payload[2:]
	switch {
	case !ValidCode(ev.Code):
		return ev, errCloseCode
	case !utf8.Valid(ev.Data):
		return ev, errUTF8
	}
	return ev, nil
}

// unmask takes the mask off p, whose first byte has the mask's byte number turn (RFC 6455 §5.3).
func unmask(p []byte, mask [4]byte, turn uint8) {
	var key [8]byte
	for i := range key {
		key[i] = mask[(int(turn)+i)&3]
	}
	k := binary.LittleEndian.Uint64(key[:])
	for len(p) >= 32 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])^k)
		binary.LittleEndian.PutUint64(p[16:], binary.LittleEndian.Uint64(p[16:])^k)
		binary.LittleEndian.PutUint64(p[24:], binary.LittleEndian.Uint64(p[24:])^k)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= key[i]
	}
}
