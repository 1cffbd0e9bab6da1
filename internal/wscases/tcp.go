package wscases

import (
	"net"
	"sync"
	"time"
)

// RunTCP runs a case against the server at addr.
func RunTCP(c *Case, addr, path string, limit time.Duration) error {
	conn, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	q := &queued{Conn: conn}
	q.more.L = &q.lock
	done := make(chan struct{})
	go func() { // ends when the case is over
		q.drain()
		close(done)
	}()
	err = Run(c, q, addr, path)
	q.end()
	if err != nil {
		conn.Close() // the rest of the bytes is of no use
	}
	<-done
	return err
}

// queued is a connection that is written to by a goroutine of its own, so that the client reads meanwhile: a server that echoes
// stops reading when nobody reads what it sends.
type queued struct {
	net.Conn
	lock    sync.Mutex // for what follows
	more    sync.Cond
	waiting [][]byte
	ended   bool
}

// Write leaves b to drain; its bytes stay as they are.
func (q *queued) Write(b []byte) (int, error) {
	q.lock.Lock()
	q.waiting = append(q.waiting, b)
	q.lock.Unlock()
	q.more.Signal()
	return len(b), nil
}

// end says that nothing more will be written.
func (q *queued) end() {
	q.lock.Lock()
	q.ended = true
	q.lock.Unlock()
	q.more.Signal()
}

// drain writes, until the end. An error is no failure of the case: a server may close before it has read everything. What it sent
// before is judged.
func (q *queued) drain() {
	for failed := error(nil); ; {
		q.lock.Lock()
		for len(q.waiting) == 0 && !q.ended {
			q.more.Wait()
		}
		batch := q.waiting
		q.waiting = nil
		q.lock.Unlock()
		if batch == nil {
			return
		}
		for _, b := range batch {
			if failed == nil {
				_, failed = q.Conn.Write(b)
			}
		}
	}
}
