package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// http1Conn is a connection of HTTP/1.1. One goroutine uses it at a time; a body that is still being sent has another.
type http1Conn struct {
	client *Client
	key    string
	net    net.Conn
	since  time.Time // it is idle

	buf        []byte
	start, end int // of what was received and not used

	method   string
	timeouts Timeouts
	served   bool // it has had a request before
	received bool // a byte of this one's response
	closes   bool // it can't have another

	mu      sync.Mutex // the rest is about a body that is being sent
	sending bool
	sent    *Error // why it was not sent
	stop    func() bool
}

// firstBuffer holds the head of most responses.
const firstBuffer = 4 << 10

func newHTTP1(c *Client, raw net.Conn, key string) *http1Conn {
	return &http1Conn{client: c, key: key, net: raw, buf: make([]byte, firstBuffer)}
}

// hangUp closes the socket.
func (c *http1Conn) hangUp() { _ = c.net.Close() }

// free gives the connection back to the pool, to be used again or ended.
func (c *http1Conn) free() {
	c.client.giveBack(c)
}

// alive says whether an idle connection is still of use: nothing has come on it, not even its end.
func (c *http1Conn) alive() bool {
	raw := c.net
	if s, ok := raw.(*tls.Conn); ok {
		raw = s.NetConn()
	}
	sys, ok := raw.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sys.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = rc.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, e := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = errors.Is(e, unix.EAGAIN)
		return true
	})
	return err == nil && quiet
}

// mayRepeat is for a server that has closed a kept connection.
func (c *http1Conn) mayRepeat(r *Request) bool { return c.served && !c.received && r.replayable() }

// roundTrip sends a request and reads the head of its response.
func (c *http1Conn) roundTrip(ctx context.Context, r *Request, way route) (*Response, *Error) {
	c.method, c.timeouts, c.received, c.sent, c.closes = r.Method, r.Timeouts, false, nil, false
	c.stop = context.AfterFunc(ctx, func() { _ = c.net.Close() })
	response, err := c.exchange(r, way)
	if err != nil {
		c.abort()
		return nil, err
	}
	return response, nil
}

// abort ends the exchange and the connection.
func (c *http1Conn) abort() {
	if c.stop() {
		c.stop = func() bool { return false }
	}
	c.client.forget(c)
}

func (c *http1Conn) exchange(r *Request, way route) (*Response, *Error) {
	head, chunked := c.compose(r, way)
	if r.Body == nil {
		if err := c.write(head); err != nil {
			return nil, err
		}
	} else {
		c.sending = true
		length, _ := r.framing()
		go c.send(head, r.Body, length-int64(len(r.First)), chunked) // ends with the body, or with the connection
	}
	for interim := 0; ; interim++ {
		response, err := c.head()
		if err != nil {
			return nil, err
		}
		if response.Status/100 == 1 && response.Status != 101 {
			if interim == maxInterim {
				return nil, protocol("too many interim responses")
			}
			continue
		}
		f, err := frame(r.Method, response)
		if err != nil {
			return nil, err
		}
		value, _ := r.has("connection")
		c.closes = f.closes || hasToken(value, "close")
		response.body = &http1Body{conn: c, response: response, framing: f}
		return response, nil
	}
}

// compose makes the head of a request, with the first part of its body. It says whether the rest goes in chunks.
func (c *http1Conn) compose(r *Request, way route) ([]byte, bool) {
	b := make([]byte, 0, 512+len(r.First))
	b = append(append(b, r.Method...), ' ')
	if way.forward {
		b = append(append(b, "http://"...), strings.TrimSuffix(r.Host, ":80")...)
	}
	b = append(append(b, r.Target...), " HTTP/1.1\r\n"...)
	if _, ok := r.has("host"); !ok {
		b = appendField(b, Field{"Host", r.Host})
	}
	if way.forward {
		for _, f := range way.proxy.fields() {
			b = appendField(b, f)
		}
	}
	for _, f := range r.Fields {
		b = appendField(b, f)
	}
	chunked := false
	if coding, ok := r.has("transfer-encoding"); ok {
		chunked = hasToken(coding, "chunked")
	} else if _, sized := r.has("content-length"); !sized && (r.Body != nil || len(r.First) > 0) {
		chunked = true
		b = appendField(b, Field{"Transfer-Encoding", "chunked"})
	}
	b = append(b, "\r\n"...)
	if chunked {
		b = appendChunk(b, r.First)
		if r.Body == nil {
			b = append(b, "0\r\n\r\n"...)
		}
		return b, true
	}
	return append(b, r.First...), false
}

func appendChunk(b, p []byte) []byte {
	if len(p) == 0 {
		return b
	}
	const digits = "0123456789abcdef"
	shift := 0
	for len(p)>>(shift+4) > 0 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		b = append(b, digits[len(p)>>shift&15])
	}
	b = append(append(append(b, "\r\n"...), p...), "\r\n"...)
	return b
}

// write writes all of b within the write timeout.
func (c *http1Conn) write(b []byte) *Error {
	if c.timeouts.Write > 0 {
		_ = c.net.SetWriteDeadline(time.Now().Add(c.timeouts.Write))
	}
	if _, err := c.net.Write(b); err != nil {
		return failed(err, WriteError, WriteTimeout)
	}
	return nil
}

