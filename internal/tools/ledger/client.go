package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// plan is what the command line asks for.
type plan struct {
	addr        string
	connections int
	closing     float64
	rate        float64
	count       int
	duration    time.Duration
	timeout     time.Duration
	seed        uint64
	file        string
	mix         []share
}

const (
	// keepFor is how long a connection may lie idle: well below any server's patience, so that its end is never a race.
	keepFor = time.Second

	// receiveBuffer is the kernel's, for each connection: small, so that a stream that is read slowly is felt at the other end.
	receiveBuffer = 32 << 10

	// readSize is how much of an answer is read at once, between pauses.
	readSize = 16 << 10
)

// load runs the plan's clients until the end of the plan or of ctx.
func (p *plan) load(ctx context.Context, b *book) {
	if p.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.duration)
		defer cancel()
	}
	turn := p.turns(ctx)
	var clients sync.WaitGroup
	for i := range p.connections {
		c := &client{plan: p, book: b, number: i, dice: rand.New(rand.NewPCG(p.seed, uint64(i)))}
		c.closing = c.dice.Float64() < p.closing
		clients.Go(func() { c.run(turn) }) // ends when turn says no
	}
	clients.Wait()
}

// turns returns a function that waits until another request is due, and says false when there is none.
func (p *plan) turns(ctx context.Context) func() bool {
	var given atomic.Int64
	begun := time.Now()
	return func() bool {
		n := given.Add(1)
		if ctx.Err() != nil || p.count > 0 && n > int64(p.count) {
			return false
		}
		if p.rate == 0 {
			return true
		}
		due := time.NewTimer(time.Until(begun.Add(time.Duration(float64(n-1) / p.rate * float64(time.Second)))))
		defer due.Stop()
		select {
		case <-due.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// client sends one request after another on its connection, and opens another when that ends.
type client struct {
	plan    *plan
	book    *book
	number  int
	made    int
	dice    *rand.Rand
	closing bool
	conn    net.Conn
	reader  *bufio.Reader
	used    time.Time // when the connection was, last
	buf     [readSize]byte
}

func (c *client) run(turn func() bool) {
	for turn() {
		id := fmt.Sprintf("%d-%d", c.number, c.made)
		c.made++
		r := newRequest(c.plan.addr, id, draw(c.plan.mix, c.dice), c.closing, c.dice)
		c.book.begin()
		sent := time.Now()
		o, err := c.exchange(r, sent)
		c.book.end(r, sent, time.Now(), o, err)
	}
	c.hangUp(false)
}

// exchange sends a request and says how it ended. The connection goes on if it can.
func (c *client) exchange(r *request, now time.Time) (outcome, error) {
	if c.conn != nil && now.Sub(c.used) > keepFor {
		c.hangUp(false)
	}
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return dialling(err), err
		}
	}
	_ = c.conn.SetDeadline(now.Add(c.plan.timeout))
	if r.leave != never {
		c.abandon(r)
		return aborted, nil
	}
	_, sending := c.conn.Write(r.text) // whoever refuses a request need not read it: the answer may be there all the same
	answer, err := readResponse(c.reader)
	if err == nil {
		err = c.body(answer, r)
	}
	if err != nil {
		c.hangUp(false)
		if sending != nil {
			err = errors.Join(sending, err)
		}
		return ending(err), err
	}
	if c.used = time.Now(); sending != nil || c.closing || answer.closing {
		c.hangUp(false)
	}
	if c.closing && !answer.closing {
		return wrong, errors.New("the server keeps a connection that was to end")
	}
	return outcome(answer.status), nil
}

// body reads the body of an answer and compares it with what it must be.
func (c *client) body(answer *response, r *request) error {
	for {
		if r.pause > 0 {
			time.Sleep(r.pause)
		}
		n, err := answer.Read(c.buf[:])
		if answer.status == 200 && !r.expect.goesOn(c.buf[:n]) {
			return malformed("the body goes on with %.40q", c.buf[:n])
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			if answer.status == 200 && r.expect.left > 0 {
				return malformed("the body lacks %d bytes", r.expect.left)
			}
			if c.reader.Buffered() > 0 {
				return malformed("more than the answer came")
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// abandon leaves in the middle of a request. Its connection is gone then.
func (c *client) abandon(r *request) {
	part := len(r.text)
	switch {
	case r.leave == inHead, r.leave == inBody && r.head == len(r.text):
		part = 1 + c.dice.IntN(r.head-1)
	case r.leave == inBody:
		part = r.head + c.dice.IntN(len(r.text)-r.head)
	}
	if _, err := c.conn.Write(r.text[:part]); err == nil {
		if r.leave == inResponse {
			_, _ = c.reader.Peek(1)
		}
		time.Sleep(r.linger)
	}
	c.hangUp(r.hard)
}

func (c *client) dial() error {
	conn, err := net.DialTimeout("tcp", c.plan.addr, c.plan.timeout)
	if err != nil {
		return err
	}
	_ = conn.(*net.TCPConn).SetReadBuffer(receiveBuffer)
	c.conn, c.reader = conn, bufio.NewReader(conn)
	return nil
}

// hangUp closes the connection; hard, with a reset.
func (c *client) hangUp(hard bool) {
	if c.conn == nil {
		return
	}
	if hard {
		_ = c.conn.(*net.TCPConn).SetLinger(0)
	}
	_ = c.conn.Close()
	c.conn = nil
}

// dialling is the outcome of a connection that was not made.
func dialling(err error) outcome {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.ECONNRESET):
		return reset
	case errors.Is(err, os.ErrDeadlineExceeded):
		return timedOut
	}
	return failed
}

// ending is the outcome of a request whose answer is not whole.
func ending(err error) outcome {
	switch {
	case errors.Is(err, errMalformed):
		return wrong
	case errors.Is(err, os.ErrDeadlineExceeded):
		return timedOut
	case errors.Is(err, io.ErrUnexpectedEOF):
		return cut
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return reset
	case errors.Is(err, io.EOF):
		return unanswered
	}
	return failed
}
