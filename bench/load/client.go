//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

const (
	// grace is how long the last replies may take before they count as failures.
	grace = 5 * time.Second
	// maxFailures ends a run that is void anyway.
	maxFailures = 100
	readBuffer  = 64 << 10
)

// plan is what to send and when.
type plan struct {
	exchange    *exchange
	connections int
	inFlight    int
	rate        float64
	count       int
	length      time.Duration // of a closed loop without a count; 0 otherwise
	seed        uint64        // of the draws of a mix
	hold, drip  bool          // what the connections do once the requests are answered
	broadcast   int           // bytes of the messages they are told instead
	lasting     time.Duration // how long
}

// conn is one connection; it is opened right before its first request (with closing, before each). expect is non-nil while a
// reply is awaited.
type conn struct {
	fd     int
	due    time.Duration // when the request under way was due, since the run's start
	idleAt time.Duration // when the last reply was complete
	expect []byte
	kind   uint8  // of the request under way
	out    []byte // that request
	sent   int    // how much of out the socket has taken
	in     []byte // an incomplete reply
	speaks bool   // a WebSocket whose handshake was answered
}

// client runs a plan on one epoll. Connections take turns: free is a FIFO, so that all of them are used.
type client struct {
	plan
	poll    *poller
	conns   []conn
	free    []int
	buf     []byte
	drawn   []uint8 // the kind of each request; nil without a mix
	start   time.Time
	heard   time.Duration // when the last reply was complete
	started int           // requests sent, or given up, since start
	pending int           // of which unanswered
	sample  sample
}

func newClient(p plan) (*client, error) {
	poll, err := newPoller()
	if err != nil {
		return nil, err
	}
	c := &client{plan: p, poll: poll, conns: make([]conn, p.connections), buf: make([]byte, readBuffer)}
	if len(p.exchange.kinds) > 1 {
		c.drawn = draws(p.count, p.exchange.kinds, p.seed)
	}
	for i := range c.conns {
		c.conns[i].fd = -1
		c.free = append(c.free, i)
	}
	return c, nil
}

func (c *client) close() {
	for i := range c.conns {
		if fd := c.conns[i].fd; fd >= 0 {
			_ = syscall.Close(fd)
		}
	}
	c.poll.close()
}

// run sends the plan's requests and returns when all are answered, or when none has been for a grace and none is due.
func (c *client) run() (result, error) {
	c.sample = newSample(c.count, c.exchange.kinds)
	c.started, c.pending, c.heard = 0, 0, 0
	for i := range c.conns {
		c.conns[i].idleAt = 0
	}
	before := cpuTime()
	c.start = time.Now()
	for c.started < c.count || c.pending > 0 {
		now := time.Since(c.start)
		if c.length > 0 && now >= c.length {
			c.count = c.started
		}
		c.sendDue(now)
		if err := c.poll.wait(c.timeout(now), c.ready); err != nil {
			return result{}, err
		}
		if c.sample.failures > maxFailures && !c.exchange.reconnect || time.Since(c.start) > max(c.dueAt(c.count), c.heard)+grace {
			break
		}
	}
	if c.length > 0 {
		c.count = c.started
	}
	r := c.sample.result(time.Since(c.start), cpuTime()-before)
	r.Failures += c.pending + c.count - c.started
	return r, nil
}

// dueAt is when request i has to leave: at once in a closed loop.
func (c *client) dueAt(i int) time.Duration {
	if c.rate == 0 {
		return 0
	}
	return time.Duration(float64(i) / c.rate * float64(time.Second))
}

// sendDue sends what is due as long as a connection is free. What finds none waits, and its latency grows meanwhile.
func (c *client) sendDue(now time.Duration) {
	for c.started < c.count && len(c.free) > 0 && c.pending < c.inFlight {
		due := c.dueAt(c.started)
		if due > now {
			return
		}
		if c.rate == 0 {
			due = time.Since(c.start)
		}
		i := c.free[0]
		c.free = c.free[1:]
		var of uint8
		if c.drawn != nil {
			of = c.drawn[c.started]
		}
		c.started++
		if err := c.send(i, of, due); err != nil {
			c.fail(i, err)
			continue
		}
		c.sample.late = append(c.sample.late, time.Since(c.start)-max(due, c.conns[i].idleAt))
	}
}

