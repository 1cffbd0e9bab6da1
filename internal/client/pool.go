package client

import (
	"context"
	"time"
)

// idleList is the connections that wait for a request, the one that was used last at the end.
type idleList struct{ conns []*http1Conn }

// take removes and returns the connection with this key that was used last, or nil.
func (l *idleList) take(key string) *http1Conn {
	for i := len(l.conns) - 1; i >= 0; i-- {
		if c := l.conns[i]; c.key == key {
			l.conns = append(l.conns[:i], l.conns[i+1:]...)
			return c
		}
	}
	return nil
}

// takeOldest removes the connection that was used first, or nil.
func (l *idleList) takeOldest() *http1Conn {
	if len(l.conns) == 0 {
		return nil
	}
	c := l.conns[0]
	l.conns = append(l.conns[:0], l.conns[1:]...)
	return c
}

func (l *idleList) takeAll() []*http1Conn {
	all := l.conns
	l.conns = nil
	return all
}

// waiter is a request that waits for a connection, or for leave to make one.
type waiter struct {
	key   string
	grant chan grant // has room for the one that it gets
	gone  bool
}

// grant is what a waiter gets.
type grant struct {
	conn  *http1Conn // nil: leave to make one, which is counted already
	again bool       // nothing, but there may be something now
}

type waiterList struct{ all []*waiter }

// next takes the one that has waited longest, or nil.
func (l *waiterList) next() *waiter {
	for len(l.all) > 0 {
		w := l.all[0]
		l.all = l.all[1:]
		if !w.gone {
			return w
		}
	}
	return nil
}

// wake has those with this key look again: all, or the first.
func (l *waiterList) wake(key string, all bool) {
	kept := l.all[:0]
	for i, w := range l.all {
		if w.key != key || w.gone {
			kept = append(kept, w)
			continue
		}
		w.grant <- grant{again: true}
		if !all {
			kept = append(kept, l.all[i+1:]...)
			break
		}
	}
	clear(l.all[len(kept):])
	l.all = kept
}

// acquire returns a connection for a request: one that is idle, or shared, or a new one, for which there may have to be waited.
func (c *Client) acquire(ctx context.Context, way route, t *Timeouts) (conn, error) {
	for {
		kept, shared, wait, drop := c.choose(way)
		switch {
		case drop != nil:
			drop.hangUp()
		case shared != nil:
			return shared, nil
		case wait != nil:
			granted, err := c.await(ctx, wait, t.Pool)
			if err != nil {
				return nil, err
			}
			if granted.again {
				continue
			}
			kept = granted.conn
		}
		if kept == nil {
			return c.connect(ctx, way, t)
		}
		if kept.alive() {
			return kept, nil
		}
		c.forget(kept)
	}
}

// choose looks for a connection. If all it returns is nil, one may be made, which is counted already; drop is to be ended before.
func (c *Client) choose(way route) (kept *http1Conn, shared *http2Conn, wait *waiter, drop *http1Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept = c.idle.take(way.key); kept != nil {
		return kept, nil, nil, nil
	}
	for _, s := range c.shared[way.key] {
		if s.reserve() {
			return nil, s, nil, nil
		}
	}
	switch {
	case c.dialing[way.key]: // one is being made that may serve this one, too
	case c.settings.MaxConnections <= 0 || c.open < c.settings.MaxConnections:
		c.open++
		c.dials(way)
		return nil, nil, nil, nil
	default:
		if drop = c.idle.takeOldest(); drop != nil { // its place is the new one's
			c.dials(way)
			return nil, nil, nil, drop
		}
	}
	wait = &waiter{key: way.key, grant: make(chan grant, 1)}
	c.waiting.all = append(c.waiting.all, wait)
	return nil, nil, wait, nil
}

// dials notes that a connection is about to be made; where it may be of HTTP/2 others wait for it. The lock is held.
func (c *Client) dials(way route) {
	if c.settings.HTTP2 && (way.secure || !c.settings.HTTP1) {
		c.dialing[way.key] = true
	}
}

// dialed is for when it was made, or was not.
func (c *Client) dialed(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dialing[key] {
		delete(c.dialing, key)
		c.waiting.wake(key, true)
	}
}

// await waits for a connection, or for leave to make one.
func (c *Client) await(ctx context.Context, w *waiter, limit time.Duration) (grant, error) {
	var late <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		late = timer.C
	}
	var problem *Error
	select {
	case granted := <-w.grant:
		return granted, nil
	case <-late:
		problem = &Error{PoolTimeout, "no connection became free in time"}
	case <-ctx.Done():
		problem = &Error{Cancelled, "cancelled"}
	}
	c.mu.Lock()
	w.gone = true
	c.mu.Unlock()
	select {
	case granted := <-w.grant: // just too late: it is for another
		switch {
		case granted.conn != nil:
			granted.conn.free()
		case !granted.again:
			c.leave()
		}
	default:
	}
	return grant{}, problem
}

// leave counts a connection out, and lets who waits make another.
func (c *Client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiting.next(); w != nil {
		w.grant <- grant{}
		return
	}
	c.open--
}

// forget ends a connection.
func (c *Client) forget(conn *http1Conn) {
	conn.hangUp()
	c.leave()
}

// giveBack takes a connection that may serve another request.
func (c *Client) giveBack(conn *http1Conn) {
	c.mu.Lock()
	w := c.waiting.next()
	switch {
	case w != nil && w.key == conn.key:
		w.grant <- grant{conn: conn}
		c.mu.Unlock()
		return
	case w != nil: // the place is for a connection to elsewhere
		w.grant <- grant{}
		c.mu.Unlock()
		conn.hangUp()
		return
	}
	if c.closed || c.settings.MaxIdle >= 0 && len(c.idle.conns) >= c.settings.MaxIdle {
		c.open--
		c.mu.Unlock()
		conn.hangUp()
		return
	}
	conn.since = time.Now()
	c.idle.conns = append(c.idle.conns, conn)
	if c.settings.IdleFor >= 0 && len(c.idle.conns) == 1 {
		c.sweepIn(c.settings.IdleFor)
	}
	c.mu.Unlock()
}

// sweepIn has the idle connections looked at after d. The caller has the lock.
func (c *Client) sweepIn(d time.Duration) {
	if c.sweeper == nil {
		c.sweeper = time.AfterFunc(d, c.sweep)
		return
	}
	c.sweeper.Reset(d)
}

// sweep ends the connections that were idle for too long.
func (c *Client) sweep() {
	c.mu.Lock()
	var drop []*http1Conn
	now := time.Now()
	for len(c.idle.conns) > 0 && now.Sub(c.idle.conns[0].since) >= c.settings.IdleFor {
		drop = append(drop, c.idle.takeOldest())
	}
	c.open -= len(drop)
	if len(c.idle.conns) > 0 {
		c.sweepIn(c.settings.IdleFor - now.Sub(c.idle.conns[0].since))
	}
	c.mu.Unlock()
	for _, conn := range drop {
		conn.hangUp()
	}
}

// Open is how many connections there are, and how many of them are idle.
func (c *Client) Open() (all, idle int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, len(c.idle.conns)
}
