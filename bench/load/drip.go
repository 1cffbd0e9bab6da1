//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	// tick is how often bytes leave: with 10,000 connections ten at a time, for a tenth of the wake-ups.
	tick = time.Millisecond
	// stopTag is what the poll calls the descriptor that ends the drip.
	stopTag = -1
)

// drip makes slow senders of a client's connections: the ring of them is walked once per second, and whose turn it is
// sends the next byte of a request head that never ends. Who is cut off connects again at once and starts a new head; who
// is cut off before its first byte waits for its turn, so that a server that refuses isn't dialed in a loop.
type drip struct {
	*client
	head    []byte // its last byte is repeated
	stopped bool
	sent    int
	cut     int
}

// dripResult is the line of output. Open are the connections that are established at the end.
type dripResult struct {
	Connections int     `json:"connections"`
	Open        int     `json:"open"`
	Cut         int     `json:"cut"`
	Sent        int     `json:"sent"`
	Seconds     float64 `json:"seconds"`
}

// newDrip takes over a client's connections; the client still closes them.
func newDrip(c *client) *drip {
	for i := range c.conns {
		c.conns[i].sent = 0
	}
	head := c.exchange.kinds[0].head
	head = head[:len(head)-len("\r\n")]
	return &drip{client: c, head: append(head[:len(head):len(head)], "x-slow: -"...)}
}

// run drips until stop, a pipe, has input or ends.
func (d *drip) run(stop *os.File) (dripResult, error) {
	if err := d.poll.addInput(int(stop.Fd()), stopTag); err != nil {
		return dripResult{}, fmt.Errorf("drip until standard input, a pipe, ends: %w", err)
	}
	n := len(d.conns)
	start := time.Now()
	for turn := 0; ; {
		stopped, took := d.stopped, time.Since(start).Seconds()
		for due := int(took * float64(n)); turn < due; turn++ {
			d.sendByte(turn % n)
		}
		if stopped {
			return dripResult{n, d.open(), d.cut, d.sent, took}, nil
		}
		if err := d.poll.wait(tick, d.ready); err != nil {
			return dripResult{}, err
		}
	}
}

func (d *drip) sendByte(i int) {
	k := &d.conns[i]
	if k.fd < 0 && !d.connect(i) {
		return
	}
	at := min(k.sent, len(d.head)-1)
	switch n, err := syscall.Write(k.fd, d.head[at:at+1]); {
	case err == nil:
		k.sent += n
		d.sent += n
	case !errors.Is(err, syscall.EAGAIN):
		d.cutOff(i)
	}
}

// ready handles an event of connection i: an unfinished head has no answer but the server's refusal to wait any longer.
func (d *drip) ready(i int) {
	if i == stopTag {
		d.stopped = true
		return
	}
	k := &d.conns[i]
	if k.fd < 0 {
		return
	}
	if _, err := syscall.Read(k.fd, d.buf); !errors.Is(err, syscall.EAGAIN) {
		d.cutOff(i)
	}
}

func (d *drip) cutOff(i int) {
	k := &d.conns[i]
	again := k.sent > 0
	_ = syscall.Close(k.fd)
	*k = conn{fd: -1}
	d.cut++
	if again {
		d.connect(i)
	}
}

// connect leaves fd at -1 if it fails: the next turn tries again.
func (d *drip) connect(i int) bool {
	fd, err := dial(&d.exchange.addr)
	if err != nil {
		return false
	}
	if err := d.poll.add(fd, i); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	d.conns[i].fd = fd
	return true
}

// open counts the connections that are established; one that waits for the server's backlog has no peer yet.
func (d *drip) open() int {
	n := 0
	for i := range d.conns {
		if fd := d.conns[i].fd; fd >= 0 {
			if _, err := syscall.Getpeername(fd); err == nil {
				n++
			}
		}
	}
	return n
}
