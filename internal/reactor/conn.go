package reactor

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Protocol is what speaks on a connection. Lost and Ended may come from inside Send, Receive, Shut and their like: what has called
// one of these looks whether the connection is Closed.
type Protocol interface {
	// Input is called when there may be bytes to read. A protocol that stops before Readable says no, remembers to go on.
	Input()
	// Drained is called when all pending output has left.
	Drained()
	// Lost is called when the peer is gone; the connection is closed right after.
	Lost()
	// Ended is called when the connection was closed, whatever the reason.
	Ended()
	// Hangup is called when the peer has finished sending. It reports whether the connection is still of use.
	Hangup() bool
	// Expire is called when the time of SetTimer is over; or, with output pending, when the peer has taken none of it for SendTimeout.
	Expire()
}

// Conn is a stream socket on a reactor: what every protocol over one needs. The protocol embeds it.
type Conn struct {
	r     *Reactor
	proto Protocol
	out   []byte    // pending output, borrowed
	sent  int       // how much of out has left
	moved int64     // bytes of pending output that have left
	seen  int64     // moved, when the stall timer was set
	file  *filePart // goes out after out
	tls   *layer    // between the protocol and the socket; nil: nothing is
	timer timer
	fd    int32
	id    uint32

	canRead   bool // the kernel may have more: it has not said "would block" since
	canWrite  bool
	hung      bool // the peer will send no more
	halves    bool // and may be sent to all the same
	finished  bool // all that it has sent was received
	closing   bool // close as soon as out has left
	linger    bool // then read on for a while, so that the peer gets what was sent
	lingering bool // that while
	putOff    bool // and goes on in the next turn
	closed    bool

	// Client and Server are the two ends, without a family where there is no address of use. A protocol that learns better sets
	// them.
	Client, Server exchange.Address
}

// Lingering close: how long is still read from a peer that was told to stop, and how much in a turn. Without it, bytes that arrive
// after the close would reset the connection, and could take the answer with them (RFC 9112 §9.6): a web server in front that sends
// a body of 100 MB says 502 then.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 1 << 20
)

// Open puts an accepted socket on the reactor, with p to speak on it. server is the address that was bound; without a family, the
// connection has one of its own. On an error the socket is closed.
func (c *Conn) Open(r *Reactor, fd int, p Protocol, client, server exchange.Address) error {
	c.r, c.fd, c.proto = r, int32(fd), p
	c.timer.owner = c
	if c.Server = server; client.Family != exchange.Unix {
		c.Client = client
		noDelay(fd)
		if server.Family == exchange.NoAddress {
			c.Server = localAddress(fd)
		}
	}
	id, err := r.register(fd, c, interestConn)
	if err != nil {
		closeSocket(fd)
		return err
	}
	c.id = id
	return nil
}

// Speak has another protocol go on with the connection: from now on it is called in place of the one before.
func (c *Conn) Speak(p Protocol) { c.proto = p }

// Reactor is what the connection is on.
func (c *Conn) Reactor() *Reactor { return c.r }

// Readable says whether there may be bytes that were not received yet.
func (c *Conn) Readable() bool { return c.canRead && !c.shaking() }

// Hung says whether the peer has finished sending.
func (c *Conn) Hung() bool { return c.hung }

// Halves has the connection go on when the peer has finished sending.
func (c *Conn) Halves() { c.halves = true }

// Finished says whether the peer has finished sending, and all that it has sent was received.
func (c *Conn) Finished() bool { return c.finished }

// Finish tells the peer that no more is sent to it. No output may be pending.
func (c *Conn) Finish() {
	if c.tls == nil || c.tls.goodbye() {
		shutdownWrite(int(c.fd))
	}
}

// Closing says whether the connection was shut: it closes when pending output has left.
func (c *Conn) Closing() bool { return c.closing }

// Closed says whether the connection is closed.
func (c *Conn) Closed() bool { return c.closed }

// Pending says whether output waits for the peer.
func (c *Conn) Pending() bool { return len(c.out) > 0 || c.file != nil }

// Unread returns how many bytes have been received at most that were not read yet.
func (c *Conn) Unread() int {
	n := unread(int(c.fd))
	if c.tls != nil {
		n += ReadSize // what it keeps inside, whole records and the beginning of one, can't be told
	}
	return n
}

// ready handles what the kernel reported.
func (c *Conn) ready(ev events) {
	if ev&writable != 0 {
		c.canWrite = true
	}
	if ev&(readable|hangup) != 0 && c.tls != nil {
		c.tls.dry = false
	}
	if ev&readable != 0 {
		c.canRead = true
	}
	if ev&failed != 0 {
		c.Lose()
		return
	}
	if ev&hangup != 0 && !c.hung { // every later edge tells it again
		c.hung, c.canRead = true, true
		if !c.lingering && !c.shaking() && !c.proto.Hangup() {
			c.Lose()
			return
		}
	}
	if c.Pending() && c.canWrite {
		c.flush()
	}
	if c.canRead && !c.closed {
		c.inputReady()
	}
}

func (c *Conn) inputReady() {
	switch {
	case c.lingering:
		c.discard()
	case c.shaking():
		c.tls.feed()
	default:
		c.proto.Input()
	}
}

// Look has the protocol read what has arrived, even if the kernel has not reported anything yet.
func (c *Conn) Look() {
	if c.closed {
		return
	}
	if c.canRead = true; c.tls != nil {
		c.tls.dry = false
	}
	c.inputReady()
}

