package websocket

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
)

const (
	// maxOutput is the most that one step inflates: 32 KiB is what the decompressor finishes at a time.
	maxOutput = 32 << 10
	// maxInput is the most that one step reads. No compressor needs more for maxOutput; blocks that hold nothing would, and
	// they cost the more time for it.
	maxInput = 64 << 10
	// maxRatio is the most that deflate can shrink: 258 bytes to two bits.
	maxRatio = 1032
	// lookAhead is how few bytes of input may be left for a look whether they are the end, when all that was asked for is there.
	lookAhead = 64
	// maxKept is the largest buffer that is kept for the next message.
	maxKept = 64 << 10
	// maxSpare is the most of each thing that an engine keeps when nobody uses it.
	maxSpare = 8
)

// tail is what RFC 7692 §7.2.2 has the receiver append, and an empty last block, so that the decompressor finds an end.
const (
	marker = "\x00\x00\xff\xff"
	tail   = marker + "\x01\x00\x00\xff\xff"
)

// inflation is a compressed message from a client, as long as it is under way, with the context if that is kept.
type inflation struct {
	gathered []byte // the message as it came, later with its tail
	inflater *inflater
	taken    int // bytes of gathered that the inflater has read
	passed   uint64
	counting bool // its size must be known before a part is passed on
	history  history
}

// inflater is a decompressor with what it reads from. Both are used again.
type inflater struct {
	source bytes.Reader
	flate  io.ReadCloser
}

// takeInflation returns an inflation that holds nothing.
func (e *Engine) takeInflation() *inflation {
	if n := len(e.inflations); n > 0 {
		i := e.inflations[n-1]
		e.inflations = e.inflations[:n-1]
		return i
	}
	return &inflation{}
}

// gather takes in a part of the message, as it came.
func (i *inflation) gather(e *Engine, p []byte) {
	if n := len(e.gathers); n > 0 && i.gathered == nil {
		i.gathered = e.gathers[n-1]
		e.gathers = e.gathers[:n-1]
	}
	i.gathered = append(i.gathered, p...)
}

// begin prepares for reading: the message is whole. An empty one should have an empty block (RFC 7692 §7.2.3.6), but there are
// clients that send nothing, and it can't mean anything else.
func (i *inflation) begin(e *Engine) {
	if len(i.gathered) == 0 {
		i.gathered = append(i.gathered, 0)
	}
	i.gathered = append(i.gathered, tail...)
	i.counting = uint64(len(i.gathered)) > e.limit/maxRatio
	if n := len(e.inflaters); n > 0 {
		i.inflater = e.inflaters[n-1]
		e.inflaters = e.inflaters[:n-1]
	} else {
		i.inflater = &inflater{}
		i.inflater.flate = flate.NewReader(&i.inflater.source)
	}
	i.rewind()
}

// rewind goes to the start of the message.
func (i *inflation) rewind() {
	i.taken, i.passed = 0, 0
	i.inflater.reset(i.history)
}

func (f *inflater) reset(context []byte) {
	f.source.Reset(nil)
	_ = f.flate.(flate.Resetter).Reset(&f.source, context) // it has no error to give
}

// end gives back what only an inflation under way needs.
func (i *inflation) end(e *Engine) {
	if i.inflater != nil && len(e.inflaters) < maxSpare {
		i.inflater.reset(nil)
		e.inflaters = append(e.inflaters, i.inflater)
	}
	i.inflater = nil
	if cap(i.gathered) > 0 && cap(i.gathered) <= maxKept && len(e.gathers) < maxSpare {
		e.gathers = append(e.gathers, i.gathered[:0])
	}
	i.gathered = nil
}

// release gives everything back.
func (i *inflation) release(e *Engine) {
	i.end(e)
	i.history = nil
	if len(e.inflations) < maxSpare {
		e.inflations = append(e.inflations, i)
	}
}

// count goes on with finding out how much the message inflates to. When it knows, and it is not too much, it goes to the start.
func (i *inflation) count(e *Engine) *Violation {
	_, done, v := i.read(e, maxOutput)
	if v == nil && done {
		i.counting = false
		i.rewind()
	}
	return v
}

// read inflates a bounded part of the message, at most n bytes; done says that it was the last. Nothing, and not done, means that
// one step's work brought nothing to light.
func (i *inflation) read(e *Engine, n int) (p []byte, done bool, v *Violation) {
	if e.output == nil {
		e.output = make([]byte, maxOutput)
	}
	p, n = e.output[:0], min(n, maxOutput)
	for begun, full := i.taken, false; !done && !full && i.taken-begun < maxInput; {
		m, err := i.step(e.output[len(p):n])
		full = len(p) == n || len(p)+m == n && len(i.gathered)-i.taken > lookAhead
		p = p[:len(p)+m]
		switch {
		case errors.Is(err, io.EOF):
			// A block may be marked as the last (RFC 7692 §7.2.3.4). If something comes behind it, deflate begins anew.
			if done = len(i.gathered)-i.taken <= len(tail); !done {
				i.inflater.reset(nil)
			}
		case err != nil:
			return nil, false, ErrDeflate
		}
	}
	if i.passed += uint64(len(p)); i.passed > e.limit {
		return nil, false, ErrTooLarge
	}
	return p, done, nil
}

// step has the decompressor read once. It remembers an error, also that there is no input, so it is given more than it may need
// for what it finishes at a time; when p is empty it just looks whether this is the end.
func (i *inflation) step(p []byte) (int, error) {
	input := i.gathered[i.taken:]
	i.inflater.source.Reset(input[:min(len(input), maxInput)])
	n, err := i.inflater.flate.Read(p)
	i.taken += min(len(input), maxInput) - i.inflater.source.Len()
	return n, err
}
