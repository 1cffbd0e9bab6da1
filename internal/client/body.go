package client

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// phase of a chunked body (RFC 9112 §7.1).
type phase uint8

const (
	sizeLine phase = iota
	chunkData
	chunkEnd
	trailers
)

// http1Body is the body of a response on its connection.
type http1Body struct {
	conn     *http1Conn
	response *Response
	framing
	phase phase
	left  int64  // of the chunk
	seen  int    // bytes of the trailers in which their end was looked for
	over  *Error // why it can't be read any more
	done  bool
}

// errNotYet says that more must come.
var errNotYet = errors.New("not yet")

const (
	maxSizeLine = 4 << 10 // a chunk's size, with extensions
)

// read reads a part of the body.
func (b *http1Body) read(p []byte, wait bool) (int, error) {
	total := 0
	for {
		switch {
		case b.over != nil:
			return total, b.over
		case b.done:
			return total, io.EOF
		}
		n, err := b.step(p[total:], wait && total == 0)
		total += n
		switch {
		case errors.Is(err, errNotYet):
			return total, nil
		case errors.Is(err, io.EOF):
			b.finish()
		case err != nil:
			b.fail(err)
		case total == len(p) && !b.ends():
			return total, nil
		}
	}
}

// ends says whether one step more, without room, can show the end.
func (b *http1Body) ends() bool {
	return b.chunked && (b.phase != chunkData || b.left == 0) || !b.chunked && !b.toTheEnd && b.length == 0
}

// step does one thing: reads some bytes, or a line.
func (b *http1Body) step(p []byte, wait bool) (int, error) {
	switch {
	case b.chunked:
		return b.stepChunk(p, wait)
	case b.toTheEnd:
		n, err := b.take(p, int64(len(p)), wait)
		return n, err
	case b.length == 0:
		return 0, io.EOF
	}
	n, err := b.take(p, b.length, wait)
	b.length -= int64(n)
	if errors.Is(err, io.EOF) {
		err = protocol("the connection was closed with " + strconv.FormatInt(b.length, 10) + " bytes of the body missing")
	}
	return n, err
}

// take reads at most n bytes of the body into p.
func (b *http1Body) take(p []byte, n int64, wait bool) (int, error) {
	c := b.conn
	if n < int64(len(p)) {
		p = p[:n]
	}
	if len(p) == 0 {
		return 0, errNotYet
	}
	if c.start < c.end {
		k := copy(p, c.buf[c.start:c.end])
		c.start += k
		return k, nil
	}
	if !wait {
		return 0, errNotYet
	}
	if len(p) >= len(c.buf) { // no need for a second copy
		c.limit(c.deadline())
		k, err := c.net.Read(p)
		if k > 0 {
			return k, nil
		}
		return 0, b.cut(err)
	}
	if err := b.more(); err != nil {
		return 0, err
	}
	k := copy(p, c.buf[c.start:c.end])
	c.start += k
	return k, nil
}

// more waits for more in the buffer.
func (b *http1Body) more() error {
	c := b.conn
	if !c.room() {
		return protocol("a line in a chunked body is too long")
	}
	if err := c.fill(c.deadline()); err != nil {
		return b.cut(err)
	}
	return nil
}

// cut is what the end of the connection, or of the time, means within a body.
func (b *http1Body) cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return b.conn.broken(err, ReadTimeout)
}

func (b *http1Body) stepChunk(p []byte, wait bool) (int, error) {
	var err error
	switch b.phase {
	case chunkData:
		n, err := b.take(p, b.left, wait)
		if b.left -= int64(n); b.left == 0 {
			b.phase = chunkEnd
		}
		return n, cutChunk(err)
	case sizeLine:
		err = b.line(maxSizeLine, wait, b.size)
	case chunkEnd:
		err = b.line(len("\r\n"), wait, func(line string) error {
			if line != "" {
				return protocol("a chunk that is longer than it says")
			}
			b.phase = sizeLine
			return nil
		})
	case trailers:
		err = b.trailers(wait)
	}
	return 0, err
}

// cutChunk is an end of the connection where the body has not ended.
func cutChunk(err error) error {
	if errors.Is(err, io.EOF) {
		return protocol("the connection was closed within a chunked body")
	}
	return err
}

// line has a line judged, once it is all there.
func (b *http1Body) line(most int, wait bool, judge func(string) error) error {
	c := b.conn
	if at := bytes.IndexByte(c.buf[c.start:c.end], '\n'); at >= 0 {
		line := strings.TrimSuffix(string(c.buf[c.start:c.start+at]), "\r")
		c.start += at + 1
		return judge(line)
	}
	if c.end-c.start >= most {
		return protocol("a line in a chunked body is too long")
	}
	if !wait {
		return errNotYet
	}
	return cutChunk(b.more())
}

// size judges the line before a chunk.
func (b *http1Body) size(line string) error {
	digits, _, _ := strings.Cut(line, ";")
	digits = strings.TrimRight(digits, " \t")
	if digits == "" || len(digits) > 15 || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return protocol("an invalid size of a chunk: " + strconv.Quote(shorten(line)))
	}
	b.left, _ = strconv.ParseInt(digits, 16, 64)
	b.phase = chunkData
	if b.left == 0 {
		b.phase = trailers
	}
	return nil
}

// trailers reads what is behind the last chunk.
func (b *http1Body) trailers(wait bool) error {
	c := b.conn
	have := c.buf[c.start:c.end]
	n := 0
	switch {
	case bytes.HasPrefix(have, []byte("\r\n")):
		n = 2
	case bytes.HasPrefix(have, []byte("\n")):
		n = 1
	default:
		n = block(have, b.seen)
		b.seen = len(have)
	}
	if n > 0 {
		fields, err := parseFields(string(have[:n]), nil)
		c.start += n
		if err != nil {
			return err
		}
		b.response.Trailers = fields
		return io.EOF
	}
	if !wait {
		return errNotYet
	}
	return cutChunk(b.more())
}

// finish gives the connection back: the body was read to its end.
func (b *http1Body) finish() {
	b.done = true
	c := b.conn
	c.mu.Lock()
	sending := c.sending || c.sent != nil
	c.mu.Unlock()
	if !c.stop() || sending || b.closes || c.closes || c.start < c.end {
		c.client.forget(c)
		return
	}
	c.served = true
	c.free()
}

func (b *http1Body) fail(err error) {
	b.over = failed(err, ReadError, ReadTimeout)
	b.conn.abort()
}

// close ends the exchange, and the connection with it unless the body was read to its end.
func (b *http1Body) close() {
	if b.done || b.over != nil {
		return
	}
	b.over = &Error{Cancelled, "closed"}
	b.conn.abort()
}
