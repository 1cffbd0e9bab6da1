package dispatch

import (
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// handle acts on one frame from a worker. An error is a violation: the worker is killed for it.
func (l *link) handle(f wire.Frame) error {
	switch f.Type {
	case wire.Pong:
		return nil // that it came is all that counts
	case wire.Broadcast:
		return l.handleBroadcast(f)
	}
	s := l.find(f.Stream)
	if s == nil {
		return l.skip(f) // it crossed the stream's end on the way
	}
	if s.state == late {
		return l.handleLate(s, f)
	}
	s.took()
	switch f.Type {
	case wire.Head:
		return l.handleHead(s, f)
	case wire.Data:
		return l.handleData(s, f)
	case wire.End:
		return l.handleEnd(s, f)
	case wire.Reset:
		return l.handleReset(s, f)
	case wire.Window:
		return l.handleWindow(s, f)
	case wire.Inform:
		return l.handleInform(s, f)
	case wire.File:
		return l.handleFile(s, f)
	case wire.Accept:
		return l.handleAccept(s, f)
	case wire.Message:
		return l.handleMessage(s, f)
	case wire.Close:
		return l.handleClose(s, f)
	}
	return wire.Violation("a frame of a type that a worker must not send")
}

// answering says whether a response has begun: its head is out.
func (s *stream) answering() bool { return s.responded && !s.accepted() }

// spend takes n bytes from what the worker may send on a stream.
func (s *stream) spend(n uint32) error {
	if uint64(n) > uint64(max(s.window, 0)) {
		return wire.Violation("a worker sent more than its credit")
	}
	s.window -= int(n)
	return nil
}

func (l *link) handleHead(s *stream, f wire.Frame) error {
	r := &l.endpoint.response
	if s.responded || s.piped() {
		return wire.Violation("a second HEAD on one stream, or one of no request")
	}
	if err := l.endpoint.scratch.Response(f, r); err != nil {
		return err
	}
	if err := s.spend(f.Length); err != nil {
		return err
	}
	s.responded = true
	l.endpoint.running.remove(s)
	if !r.End {
		s.responder.Respond(r)
		return nil
	}
	s.state = over
	s.responder.Respond(r)
	s.release()
	return nil
}

func (l *link) handleData(s *stream, f wire.Frame) error {
	if !s.answering() {
		return wire.Violation("DATA before HEAD")
	}
	if uint64(f.Length) > uint64(len(f.Payload)) {
		return wire.Violation("a DATA frame's payload reaches past the frame")
	}
	if err := s.spend(f.Length); err != nil {
		return err
	}
	if f.Flags&wire.EndStream == 0 {
		s.responder.Data(f.Payload[:f.Length], false)
		return nil
	}
	s.state = over
	s.responder.Data(f.Payload[:f.Length], true)
	s.release()
	return nil
}

func (l *link) handleEnd(s *stream, f wire.Frame) error {
	if s.raw() && s.accepted() {
		return s.endPipe(f)
	}
	if !s.answering() {
		return wire.Violation("END before HEAD")
	}
	buf, fields, err := l.endpoint.scratch.Trailers(f)
	if err != nil {
		return err
	}
	s.state = over
	s.responder.Trailers(buf, fields)
	s.release()
	return nil
}

func (l *link) handleReset(s *stream, f wire.Frame) error {
	reason := exchange.AppError
	switch wire.Code(f.Aux) {
	case wire.Cancelled:
		if s.raw() {
			reason = exchange.None // by the application's own will
		}
	case wire.Deadline:
		reason = exchange.Deadline
	case wire.Stopping, wire.Refused:
		reason = exchange.Stopping
	case wire.TooLarge:
		reason = exchange.TooLarge
	}
	s.fail(reason)
	return nil
}

// maxCredit bounds what a worker may let a client send: far above any window in use, far below an overflow.
const maxCredit = 1 << 30

func (l *link) handleWindow(s *stream, f wire.Frame) error {
	if f.Length == 0 || int64(f.Length)+int64(s.credit) > maxCredit {
		return wire.Violation("a WINDOW out of range")
	}
	s.credit += int(f.Length)
	if s.accepted() {
		s.socket.Credit(s.credit)
	} else {
		s.responder.Credit(int(f.Length))
	}
	return nil
}

func (l *link) handleInform(s *stream, f wire.Frame) error {
	r := &l.endpoint.response
	if err := l.endpoint.scratch.Response(f, r); err != nil {
		return err
	}
	if r.Status < 100 || r.Status > 199 || s.responded || s.piped() {
		return wire.Violation("an INFORM out of place")
	}
	s.responder.Inform(r)
	return nil
}
