package websocket

import "github.com/awaitd/awaitd/internal/exchange"

// Writer frames messages for one client. A message may come in parts; each becomes a frame of its own.
//
// A message that is compressed has RSV1 set on its first frame (RFC 7692 §6). Its parts are compressed one by one, so that
// between two of them nothing is held; the marker that ends the last goes.
type Writer struct {
	engine  *Engine
	sent    *history // the context that is kept; nil before the first compressed message
	deflate Deflate
	inside  bool // a message: what comes is a continuation
	packed  bool // the message is compressed
}

// Reset makes the writer ready for the first message after a handshake that negotiated d.
func (w *Writer) Reset(e *Engine, d Deflate) { *w = Writer{engine: e, deflate: d} }

// Inside tells whether a message has begun and not ended.
func (w *Writer) Inside() bool { return w.inside }

// Packs tells whether a part of so many bytes would be compressed. If not, AppendHeader and then the part itself, from wherever it is,
// make its frame.
func (w *Writer) Packs(length int, more bool) bool {
	if w.inside {
		return w.packed
	}
	return w.deflate.On && (more || length >= minDeflate)
}

// AppendHeader appends the header for a part of so many bytes that is not compressed.
func (w *Writer) AppendHeader(dst []byte, length int, kind exchange.MessageKind, more bool) []byte {
	return appendHeader(dst, w.first(kind, false, more), length)
}

// first is the first byte of a part's frame, and the step to the next part.
func (w *Writer) first(kind exchange.MessageKind, packed, more bool) byte {
	b := byte(kind)
	switch {
	case w.inside:
		b = byte(opContinuation)
	case packed:
		b |= rsv1Bit
	}
	if !more {
		b |= finBit
	}
	w.inside, w.packed = more, packed
	return b
}

// Append appends the frame for a part of a message. more says that the message goes on in the next part, of the same kind.
func (w *Writer) Append(dst, p []byte, kind exchange.MessageKind, more bool) []byte {
	if !w.Packs(len(p), more) {
		return append(w.AppendHeader(dst, len(p), kind, more), p...)
	}
	whole := !w.inside && !more
	first := w.first(kind, true, more)
	start := len(dst)
	dst, length := w.engine.appendPacked(dst, p, first, w.deflate.ServerBits, w.context())
	if whole && length >= len(p) && (!w.deflate.ServerTakeover || len(p) > primer) {
		return append(appendHeader(dst[:start], first&^rsv1Bit, len(p)), p...)
	}
	w.remember(p)
	return dst
}

// context is what the client's decompressor knows, as far as it was kept.
func (w *Writer) context() history {
	if w.sent == nil {
		return nil
	}
	return *w.sent
}

// remember keeps the end of what was sent, if the context is kept.
func (w *Writer) remember(p []byte) {
	if !w.deflate.ServerTakeover {
		return
	}
	if w.sent == nil {
		w.sent = new(history)
	}
	w.sent.add(p, min(w.deflate.ServerBits, sentBits))
}

// appendPacked appends a frame with p compressed. length is that of its payload.
func (e *Engine) appendPacked(dst, p []byte, first, bits byte, context history) (out []byte, length int) {
	start := len(dst)
	room := lengthField
	switch { // what can't be compressed grows by less than the margin
	case len(p) > largest16-1024:
		room = maxHeader
	case len(p) > maxControl-16:
		room = lengthField + 2
	}
	dst = append(dst, make([]byte, room)...)
	dst = e.deflater.append(dst, p, bits, context)
	if first&finBit != 0 {
		dst = dst[:len(dst)-len(marker)]
	}
	length = len(dst) - start - room
	header := appendHeader(dst[:start], first, length)
	return append(header, dst[start+room:]...), length
}

// AppendPing appends a ping; its payload is at most 125 bytes.
func AppendPing(dst, payload []byte) []byte { return appendControl(dst, opPing, payload) }

// AppendPong appends the answer to a ping: a pong of the same payload.
func AppendPong(dst, payload []byte) []byte { return appendControl(dst, opPong, payload) }

func appendControl(dst []byte, op opcode, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	return append(append(dst, finBit|byte(op), byte(len(payload))), payload...)
}
