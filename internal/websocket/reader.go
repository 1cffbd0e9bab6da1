package websocket

import (
	"math"

	"github.com/awaitd/awaitd/internal/exchange"
)

// EventKind says what Reader.Next has found.
type EventKind uint8

// Kinds of events. The first three are reasons why there is nothing yet.
const (
	Starved EventKind = iota // more bytes are needed
	Blocked                  // more credit is needed
	Working                  // call again, in a later turn: bytes are not needed for it
	Part                     // a part of a message
	Ping                     // to be answered with a pong of the same payload
	Pong
	Closed // the client closes; whatever comes after it is not looked at
)

// Event is what Reader.Next has found.
type Event struct {
	Kind    EventKind
	Message exchange.MessageKind // of a Part
	More    bool                 // of a Part: the message goes on in the next one
	Code    exchange.CloseCode   // of Closed; exchange.CloseNoCode if the client said none
	Payload []byte               // of a Part, Ping or Pong; of Closed the reason. Valid until the next call to anything of the Engine
}

// Reader takes the frames of one client apart. Uncompressed payload is passed on as it comes; of a control frame, and of a
// header, nothing is consumed before all is there, so the Reader itself holds no bytes:
//
//	header ─── of a control frame: Ping, Pong, Closed
//	   └ payload ─── not compressed: Part …
//	        └ compressed: gathered until the message is whole ─── Working … (its size is found out), Part …
type Reader struct {
	engine    *Engine
	inflation *inflation // of a compressed message, or the context that is kept; else nil
	left      uint64     // bytes of payload that the frame still has
	size      uint64     // payload of the message's frames so far
	key       uint32     // for the next byte of payload
	text      text
	message   exchange.MessageKind // 0: between messages
	deflate   Deflate
	final     bool // the frame is the message's last
	packed    bool // the message is compressed
	inflating bool // it is whole, and on its way to the application
	over      bool // closed, or failed
}

// Reset makes the reader ready for the first byte after a handshake that negotiated d.
func (r *Reader) Reset(e *Engine, d Deflate) { *r = Reader{engine: e, deflate: d} }

// Release gives what the reader holds back to the engine. It finds nothing any more.
func (r *Reader) Release() {
	if r.inflation != nil {
		r.inflation.release(r.engine)
		r.inflation = nil
	}
	r.over, r.inflating = true, false
}

// Idle tells whether nothing of a message is under way.
func (r *Reader) Idle() bool { return r.message == 0 }

// Next looks at the bytes that have come and not been consumed, and tells what is first in them. The n bytes at their start are
// consumed; the others are to be given again, with more behind them. Payload is unmasked in place. credit is the most bytes that
// a Part may have; without any there is no Part, not even an empty one, and no byte of a message is consumed.
//
// Call it again until it is Starved or Blocked, or there was a violation, or a Closed.
func (r *Reader) Next(in []byte, credit int) (n int, ev Event, v *Violation) {
	switch {
	case r.over:
		return len(in), Event{}, nil
	case r.inflating:
		ev, v = r.inflate(credit)
	default:
		n, ev, v = r.take(in, credit)
	}
	if v != nil {
		r.Release()
		return n, Event{}, v
	}
	return n, ev, nil
}

// take goes on with the frames.
func (r *Reader) take(in []byte, credit int) (n int, ev Event, v *Violation) {
	for {
		if r.left == 0 {
			m, ev, v := r.next(in[n:], credit)
			n += m
			if v != nil || ev.Kind != Working {
				return n, ev, v
			}
		}
		switch {
		case n == len(in) && r.left > 0:
			return n, Event{}, nil
		case credit <= 0:
			return n, Event{Kind: Blocked}, nil
		case !r.packed && (r.left > 0 || r.final):
			return r.part(in, n, credit)
		case r.packed:
			if n = r.gather(in, n); r.inflating {
				ev, v := r.inflate(credit)
				return n, ev, v
			}
		}
	}
}

// next takes the frame that begins in. Of a control frame it makes an event; of another it consumes the header and says Working.
func (r *Reader) next(in []byte, credit int) (n int, ev Event, v *Violation) {
	h, size, v := r.header(in)
	switch {
	case v != nil || len(in) < 2:
		return 0, Event{}, v
	case in[0]&controlBit != 0:
		if size == 0 || uint64(len(in)-size) < h.length {
			return 0, Event{}, nil
		}
		end := size + int(h.length)
		ev, v = r.control(h, in[size:end])
		return end, ev, v
	case credit <= 0:
		return 0, Event{Kind: Blocked}, nil
	case size == 0:
		return 0, Event{}, nil
	}
	r.begin(h)
	return size, Event{Kind: Working}, nil
}

// header reads the header at the start of in and checks it against the state. size is 0 if it is not all there.
func (r *Reader) header(in []byte) (h header, size int, v *Violation) {
	if len(in) < 2 {
		return h, 0, nil
	}
	if v = judge(in[0], in[1]); v == nil {
		v = r.sequence(in[0])
	}
	if v != nil {
		return h, 0, v
	}
	h, size, v = parseHeader(in)
	if v == nil && size > 0 && !h.control() {
		v = r.measure(h)
	}
	return h, size, v
}

