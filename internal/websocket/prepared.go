package websocket

import "github.com/awaitd/awaitd/internal/exchange"

// Prepared is one whole message for many clients. Its frame is made once for each way in which clients may get it: as it is,
// compressed, and compressed for each smaller window that the message is too long for.
type Prepared struct {
	engine  *Engine
	payload []byte
	kind    exchange.MessageKind
	frames  []byte // one behind the other, and where each is
	plain   exchange.Span
	packed  [maxWindowBits - minWindowBits + 1]exchange.Span
}

// Reset begins with another message, whose bytes must stay as they are as long as frames are asked for.
func (m *Prepared) Reset(e *Engine, payload []byte, kind exchange.MessageKind) {
	*m = Prepared{engine: e, payload: payload, kind: kind, frames: m.frames[:0]}
}

// Frame returns the message's frame for a client to whom no other message is under way. It is valid until Reset.
func (w *Writer) Frame(m *Prepared) []byte {
	if !w.Packs(len(m.payload), false) {
		return m.plainFrame()
	}
	bits := w.deflate.ServerBits
	if len(m.payload) <= 1<<bits {
		bits = maxWindowBits // nothing in it can be too far away
	}
	at := &m.packed[bits-minWindowBits]
	if at.End == 0 {
		m.pack(at, bits)
	}
	if *at == m.plain {
		return m.plainFrame()
	}
	w.remember(m.payload)
	return at.Of(m.frames)
}

// plainFrame returns the frame without compression.
func (m *Prepared) plainFrame() []byte {
	if m.plain.End == 0 {
		start := len(m.frames)
		m.frames = append(appendHeader(m.frames, finBit|byte(m.kind), len(m.payload)), m.payload...)
		m.plain = exchange.Span{Start: uint32(start), End: uint32(len(m.frames))}
	}
	return m.plain.Of(m.frames)
}

// pack makes a frame with compression. It is the plain one if nothing is gained.
func (m *Prepared) pack(at *exchange.Span, bits uint8) {
	start := len(m.frames)
	frames, length := m.engine.appendPacked(m.frames, m.payload, finBit|rsv1Bit|byte(m.kind), bits, nil)
	if length >= len(m.payload) {
		m.plainFrame()
		*at = m.plain
		return
	}
	m.frames = frames
	*at = exchange.Span{Start: uint32(start), End: uint32(len(frames))}
}
