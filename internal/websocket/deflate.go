package websocket

import "github.com/klauspost/compress/flate"

const (
	minWindowBits = 8 // RFC 7692 §7.1.2
	maxWindowBits = 15
	// sentBits bounds the context that is kept of what was sent: what helps a stream of alike messages is in the last few KiB, and it
	// is read again for each message.
	sentBits = 13
	// minDeflate is the shortest message that is compressed. Below it the frame's bytes are few against a packet's.
	minDeflate = 64
	// primer is up to what length a message is compressed though nothing is gained, where the context is kept: it may help the next.
	primer = 1 << 10
	// minMatched is what the compressor must have at least to look for matches.
	minMatched = 128
)

// Deflate is what a handshake agreed about permessage-deflate (RFC 7692).
type Deflate struct {
	On             bool
	ServerTakeover bool  // the context of what was sent is kept
	ClientTakeover bool  // the context of what was received is kept
	ServerBits     uint8 // the window: 8 to 15
	ClientBits     uint8

	serverBitsAsked, clientBitsAsked bool // the answer says them, too
}

// history is the end of what went through a compressor so far: the context that RFC 7692 §7.1.1 speaks of.
type history []byte

// add puts p behind it and keeps as much as a window of so many bits has.
func (h *history) add(p []byte, bits uint8) {
	window := 1 << bits
	if len(p) > window {
		p = p[len(p)-window:]
	}
	if excess := len(*h) + len(p) - window; excess > 0 {
		*h = (*h)[:copy(*h, (*h)[excess:])]
	}
	if cap(*h)-len(*h) < len(p) {
		grown := make([]byte, len(*h), min(window, 2*(len(*h)+len(p))))
		copy(grown, *h)
		*h = grown
	}
	*h = append(*h, p...)
}

// deflater is an engine's compressors. Nobody has one for longer than a call: each part of a message ends at a byte (a sync flush), and
// what follows it either refers to nothing before or to the history that its writer keeps.
type deflater struct {
	sink    sink
	writer  *flate.Writer                                // for windows of 32 KiB
	windows [maxWindowBits - minWindowBits]*flate.Writer // for smaller ones
}

// sink is where a compressor writes to.
type sink struct{ bytes []byte }

// Write appends.
func (s *sink) Write(p []byte) (int, error) {
	s.bytes = append(s.bytes, p...)
	return len(p), nil
}

// level 1 of this library is about as good as level 3 of zlib, at several times its speed; more cost more than they save here.
const level = 1

// compressor returns the compressor for data of a size (with its context) and a window.
func (d *deflater) compressor(bits uint8, size int) *flate.Writer {
	if bits == maxWindowBits || size <= 1<<bits { // nothing in so little can be too far away
		if d.writer == nil {
			d.writer, _ = flate.NewWriter(&d.sink, level) // errors are about the level
		}
		return d.writer
	}
	w := &d.windows[bits-minWindowBits]
	if *w == nil {
		*w, _ = flate.NewWriterWindow(&d.sink, 1<<bits) // likewise
	}
	return *w
}

// append appends p compressed, up to and with the marker of the sync flush.
func (d *deflater) append(dst, p []byte, bits uint8, context history) []byte {
	d.sink.bytes = dst
	if len(p) < minMatched && len(context) > 0 {
		context = context[max(0, len(context)+len(p)-1<<bits):]
		_ = flate.StatelessDeflate(&d.sink, p, false, context) // the sink has no errors
	} else {
		w := d.compressor(bits, len(p)+len(context))
		w.ResetDict(&d.sink, context)
		_, _ = w.Write(p)
		_ = w.Flush()
	}
	dst = d.sink.bytes
	d.sink.bytes = nil
	return dst
}
