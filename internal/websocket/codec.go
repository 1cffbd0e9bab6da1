package websocket

import (
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/awaitd/awaitd/internal/exchange"
)

const (
	windowSize = 32 << 10 // that deflate can refer back to (RFC 1951 §2)
	stepSize   = 64 << 10 // inflated in one go
	countSteps = 4        // in one call that only counts

	// maxRatio is how many bytes one byte can at most inflate to: 258 for two bits, and a little.
	maxRatio = 1032

	keepCoders = 8       // of each kind, for the next message
	keepPacked = 4 << 10 // largest buffer of a message that is kept
)

// Codec compresses and decompresses messages for many connections on one goroutine. A connection borrows from it for the time of a
// message only.
type Codec struct {
	readers []*inflater
	writers []*deflater
	packed  []*packed
	out     []byte
}

// NewCodec makes a codec. It takes memory when it is first used.
func NewCodec() *Codec { return &Codec{} }

// packed is a compressed message, gathered, and how far it is inflated.
type packed struct {
	data    []byte
	reader  *inflater // while it is being read
	size    int64     // inflated so far
	message exchange.MessageKind
	whole   bool // all of it is here
	counted bool // it is not too big
}

// inflater is a decompressor with what it reads from.
type inflater struct {
	flate  io.ReadCloser
	source source
}

// tail ends every message (RFC 7692 §7.2.2): the sender cut off the empty block's last four bytes, and the final block behind them makes
// an end of it.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// source reads a message and its tail.
type source struct {
	data []byte
	at   int
}

// ReadByte lets flate read without a buffer of its own.
func (s *source) ReadByte() (byte, error) {
	i := s.at
	s.at++
	if i < len(s.data) {
		return s.data[i], nil
	}
	if i -= len(s.data); i < len(tail) {
		return tail[i], nil
	}
	return 0, io.ErrUnexpectedEOF
}

// Read is for stored blocks.
func (s *source) Read(p []byte) (int, error) {
	n := 0
	if s.at < len(s.data) {
		n = copy(p, s.data[s.at:])
	} else if i := s.at - len(s.data); i < len(tail) {
		n = copy(p, tail[i:])
	} else {
		return 0, io.ErrUnexpectedEOF
	}
	s.at += n
	return n, nil
}

// gather makes room for a message.
func (c *Codec) gather(kind exchange.MessageKind) *packed {
	p := &packed{}
	if n := len(c.packed); n > 0 {
		p, c.packed = c.packed[n-1], c.packed[:n-1]
	}
	p.message = kind
	return p
}

// drop takes it back.
func (c *Codec) drop(p *packed) {
	c.release(p)
	data := p.data[:0]
	if cap(data) > keepPacked {
		data = nil
	}
	*p = packed{data: data}
	if len(c.packed) < keepCoders {
		c.packed = append(c.packed, p)
	}
}

// open gives the message a decompressor, at its begin.
func (c *Codec) open(p *packed, window []byte) *inflater {
	r := p.reader
	if n := len(c.readers); r == nil && n > 0 {
		r, c.readers = c.readers[n-1], c.readers[:n-1]
	}
	if r == nil {
		r = &inflater{}
		r.flate = flate.NewReader(&r.source)
	}
	r.source = source{data: p.data}
	_ = r.flate.(flate.Resetter).Reset(&r.source, window) // never fails
	p.reader, p.size = r, 0
	return r
}

// release takes the decompressor back.
func (c *Codec) release(p *packed) {
	if r := p.reader; r != nil {
		r.source = source{}
		if p.reader = nil; len(c.readers) < keepCoders {
			c.readers = append(c.readers, r)
		}
	}
}

// count finds out whether a message is too big, step by step; p.counted says when that is done.
func (c *Codec) count(p *packed, window []byte, limit int64) *Error {
	if int64(len(p.data)+len(tail))*maxRatio <= limit {
		p.counted = true
		return nil
	}
	if p.reader == nil {
		c.open(p, window)
	}
	for range countSteps {
		data, end, err := c.read(p, stepSize)
		p.size += int64(len(data))
		switch {
		case err != nil:
			return err
		case p.size > limit:
			return errTooBig
		case end:
			c.release(p)
			p.counted = true
			return nil
		}
	}
	return nil
}

// inflate gives the next part of a message, at most n bytes; end says that it is the last. It is valid until the next call.
func (c *Codec) inflate(p *packed, window []byte, n int) (data []byte, end bool, err *Error) {
	if p.reader == nil {
		c.open(p, window)
	}
	return c.read(p, n)
}

// read fills the codec's buffer.
func (c *Codec) read(p *packed, most int) (data []byte, end bool, err *Error) {
	if c.out == nil {
		c.out = make([]byte, stepSize)
	}
	out, n := c.out[:min(most, stepSize)], 0
	for n < len(out) {
		m, err := p.reader.flate.Read(out[n:])
		n += m
		if err == io.EOF {
			return out[:n], true, nil
		}
		if err != nil {
			return nil, false, errInflate
		}
	}
	return out, false, nil
}

// deflater is a compressor with what it writes to.
type deflater struct {
	flate *flate.Writer
	out   []byte
}

// Write collects what the compressor gives.
func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

// writer borrows a compressor.
func (c *Codec) writer() *deflater {
	if n := len(c.writers); n > 0 {
		d := c.writers[n-1]
		c.writers = c.writers[:n-1]
		return d
	}
	d := &deflater{}
	d.flate, _ = flate.NewWriter(d, flate.BestSpeed) // fails for unknown levels only
	return d
}

// giveBack takes it back.
func (c *Codec) giveBack(d *deflater) {
	if len(c.writers) >= keepCoders {
		return
	}
	if cap(d.out) > stepSize {
		d.out = nil
	}
	d.flate.Reset(d)
	c.writers = append(c.writers, d)
}

// deflate compresses the next part of a message. It is valid until the compressor is used again.
func (d *deflater) deflate(p []byte, more bool) []byte {
	d.out = d.out[:0]
	_, _ = d.flate.Write(p)
	_ = d.flate.Flush() // ends with the empty block 00 00 ff ff; nothing fails, since Write doesn't
	if !more {
		return d.out[:len(d.out)-4]
	}
	return d.out
}