// sequence checks that a frame may come now (RFC 6455 §5.4), and that it is compressed only where that makes sense (RFC 7692 §6).
func (r *Reader) sequence(first byte) *Violation {
	op := opcode(first & opcodeBits)
	switch {
	case op >= opClose:
		return nil
	case op == opContinuation && r.message == 0:
		return ErrContinuation
	case op != opContinuation && r.message != 0:
		return ErrInterleaved
	case first&rsv1Bit != 0 && (op == opContinuation || !r.deflate.On):
		return ErrReserved
	}
	return nil
}

// measure checks what the message has become with a frame against the limit.
func (r *Reader) measure(h header) *Violation {
	limit, so := r.engine.limit, r.size
	if h.op() != opContinuation {
		so = 0
	}
	if r.packed && r.message != 0 || h.first&rsv1Bit != 0 {
		limit += limit/64 + 1024 // what does not compress becomes longer, by far less than that
	}
	if h.length > limit || so > limit-h.length {
		return ErrTooLarge
	}
	return nil
}

// begin takes in the header of a data frame.
func (r *Reader) begin(h header) {
	if op := h.op(); op != opContinuation {
		r.message = exchange.MessageKind(op)
		r.packed = h.first&rsv1Bit != 0
		r.size = 0
	}
	r.left, r.key, r.final = h.length, h.key, h.final()
	r.size += h.length
}

// control takes a control frame, whose payload is all there.
func (r *Reader) control(h header, p []byte) (ev Event, v *Violation) {
	unmask(p, h.key)
	switch h.op() {
	case opPing:
		return Event{Kind: Ping, Payload: p}, nil
	case opPong:
		return Event{Kind: Pong, Payload: p}, nil
	}
	ev.Kind = Closed
	ev.Code, ev.Payload, v = parseClose(p)
	if v == nil {
		r.Release()
	}
	return ev, v
}

// payload takes what is there of the frame's payload, up to a number of bytes, from in[n:].
func (r *Reader) payload(in []byte, n, most int) []byte {
	p := in[n:]
	if uint64(len(p)) > r.left {
		p = p[:r.left]
	}
	p = p[:min(len(p), most)]
	r.key = unmask(p, r.key)
	r.left -= uint64(len(p))
	return p
}

// part passes on payload that is not compressed. Fragments that are there are moved together, so that a message in many small frames
// makes as few parts as one in a single frame.
func (r *Reader) part(in []byte, n, credit int) (int, Event, *Violation) {
	start, end := n, n
	for {
		p := r.payload(in, n, credit-(end-start))
		if n != end {
			copy(in[end:], p)
		}
		n, end = n+len(p), end+len(p)
		if r.left > 0 || r.final || end-start == credit {
			break
		}
		h, size, v := r.header(in[n:])
		if v != nil || size == 0 || h.control() {
			break // it is for the next call
		}
		n += size
		r.begin(h)
	}
	ev := Event{Kind: Part, Message: r.message, More: r.left > 0 || !r.final, Payload: in[start:end]}
	if v := r.pass(ev); v != nil {
		return n, Event{}, v
	}
	if ev.More && start == end {
		return n, Event{}, nil // all frames so far were empty
	}
	return n, ev, nil
}

// pass does what is to be done with each part before it goes to the application.
func (r *Reader) pass(ev Event) *Violation {
	if ev.Message == exchange.Text && (!r.text.add(ev.Payload) || !ev.More && !r.text.whole()) {
		return ErrText
	}
	if !ev.More {
		r.message = 0
	}
	return nil
}

// gather takes payload of a compressed message, and goes over to its inflation when it is whole.
func (r *Reader) gather(in []byte, n int) int {
	if r.inflation == nil {
		r.inflation = r.engine.takeInflation()
	}
	p := r.payload(in, n, math.MaxInt)
	r.inflation.gather(r.engine, p)
	if r.left == 0 && r.final {
		r.inflating = true
		r.inflation.begin(r.engine)
	}
	return n + len(p)
}

// inflate goes on with a compressed message that is whole.
func (r *Reader) inflate(credit int) (ev Event, v *Violation) {
	i := r.inflation
	if i.counting {
		return Event{Kind: Working}, i.count(r.engine)
	}
	if credit <= 0 {
		return Event{Kind: Blocked}, nil
	}
	p, done, v := i.read(r.engine, credit)
	if v != nil {
		return ev, v
	}
	if len(p) == 0 && !done {
		return Event{Kind: Working}, nil
	}
	ev = Event{Kind: Part, Message: r.message, More: !done, Payload: p}
	if v = r.pass(ev); v != nil {
		return ev, v
	}
	if r.deflate.ClientTakeover {
		i.history.add(p, r.deflate.ClientBits)
	}
	if done {
		r.inflating = false
		i.end(r.engine)
		if !r.deflate.ClientTakeover {
			i.release(r.engine)
			r.inflation = nil
		}
	}
	return ev, nil
}
