//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"time"
)

// What a WebSocket has in place of requests and replies (RFC 6455): its connection begins with a handshake, then each message has
// to come back as it was. Pings are failures: no server of the bench is started so that it sends any.

const (
	opText, opBinary = 1, 2
	final, masked    = 0x80, 0x80
	length16         = 126
	largest7         = 125
	largest16        = 1<<16 - 1
	// wsKey is every handshake's key, and wsAccept the answer to it: the example of RFC 6455 §1.3.
	wsKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	wsAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// handshake writes a request for a WebSocket without extensions.
func handshake(f exchangeFlags) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", f.path, f.addr, wsKey)
}

// checkHandshake returns how long the head of a right answer is.
func checkHandshake(b []byte) (n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, errIncomplete
	}
	line, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if status, err := parseStatus(line); err != nil || status != 101 {
		return 0, fmt.Errorf("the handshake is answered with %.40q", line)
	}
	accepted := false
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("sec-websocket-accept")):
			accepted = string(bytes.TrimSpace(value)) == wsAccept
		case bytes.EqualFold(name, []byte("sec-websocket-extensions")):
			return 0, errors.New("the server has chosen an extension that was not offered")
		}
	}
	if !accepted {
		return 0, errors.New("the handshake's key is not answered")
	}
	return end + 4, nil
}

// appendMessage appends a message in one frame, masked as a client has to.
func appendMessage(out []byte, op byte, p []byte) []byte {
	out = append(out, final|op)
	if len(p) <= largest7 {
		out = append(out, masked|byte(len(p)))
	} else {
		out = binary.BigEndian.AppendUint16(append(out, masked|length16), uint16(len(p)))
	}
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], mrand.Uint32())
	out = append(out, key[:]...)
	for i, c := range p {
		out = append(out, c^key[i&3])
	}
	return out
}

// parseMessage reads a message in one frame from the start of b, and returns how many bytes it took.
func parseMessage(b []byte, op byte) (p []byte, n int, err error) {
	if len(b) >= 1 && b[0] != final|op {
		return nil, 0, fmt.Errorf("a frame that begins with %#02x, want %#02x", b[0], final|op)
	}
	if len(b) < 2 {
		return nil, 0, errIncomplete
	}
	n, length := 2, int(b[1])
	switch {
	case length > length16:
		return nil, 0, fmt.Errorf("a frame whose length is %d: masked, or far too long", length)
	case length == length16 && len(b) < 4:
		return nil, 0, errIncomplete
	case length == length16:
		n, length = 4, int(binary.BigEndian.Uint16(b[2:]))
	}
	if len(b) < n+length {
		return nil, 0, errIncomplete
	}
	return b[n : n+length], n + length, nil
}

// takeMessage checks the answer to a handshake, or the message in b, or keeps b until the rest has come.
func (c *client) takeMessage(i int, b []byte) error {
	k := &c.conns[i]
	var p []byte
	var n int
	var err error
	if k.speaks {
		p, n, err = parseMessage(b, c.exchange.op)
	} else {
		n, err = checkHandshake(b)
	}
	switch {
	case errors.Is(err, errIncomplete):
		if len(k.in) == 0 {
			k.in = append(k.in, b...)
		}
		return nil
	case err != nil:
		return err
	case n != len(b):
		return fmt.Errorf("%d bytes that nobody asked for", len(b)-n)
	case !k.speaks:
		k.speaks, k.in = true, nil
		k.out, k.sent = appendMessage(k.out[:0], c.exchange.op, k.expect), 0
		return c.flush(k)
	case !bytes.Equal(p, k.expect):
		return fmt.Errorf("a message of %d bytes, not the one of %d bytes that was sent", len(p), len(k.expect))
	}
	c.answered(k, i)
	return nil
}

// broadcast has one of a client's connections say something for a while; each time all of them have to hear it.
type broadcast struct {
	*client
	size int
}

// newBroadcast takes over a client's connections; the client still closes them.
func newBroadcast(c *client) *broadcast {
	c.exchange.op = opBinary
	return &broadcast{c, c.broadcast}
}

// run counts what was heard, not what was said.
func (b *broadcast) run(length time.Duration) (result, error) {
	b.sample = newSample(0, b.exchange.kinds)
	before := cpuTime()
	b.start, b.heard = time.Now(), 0
	for time.Since(b.start) < length && b.sample.failures == 0 {
		if err := b.say(); err != nil {
			return result{}, err
		}
		for b.pending > 0 && b.sample.failures == 0 {
			if err := b.poll.wait(grace, b.ready); err != nil {
				return result{}, err
			}
			if time.Since(b.start) > b.heard+grace {
				b.sample.fail(fmt.Errorf("nothing was heard for %s", grace))
			}
		}
	}
	r := b.sample.result(time.Since(b.start), cpuTime()-before)
	r.Failures += b.pending
	return r, nil
}

// say sends one message on the first connection, and expects it on all.
func (b *broadcast) say() error {
	p := b.exchange.pool[mrand.IntN(echoPool):][:b.size]
	now := time.Since(b.start)
	for i := range b.conns {
		if b.conns[i].fd < 0 {
			return errors.New("a connection is gone that should hear")
		}
		b.conns[i].expect, b.conns[i].due = p, now
	}
	b.pending, b.free = len(b.conns), b.free[:0]
	k := &b.conns[0]
	k.out, k.sent = appendMessage(k.out[:0], opBinary, p), 0
	return b.flush(k)
}
