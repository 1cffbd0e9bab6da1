package dispatch

import (
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// state of a stream:
//
//	queued → sent → taken → over      a worker has a place for it
//	   ↕       ↑
//	offered ───┘                      it waits, but a worker that gets a place may take it at once
//
// From sent back to queued when the worker dies, from taken to late and then to over when it takes too long, and from each of them
// to over, by Cancel.
type state uint8

const (
	queued  state = iota // waits for a worker
	offered              // waits, and its OPEN is in a ring
	sent                 // its OPEN is in a ring
	taken                // the worker has started it
	late                 // its deadline is over, its client was told; the worker has not ended it
	over
)

// stream is one exchange on its way through the pool. It implements exchange.Stream.
type stream struct {
	endpoint  *Endpoint
	link      *link
	responder exchange.Responder
	socket    exchange.Socket // in its place, once a WebSocket is accepted
	open      []byte          // our own copy of its OPEN, until the worker has taken it: what is in the ring is not to be trusted
	end       uint64          // where its OPEN ends in the ring
	id        uint32
	window    int       // bytes of response the worker may still send
	credit    int       // bytes of request body we may still send
	since     time.Time // when it was queued; then, when it was seen to run
	before    *stream   // in the list of those that run
	after     *stream
	state     state
	responded bool // a HEAD was passed on
	opening   bool // a file of its is being opened
	listed    bool // among those that run

	kind       exchange.Kind
	attachment *attachment          // what every loop is given; nil for what one is
	ended      bool                 // the application of a TCP connection has finished sending
	sending    exchange.MessageKind // of the message whose next part is to come from the worker
	repeatable bool                 // it may run once more if its worker dies before its response begins
}

// keepOpen is the largest OPEN whose memory is kept for the next stream.
const keepOpen = 4 << 10

// took notes that the worker has started the stream, as the ring's head or a frame of its own shows.
func (s *stream) took() {
	if s.state == offered {
		s.link.promote(s)
	}
	if s.state == sent {
		s.link.untaken.remove(s)
		s.state = taken
		s.endpoint.started(s)
	}
}

// Worker names the worker that runs the stream, or is about to.
func (s *stream) Worker() string {
	if s.link == nil || s.state == offered {
		return ""
	}
	return s.link.target.Name
}

// Data passes a part of the request body to the application.
func (s *stream) Data(p []byte, end bool) {
	l := s.link
	if l == nil || s.state == over || s.upgrades() {
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
	case offered:
		if s.link.unoffer(s) {
			s.endpoint.unwait()
			s.endpoint.recycle(s)
			return
		}
	case sent:
		if s.link.refresh(); s.state == sent && s.link.unsend(s) {
			s.link.untaken.remove(s)
			s.release()
			return
		}
		s.took()
	}
	s.link.send(wire.Header{Stream: s.id, Type: wire.Reset, Aux: uint16(wire.Cancelled)}, nil)
	s.state = over
	s.release()
}

// fail ends the stream and tells the responder why.
func (s *stream) fail(reason exchange.Reason) {
	if s.piped() && s.accepted() {
		a, l := s.attachment, s.link
		s.state = over
		s.pipe().Fail(reason)
		s.release()
		if a != nil && reason == exchange.AppError {
			l.attachLater(a)
		}
		return
	}
	if s.accepted() {
		s.shut(exchange.CloseFailed, nil)
		return
	}
	s.state = over
	s.responder.Fail(reason)
	s.release()
}

// repeat takes a stream back from a worker that died, to be run on another.
func (s *stream) repeat() {
	s.endpoint.running.remove(s)
	s.link.vacate(s)
	s.link.target.inFlight.Add(-1)
	s.link, s.state, s.credit, s.repeatable = nil, queued, 0, false
}

// release frees what the stream holds of its link, and lets the next request have it. The stream must not be used any more.
func (s *stream) release() {
	l, e := s.link, s.endpoint
	e.running.remove(s)
	if s.state == late {
		l.target.late.Add(-1)
	}
	l.vacate(s)
	if s.accepted() {
		l.target.sockets.Add(-1)
		e.recycle(s)
		return // its place had gone to others when it was accepted
	}
	l.target.inFlight.Add(-1)
	e.recycle(s)
	e.freed()
}

// freed gives a place that has become free to the next request.
func (e *Endpoint) freed() {
	if e.waits() {
		e.pump()
	} else {
		e.group.kick(e)
	}
}
