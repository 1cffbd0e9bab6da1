package websocket

import (
	"encoding/binary"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Outbound frames what goes to one client. The zero value is not ready: use Reset.
type Outbound struct {
	codec    *Codec    // nil if no compression was agreed on
	deflater *deflater // of the message that is under way; with context takeover, of the connection
	inside   bool      // a message is under way
	packed   bool      // it is compressed
	takeover bool
}

// minDeflate is the shortest message that is worth compressing: below it the block's own header eats the gain.
const minDeflate = 64

// Reset makes o ready for a new connection.
func (o *Outbound) Reset(codec *Codec, d Deflate) {
	*o = Outbound{takeover: d.On && !d.ServerNoTakeover}
	if d.On {
		o.codec = codec
	}
}

// Frame appends the header of the frame for a part of a message to dst. The frame's payload is what it returns besides: p itself, or p
// compressed, which is valid until the codec is used again.
func (o *Outbound) Frame(dst, p []byte, kind exchange.MessageKind, more bool) (head, payload []byte) {
	first := byte(opContinuation)
	if !o.inside {
		first = byte(kind)
		o.packed = o.codec != nil && (more || len(p) >= minDeflate)
	}
	payload = p
	if o.packed {
		payload = o.compress(p, more)
		if !o.inside {
			first |= rsv1Bit
			if !more && !o.takeover && len(payload) >= len(p) {
				first, payload = byte(kind), p // nothing is gained
			}
		}
	}
	if o.inside = more; !more {
		first |= finBit
	}
	return appendHead(dst, first, len(payload)), payload
}

// compress compresses the next part of a message.
func (o *Outbound) compress(p []byte, more bool) []byte {
	if o.deflater == nil {
		o.deflater = o.codec.writer()
	}
	out := o.deflater.deflate(p, more)
	if !more && !o.takeover {
		o.Close() // what it has put out stays until it is used again
	}
	return out
}

// Close gives back what is held.
func (o *Outbound) Close() {
	if o.deflater != nil {
		o.codec.giveBack(o.deflater)
		o.deflater = nil
	}
}

// appendHead appends the header of a frame to a client.
func appendHead(dst []byte, first byte, length int) []byte {
	switch {
	case length <= tinyMax:
		return append(dst, first, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, first, length16), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, length64), uint64(length))
}

// AppendPing appends a ping with a payload of at most 125 bytes.
func AppendPing(dst, payload []byte) []byte { return appendControl(dst, opPing, payload) }

// AppendPong appends the answer to a ping.
func AppendPong(dst, payload []byte) []byte { return appendControl(dst, opPong, payload) }

// AppendClose appends a close frame. CloseNoCode makes one without a code. A reason that is too long is cut, between characters.
func AppendClose(dst []byte, code exchange.CloseCode, reason []byte) []byte {
	if code == exchange.CloseNoCode {
		return appendControl(dst, opClose, nil)
	}
	if len(reason) > maxControl-2 {
		reason = reason[:maxControl-2]
		reason = reason[:len(reason)-cutOff(reason)]
	}
	dst = append(dst, finBit|byte(opClose), byte(2+len(reason)))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

func appendControl(dst []byte, op opcode, payload []byte) []byte {
	return append(append(dst, finBit|byte(op), byte(len(payload))), payload...)
}
