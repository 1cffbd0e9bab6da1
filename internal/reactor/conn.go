package reactor

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

// protocol is what speaks on a connection.
type protocol interface {
	// input is called when there may be bytes to read.
	input()
	// drained is called when all pending output has left.
	drained()
	// lost is called when the peer is gone; the connection is closed right after.
	lost()
	// ended is called when the connection was closed, whatever the reason.
	ended()
	// hangup is called when the peer has finished sending. It reports whether the connection is still of use.
	hangup() bool
	expirer
}

// conn is a stream socket on a reactor: what every protocol over one needs. The owner embeds it.
type conn struct {
	r     *Reactor
	proto protocol
	out   []byte    // pending output, borrowed
	sent  int       // how much of out has left
	moved int64     // bytes of pending output that have left
	seen  int64     // moved, when the stall timer was set
	file  *filePart // goes out after out
	timer timer
	fd    int32
	id    uint32

	canRead   bool // the kernel may have more: it has not said "would block" since
	canWrite  bool
	hung      bool // the peer will send no more
	closing   bool // close as soon as out has left
	linger    bool // then read on for a while, so that the peer gets what was sent
	lingering bool // that while
	putOff    bool // and goes on in the next turn
	closed    bool

	client, server exchange.Address
}

// Lingering close: how long is still read from a peer that was told to stop, and how much in a turn. Without it, bytes that arrive
// after the close would reset the connection, and could take the answer with them (RFC 9112 §9.6): a web server in front that sends
// a body of 100 MB says 502 then.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
)

// open puts an accepted socket on the reactor.
func (c *conn) open(r *Reactor, fd int, p protocol) error {
	c.r, c.fd, c.proto = r, int32(fd), p
	c.timer.owner = p
	id, err := r.register(fd, c, interestConn)
	c.id = id
	return err
}

// ready handles what the kernel reported.
func (c *conn) ready(ev events) {
	if ev&writable != 0 {
		c.canWrite = true
	}
	if ev&readable != 0 {
		c.canRead = true
	}
	if ev&failed != 0 {
		c.lose()
		return
	}
	if ev&hangup != 0 && !c.hung { // every later edge tells it again
		c.hung, c.canRead = true, true
		if !c.lingering && !c.proto.hangup() {
			c.lose()
			return
		}
	}
	if c.pending() && c.canWrite {
		c.flush()
	}
	if c.canRead && !c.closed {
		c.inputReady()
	}
}

func (c *conn) inputReady() {
	if c.lingering {
		c.discard()
		return
	}
	c.proto.input()
}

// receive reads once into b. n is 0 when the kernel has nothing now, or the peer is gone; then c.closed is set.
func (c *conn) receive(b []byte) int {
	n, again := readSocket(int(c.fd), b)
	switch {
	case n > 0:
		// A short read has taken all there was; the next byte makes a new edge. What follows a hang-up makes none.
		c.canRead = n == len(b) || c.hung
		return n
	case again:
		c.canRead = false
		return 0
	default:
		c.lose()
		return 0
	}
}

// send writes the pieces, in order, or keeps what the kernel does not take now. Small pieces are best put together before.
func (c *conn) send(head, body []byte, tail string) {
	if c.closed {
		return
	}
	if len(c.out) == 0 && c.canWrite {
		n, ok := c.writeNow(head, body, tail)
		if !ok {
			return
		}
		head, n = cut(head, n)
		body, n = cut(body, n)
		tail = tail[min(n, len(tail)):]
	}
	if len(head)+len(body)+len(tail) == 0 {
		return
	}
	if !c.pending() {
		defer c.stallTimer()
	}
	c.out = c.r.pieces.add(c.out, head)
	c.out = c.r.pieces.add(c.out, body)
	if tail != "" {
		c.out = c.r.pieces.add(c.out, []byte(tail))
	}
}

// cut takes the first n bytes off b and returns what is left of both.
func cut(b []byte, n int) ([]byte, int) {
	if n >= len(b) {
		return nil, n - len(b)
	}
	return b[n:], 0
}