// Receive reads once, at most the given number of bytes. There are none when the kernel has nothing now, or the peer is gone; then
// the connection is closed. The bytes are the reactor's: what is to outlast this turn's next Receive is copied.
func (c *Conn) Receive(most int) []byte {
	b := c.r.read[:min(most, ReadSize)]
	if c.tls != nil && !c.lingering {
		return c.tls.receive(b)
	}
	n, again := readSocket(int(c.fd), b)
	if n > 0 {
		// A short read has taken all there was; the next byte makes a new edge. What follows a hang-up makes none.
		c.canRead = n == len(b) || c.hung
		return b[:n]
	}
	c.nothing(again, n == 0)
	return nil
}

// nothing handles that there are no bytes: not now, or never again since the peer has finished, or something went wrong.
func (c *Conn) nothing(again, ended bool) {
	switch {
	case again:
		c.canRead = false
	case ended && c.halves:
		c.canRead, c.finished = false, true
	default:
		c.Lose()
	}
}

// Send writes the pieces, in order, or keeps what the kernel does not take now. Small pieces are best put together before.
func (c *Conn) Send(head, body []byte, tail string) {
	switch {
	case c.closed:
	case c.tls != nil:
		c.tls.send(head, body, tail)
	default:
		c.put(head, body, tail)
	}
}

// put hands the pieces to the kernel, or keeps what it does not take now.
func (c *Conn) put(head, body []byte, tail string) {
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
	if !c.Pending() {
		defer c.StallTimer()
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
func (c *Conn) writeNow(head, body []byte, tail string) (n int, ok bool) {
	total := len(head) + len(body) + len(tail)
	var again bool
	if len(body) == 0 && tail == "" {
		n, again = writeSocket(int(c.fd), head)
	} else {
		n, again = writeVector(int(c.fd), head, body, tail)
	}
	if n < 0 && !again {
		c.Lose()
		return 0, false
	}
	c.canWrite = n == total
	return max(n, 0), true
}

// flush writes pending output: first bytes, then a file.
func (c *Conn) flush() {
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
func (c *Conn) flushBytes() bool {
	n, again := writeSocket(int(c.fd), c.out[c.sent:])
	if n < 0 && !again {
		c.Lose()
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
func (c *Conn) flushed() {
	switch {
	case c.closing:
		c.finish()
	case c.shaking():
		c.tls.setTimer()
	default:
		c.proto.Drained()
	}
}

// Shut closes the connection when pending output has left; linger keeps reading for a while, for a peer that still sends.
func (c *Conn) Shut(linger bool) {
	c.linger = linger && !c.hung
	c.closing = true
	if !c.Pending() {
		c.r.wheel.stop(&c.timer)
		c.finish()
		return
	}
	c.StallTimer()
}

// SetTimer has the protocol's Expire called after d, unless output is pending: then the timer is StallTimer's.
func (c *Conn) SetTimer(d time.Duration) {
	if !c.Pending() {
		c.r.wheel.set(&c.timer, c.r.now, d)
	}
}

// StopTimer ends the wait of SetTimer. While output is pending, the timer is StallTimer's and goes on.
func (c *Conn) StopTimer() {
	if !c.Pending() {
		c.r.wheel.stop(&c.timer)
	}
}

// StallTimer starts anew the time in which the peer has to take some of the pending output; Send starts it, too. Without it a
// client that never reads would keep its descriptor, and an application that waits for it, for ever.
func (c *Conn) StallTimer() {
	c.seen = c.moved
	if c.r.SendTimeout > 0 {
		c.r.wheel.set(&c.timer, c.r.now, c.r.SendTimeout)
	}
}

// expire handles the timer: the protocol hears of it unless the peer takes its time with what it was sent.
func (c *Conn) expire() {
	switch {
	case c.lingering:
		c.close()
	case c.shaking():
		c.tls.lapse()
	case c.Pending() && c.seen != c.moved:
		c.StallTimer()
	default:
		c.proto.Expire()
	}
}

// finish ends a connection whose output has left.
func (c *Conn) finish() {
	if c.closed || c.tls != nil && !c.tls.goodbye() {
		return
	}
	if !c.linger {
		c.close()
		return
	}
	c.lingering = true
	shutdownWrite(int(c.fd))
	c.r.wheel.set(&c.timer, c.r.now, lingerTime)
	c.discard()
}

// discard reads and drops what a lingering peer still sends.
func (c *Conn) discard() {
	if c.putOff {
		return
	}
	for total := 0; c.canRead && !c.closed; {
		if total += len(c.Receive(ReadSize)); total > lingerBytes {
			c.putOff = true
			c.r.Later(resumeDiscard{c})
			return
		}
		if c.finished {
			c.close()
		}
	}
}

// resumeDiscard goes on with what a lingering peer sends in the next turn.
type resumeDiscard struct{ c *Conn }

func (r resumeDiscard) Resume() {
	r.c.putOff = false
	r.c.discard()
}

// Lose ends a connection whose peer is gone: the protocol is told, then it is closed.
func (c *Conn) Lose() {
	if c.closed {
		return
	}
	if !c.lingering {
		c.proto.Lost()
	}
	c.close()
}

// Reset ends a connection so that the peer sees an error, not an end: the protocol is told as if the peer were gone.
func (c *Conn) Reset() {
	if !c.closed {
		resetOnClose(int(c.fd))
		c.Lose()
	}
}

// close frees everything. It is the only place that closes the descriptor.
func (c *Conn) close() {
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
	if c.tls != nil {
		c.tls.close()
	}
	closeSocket(int(c.fd))
	c.r.release(c.id)
	c.proto.Ended()
}
