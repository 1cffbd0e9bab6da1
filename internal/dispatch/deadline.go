package dispatch

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// Deadlines. A request that a worker has started must be answered in time: the head of its response must be there. Else the client
// is told so, the application is cancelled, and its place stays taken until the worker says that it has ended. A worker that does
// not say so is stuck: it is replaced, and what it had not started runs on its successor.

const (
	// deadlineTick is how often the oldest request is looked at: how late a deadline may be.
	deadlineTick = 100 * time.Millisecond

	// stuckTime is how long a worker may take to end, or an event loop to show that it turns, after a deadline.
	stuckTime = 500 * time.Millisecond
)

// runs is the list of requests that workers run and have not begun to answer, in the order of their start.
type runs struct{ first, last *stream }

func (r *runs) push(s *stream) {
	if s.before = r.last; s.before != nil {
		s.before.after = s
	} else {
		r.first = s
	}
	r.last = s
	s.listed = true
}

func (r *runs) remove(s *stream) {
	if !s.listed {
		return
	}
	if s.before != nil {
		s.before.after = s.after
	} else {
		r.first = s.after
	}
	if s.after != nil {
		s.after.before = s.before
	} else {
		r.last = s.before
	}
	s.before, s.after, s.listed = nil, nil, false
}

// started notes that a worker has started a stream.
func (e *Endpoint) started(s *stream) {
	if e.group.Deadline > 0 {
		s.since = e.loop.Now()
		e.running.push(s)
	}
}

// watchDeadlines has the oldest request looked at as long as any runs, or may have been started unnoticed.
func (e *Endpoint) watchDeadlines() {
	if e.watching || e.group.Deadline <= 0 {
		return
	}
	e.watching = true
	e.loop.After(deadlineTick, func() {
		e.watching = false
		if e.expireRunning() || e.running.first != nil {
			e.watchDeadlines()
		}
	})
}

// expireRunning ends the requests whose deadline is over. It reports whether some wait to be started.
func (e *Endpoint) expireRunning() (untaken bool) {
	for _, l := range e.links {
		l.refresh()
		untaken = untaken || l.untaken.len() > 0
	}
	now := e.loop.Now()
	for s := e.running.first; s != nil && now.Sub(s.since) >= e.group.Deadline; s = e.running.first {
		e.running.remove(s)
		s.expire()
	}
	return untaken
}

// expire ends a stream whose deadline is over, and has the worker watched until it has ended what it ran.
func (s *stream) expire() {
	l, r := s.link, s.responder
	s.state, s.responder = late, nil
	l.target.late.Add(1)
	l.send(wire.Header{Stream: s.id, Type: wire.Reset, Aux: uint16(wire.Deadline)}, nil)
	l.ping()
	id, heard := s.id, l.heard
	l.endpoint.loop.After(stuckTime, func() { l.checkStuck(id, heard) })
	r.Fail(exchange.Deadline)
}

// checkStuck looks whether a worker has ended the stream of a deadline. An event loop that turns is not stuck: its application may
// still clean up.
func (l *link) checkStuck(id uint32, heard uint64) {
	s := l.find(id)
	if s == nil || s.state != late || l.broken {
		return
	}
	if l.target.Threaded || l.heard == heard {
		l.target.Stuck("a request went on past its deadline")
	}
}

// handleLate looks at a frame of a stream whose deadline was over only for the end.
func (l *link) handleLate(s *stream, f wire.Frame) error {
	switch f.Type {
	case wire.File:
		s.release()
		return l.skip(f)
	case wire.Reset, wire.End, wire.Close:
		s.release()
	case wire.Head, wire.Data:
		if f.Flags&wire.EndStream != 0 {
			s.release()
		}
	}
	return nil
}