// writeNow hands the pieces to the kernel. ok is false when the peer is gone.
func (c *conn) writeNow(head, body []byte, tail string) (n int, ok bool) {
	total := len(head) + len(body) + len(tail)
	var again bool
	if len(body) == 0 && tail == "" {
		n, again = writeSocket(int(c.fd), head)
	} else {
		n, again = writeVector(int(c.fd), head, body, tail)
	}
	if n < 0 && !again {
		c.lose()
		return 0, false
	}
	c.canWrite = n == total
	return max(n, 0), true
}

// flush writes pending output: first bytes, then a file.
func (c *conn) flush() {
	if len(c.out) > 0 && !c.flushBytes() {
		return
	}
	if c.file != nil {
		c.flushFile()
		return
	}
	c.flushed()
}

// flushBytes writes from out. It reports whether all of it has left.
func (c *conn) flushBytes() bool {
	n, again := writeSocket(int(c.fd), c.out[c.sent:])
	if n < 0 && !again {
		c.lose()
		return false
	}
	c.sent += max(n, 0)
	c.moved += int64(max(n, 0))
	if c.sent < len(c.out) {
		c.canWrite = false
		return false
	}
	c.r.pieces.put(c.out)
	c.out, c.sent = nil, 0
	return true
}

// flushed goes on when all pending output has left.
func (c *conn) flushed() {
	if c.closing {
		c.finish()
		return
	}
	c.proto.drained()
}

// pending says whether output waits for the peer.
func (c *conn) pending() bool { return len(c.out) > 0 || c.file != nil }

// shut closes the connection when pending output has left; linger keeps reading for a while, for a peer that still sends.
func (c *conn) shut(linger bool) {
	c.linger = linger && !c.hung
	c.closing = true
	if !c.pending() {
		c.r.wheel.stop(&c.timer)
		c.finish()
		return
	}
	c.stallTimer()
}

// stallTimer starts the time in which the peer has to take some of the pending output; the owner's expire asks stalled. Without
// it a client that never reads would keep its descriptor, and an application that waits for it, for ever.
func (c *conn) stallTimer() {
	c.seen = c.moved
	if c.r.stall > 0 {
		c.r.wheel.set(&c.timer, c.r.now.Add(c.r.stall))
	}
}

// waitOver ends a wait for input. While output is pending, the timer is the stall timer.
func (c *conn) waitOver() {
	if !c.pending() {
		c.r.wheel.stop(&c.timer)
	}
}

// stalled says whether the peer has taken nothing of the pending output since the timer was set.
func (c *conn) stalled() bool { return c.seen == c.moved }

// finish ends a connection whose output has left.
func (c *conn) finish() {
	if c.closed {
		return
	}
	if !c.linger {
		c.close()
		return
	}
	c.lingering = true
	shutdownWrite(int(c.fd))
	c.r.wheel.set(&c.timer, c.r.now.Add(lingerTime))
	c.discard()
}

// discard reads and drops what a lingering peer still sends.
func (c *conn) discard() {
	if c.putOff {
		return
	}
	for total := 0; c.canRead && !c.closed; {
		if total += c.receive(c.r.read); total > lingerBytes {
			c.putOff = true
			c.r.later(resumeDiscard{c})
			return
		}
	}
}

// resumeDiscard goes on with what a lingering peer sends in the next turn.
type resumeDiscard struct{ c *conn }

func (r resumeDiscard) resume() {
	r.c.putOff = false
	r.c.discard()
}

// lose ends a connection whose peer is gone: the protocol is told, then it is closed.
func (c *conn) lose() {
	if c.closed {
		return
	}
	if !c.lingering {
		c.proto.lost()
	}
	c.close()
}

// reset closes the connection so that the peer sees an error, not an end.
func (c *conn) reset() {
	if !c.closed {
		resetOnClose(int(c.fd))
		c.close()
	}
}

// close frees everything. It is the only place that closes the descriptor.
func (c *conn) close() {
	if c.closed {
		return
	}
	c.closed, c.canRead, c.canWrite = true, false, false
	c.r.wheel.drop(&c.timer)
	if c.out != nil {
		c.r.pieces.put(c.out)
		c.out = nil
	}
	c.dropFile()
	closeSocket(int(c.fd))
	c.r.release(c.id)
	c.proto.ended()
}

// expired handles the timer of a lingering connection; the protocol's own timeouts are the protocol's.
func (c *conn) expired() bool {
	if c.lingering {
		c.close()
	}
	return c.lingering
}