// timeout is how long nothing has to be sent.
func (c *client) timeout(now time.Duration) time.Duration {
	if c.started == c.count || len(c.free) == 0 || c.pending >= c.inFlight {
		return grace
	}
	return max(c.dueAt(c.started)-now, 0)
}

func (c *client) send(i int, of uint8, due time.Duration) (err error) {
	k := &c.conns[i]
	c.pending++
	k.due, k.sent, k.kind = due, 0, of
	k.out, k.expect = c.exchange.next(k.out[:0], of)
	if c.exchange.reconnect && k.fd >= 0 && ended(k.fd) {
		c.end(k)
	}
	if k.fd < 0 {
		if k.fd, err = dial(&c.exchange.addr); err != nil {
			return err
		}
		if err = c.poll.add(k.fd, i); err != nil {
			return err
		}
	}
	if c.exchange.socket {
		k.out = c.exchange.say(k)
	}
	return c.flush(k)
}

func (c *client) flush(k *conn) error {
	for k.sent < len(k.out) {
		n, err := syscall.Write(k.fd, k.out[k.sent:])
		if errors.Is(err, syscall.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		k.sent += n
	}
	return nil
}

// ready handles an event of connection i.
func (c *client) ready(i int) {
	k := &c.conns[i]
	if k.fd < 0 {
		return
	}
	err := c.flush(k)
	if err == nil {
		err = c.read(i)
	}
	if err != nil {
		c.fail(i, err)
	}
}

// read takes what the socket has. The poll is edge-triggered: a read that fills the buffer is repeated.
func (c *client) read(i int) error {
	k := &c.conns[i]
	for {
		n, err := syscall.Read(k.fd, c.buf)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case n == 0:
			return fmt.Errorf("read: %w", io.ErrUnexpectedEOF)
		}
		c.sample.bytes += n
		b := c.buf[:n]
		if len(k.in) > 0 {
			k.in = append(k.in, b...)
			b = k.in
		}
		if err := c.take(i, b); err != nil {
			return err
		}
		if n < len(c.buf) || k.fd < 0 {
			return nil
		}
	}
}

// take checks the reply in b, or keeps b until the rest has come.
func (c *client) take(i int, b []byte) error {
	k := &c.conns[i]
	if k.expect == nil {
		return fmt.Errorf("%d bytes that nobody asked for", len(b))
	}
	if c.exchange.socket {
		return c.takeMessage(i, b)
	}
	r, n, err := parseResponse(b)
	if errors.Is(err, errIncomplete) {
		if len(k.in) == 0 {
			k.in = append(k.in, b...)
		}
		return nil
	}
	if err == nil {
		err = c.exchange.check(r, k.expect)
	}
	if err == nil && n != len(b) {
		err = fmt.Errorf("%d bytes after the reply", len(b)-n)
	}
	if err != nil {
		return err
	}
	c.answered(k, i)
	if r.closing {
		c.end(k)
	}
	return nil
}

// answered notes that the reply on connection i was right.
func (c *client) answered(k *conn, i int) {
	k.idleAt = time.Since(c.start)
	c.heard = k.idleAt
	c.sample.add(k.kind, k.idleAt-k.due)
	k.expect, k.in = nil, nil
	c.pending--
	c.free = append(c.free, i)
}

// end closes a connection that the server has ended, or said that it would.
func (c *client) end(k *conn) {
	c.sample.ended++
	_ = syscall.Close(k.fd)
	k.fd = -1
}

// fail records why, drops the connection, and lets its slot dial again. A server that may do so ends an idle connection for no
// reason.
func (c *client) fail(i int, err error) {
	k := &c.conns[i]
	if c.exchange.reconnect && k.expect == nil {
		c.sample.ended++
	} else {
		c.sample.fail(err)
	}
	if k.fd >= 0 {
		_ = syscall.Close(k.fd)
	}
	if k.expect != nil {
		c.pending--
		c.free = append(c.free, i)
	}
	*k = conn{fd: -1}
}