// sendPiece is how much of a body is written at a time.
const sendPiece = 64 << 10

// send writes a body, of so many bytes if it doesn't go in chunks. Meanwhile the response may come; until it is sent no time for that runs.
func (c *http1Conn) send(head []byte, body io.Reader, left int64, chunked bool) {
	err := c.write(head)
	piece := make([]byte, sendPiece)
	var chunk []byte
	for err == nil {
		n, problem := body.Read(piece)
		left -= int64(n)
		switch {
		case left < 0 && !chunked:
			err = &Error{LocalProtocolError, tooMuch}
		case n > 0 && chunked:
			chunk = appendChunk(chunk[:0], piece[:n])
			err = c.write(chunk)
		case n > 0:
			err = c.write(piece[:n])
		}
		if problem == nil || err != nil {
			continue
		}
		if !errors.Is(problem, io.EOF) {
			err = &Error{Cancelled, "the body of the request ended too early"}
			break
		}
		if chunked {
			err = c.write([]byte("0\r\n\r\n"))
		} else if left > 0 {
			err = &Error{LocalProtocolError, tooLittle}
		}
		break
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending, c.sent = false, err
	switch {
	case err != nil && err.Kind != WriteError: // a server that has closed may have answered before
		_ = c.net.SetReadDeadline(time.Unix(1, 0))
	case c.timeouts.Read > 0:
		_ = c.net.SetReadDeadline(time.Now().Add(c.timeouts.Read))
	}
}

// deadline is until when something must come.
func (c *http1Conn) deadline() time.Time {
	if c.timeouts.Read <= 0 {
		return time.Time{}
	}
	return time.Now().Add(c.timeouts.Read)
}

// limit sets the time for the next read. While a body is being sent there is none.
func (c *http1Conn) limit(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending {
		until = time.Time{}
	} else if c.sent != nil && c.sent.Kind != WriteError {
		until = time.Unix(1, 0)
	}
	_ = c.net.SetReadDeadline(until)
}

// broken makes an Error of what a read says: what the sending failed by came first.
func (c *http1Conn) broken(err error, kind Kind) *Error {
	c.mu.Lock()
	sent := c.sent
	c.mu.Unlock()
	if sent != nil {
		return sent
	}
	if errors.Is(err, io.EOF) && kind == ReadError {
		return protocol("the server has closed the connection without a response")
	}
	return failed(err, ReadError, ReadTimeout)
}

// fill reads more behind what is in the buffer, which has room.
func (c *http1Conn) fill(until time.Time) error {
	c.limit(until)
	n, err := c.net.Read(c.buf[c.end:])
	c.end += n
	c.received = c.received || n > 0
	if n > 0 {
		return nil
	}
	return err
}

// room makes room in the buffer; false if it would be more than a head may take.
func (c *http1Conn) room() bool {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.end < len(c.buf) {
		return true
	}
	if c.start > 0 {
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
		return true
	}
	if len(c.buf) >= maxHead {
		return false
	}
	c.buf = append(c.buf, make([]byte, len(c.buf))...)
	return true
}

// block returns how long what ends with the first empty line is; 0 if that is not there. It has been looked for in what is before from:
// a server that sends byte by byte must not have all of it looked at again and again.
func block(b []byte, from int) int {
	for at := max(0, from-len("\n\r")); ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		if at < len(b) && b[at] == '\n' {
			return at + 1
		}
		if at+1 < len(b) && b[at] == '\r' && b[at+1] == '\n' {
			return at + 2
		}
	}
}

// head reads the head of a response.
func (c *http1Conn) head() (*Response, *Error) {
	for from := 0; ; {
		for c.start < c.end && (c.buf[c.start] == '\r' || c.buf[c.start] == '\n') { // RFC 9112 §2.2, of requests; some servers do it
			c.start++
		}
		if n := block(c.buf[c.start:c.end], from); n > 0 {
			text := string(c.buf[c.start : c.start+n])
			c.start += n
			return parseHead(text)
		}
		if bad := c.notHTTP(); bad != nil {
			return nil, bad
		}
		from = c.end - c.start
		if !c.room() {
			return nil, protocol("the head of the response is too long")
		}
		if err := c.fill(c.deadline()); err != nil {
			if c.start < c.end && errors.Is(err, io.EOF) {
				return nil, protocol("the server has closed the connection within the head of the response")
			}
			return nil, c.broken(err, ReadError)
		}
	}
}

// notHTTP looks at the first bytes: what is no HTTP may never have an empty line.
func (c *http1Conn) notHTTP() *Error {
	const begin = "HTTP/1."
	n := min(len(begin), c.end-c.start)
	if string(c.buf[c.start:c.start+n]) != begin[:n] {
		return protocol("the response is no HTTP/1.1")
	}
	return nil
}

func parseHead(text string) (*Response, *Error) {
	line, rest, _ := nextLine(text)
	version, status, phrase, ok := parseStatus(line)
	if !ok {
		return nil, protocol("a malformed status line")
	}
	fields, err := parseFields(rest, make([]Field, 0, strings.Count(rest, "\n")))
	if err != nil {
		return nil, err
	}
	return &Response{Status: status, Phrase: phrase, Version: version, Fields: fields}, nil
}
