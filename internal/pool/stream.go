package pool

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// state of a stream:
//
//	queued → sent → taken → over
//	   ↑______|  (taken back)
//
// and from each of them to over, by Cancel.
type state uint8

const (
	queued state = iota // waits for a worker
	sent                // its OPEN is in a ring
	taken               // the worker has started it
	over
)

// stream is one exchange on its way through the pool. It implements exchange.Stream.
type stream struct {
	endpoint  *Endpoint
	link      *link
	responder exchange.Responder
	open      []byte // our own copy of its OPEN, until the worker has taken it: what is in the ring is not to be trusted
	end       uint64 // where its OPEN ends in the ring
	id        uint32
	window    int       // bytes of response the worker may still send
	credit    int       // bytes of request body we may still send
	since     time.Time // when it was queued
	state     state
	responded bool // a HEAD was passed on
	opening   bool // a file of its is being opened
}

// keepOpen is the largest OPEN whose memory is kept for the next stream.
const keepOpen = 4 << 10

// took notes that the worker has started the stream.
func (s *stream) took() {
	if s.state == sent {
		s.state = taken
	}
}

// Worker names the worker that runs the stream.
func (s *stream) Worker() string {
	if s.link == nil {
		return ""
	}
	return s.link.target.name
}

// Data passes a part of the request body to the application.
func (s *stream) Data(p []byte, end bool) {
	l := s.link
	if l == nil || s.state == over {
		return
	}
	s.credit -= len(p)
	most := l.wire.Out.MaxFrame() - wire.HeaderSize
	for len(p) > most {
		l.send(wire.Header{Stream: s.id, Type: wire.Data, Length: uint32(most)}, p[:most])
		p = p[most:]
	}
	h := wire.Header{Stream: s.id, Type: wire.Data, Length: uint32(len(p))}
	if end {
		h.Flags = wire.EndStream
	}
	l.send(h, p)
}

// Grant lets the application send n more bytes.
func (s *stream) Grant(n int) {
	if s.link == nil || s.state == over {
		return
	}
	s.window += n
	s.link.send(wire.Header{Stream: s.id, Type: wire.Window, Length: uint32(n)}, nil)
}

// Cancel ends the stream: its client is gone. A request that no worker has started is never started.
func (s *stream) Cancel() {
	switch s.state {
	case over:
		return
	case queued:
		s.endpoint.unqueue(s)
		return
	case sent:
		s.link.refresh()
		if s.state == sent && s.link.wire.Out.Revoke(s.end, len(s.open)) {
			s.link.untaken.remove(s)
			s.release()
			return
		}
		s.link.untaken.remove(s)
	}
	s.link.send(wire.Header{Stream: s.id, Type: wire.Reset, Aux: uint16(wire.Cancelled)}, nil)
	s.state = over
	s.release()
}

// fail ends the stream and tells the responder why.
func (s *stream) fail(reason exchange.Reason) {
	s.state = over
	s.responder.Fail(reason)
	s.release()
}

// release frees what the stream holds of its link, and lets the next request have it. The stream must not be used any more.
func (s *stream) release() {
	l, e := s.link, s.endpoint
	l.vacate(s)
	l.target.inFlight.Add(-1)
	e.recycle(s)
	if e.queue.len() > 0 {
		e.pump()
	} else {
		e.pool.kick(e)
	}
}
