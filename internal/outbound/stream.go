package outbound

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/client"
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// stream is one request on its way. Its goroutine sends the request and writes what comes back; the link's reader feeds it.
type stream struct {
	link    *link
	id      uint32
	request client.Request
	ctx     context.Context
	cancel_ context.CancelFunc

	// The link's lock is for what follows.
	credit int      // bytes of the response that may be written
	fed    [][]byte // of the request's body, not yet sent
	owed   int      // bytes sent, and not granted again
	window int      // bytes that the program may still feed
	whole  bool     // it has fed all
	over   bool
}

// Windows: how much of a request's body waits here, and how much is read of a response at a time.
const (
	uploadWindow = 256 << 10
	piece        = 192 << 10
)

var pieces = sync.Pool{New: func() any { return new([piece]byte) }}

func newStream(l *link, id uint32, c *wire.Call) *stream {
	s := &stream{link: l, id: id, credit: int(min(c.Credit, 1<<30)), whole: c.End}
	s.ctx, s.cancel_ = context.WithCancel(context.Background())
	fields := make([]client.Field, len(c.Fields))
	for i, f := range c.Fields {
		fields[i] = client.Field{Name: c.Text[f.Name.Start:f.Name.End], Value: c.Text[f.Value.Start:f.Value.End]}
	}
	ms := func(i int) time.Duration { return time.Duration(c.Timeouts[i]) * time.Millisecond }
	s.request = client.Request{
		Method: c.Method, Secure: c.Secure, Host: c.Authority, Target: c.Target, Fields: fields, First: c.Body,
		Timeouts: client.Timeouts{Connect: ms(0), Read: ms(1), Write: ms(2), Pool: ms(3)},
	}
	if !c.End {
		s.request.Body = s
	}
	return s
}

// cancel ends the stream: the program wants nothing more of it. The link's lock is held.
func (s *stream) cancel() {
	s.over = true
	s.cancel_()
}

// feed takes a part of the request's body. The link's lock is held.
func (s *stream) feed(p []byte, end bool) error {
	if len(p) > s.window || s.whole {
		return wire.Violation("a client sent more than its credit, or behind its end")
	}
	s.window -= len(p)
	s.whole = end
	if len(p) > 0 {
		s.fed = append(s.fed, append([]byte(nil), p...))
	}
	s.link.room.Broadcast()
	return nil
}

// Read gives the request's body to the client, and the program credit for more.
func (s *stream) Read(p []byte) (int, error) {
	l := s.link
	l.mu.Lock()
	for {
		switch {
		case s.over || l.over:
			l.mu.Unlock()
			return 0, context.Canceled
		case len(s.fed) > 0:
			n := copy(p, s.fed[0])
			if s.fed[0] = s.fed[0][n:]; len(s.fed[0]) == 0 {
				s.fed = s.fed[1:]
			}
			s.owed += n
			l.mu.Unlock()
			return n, nil
		case s.whole:
			l.mu.Unlock()
			return 0, io.EOF
		}
		if grant := uploadWindow - s.window; grant >= uploadWindow/2 {
			s.window += grant
			l.mu.Unlock()
			l.write(s, wire.Header{Type: wire.Window, Length: uint32(grant)}, nil, false)
			l.mu.Lock()
			continue
		}
		l.room.Wait()
	}
}

// run sends the request, and passes on what comes back.
func (s *stream) run(c *client.Client) {
	defer s.cancel_()
	r, err := c.Do(s.ctx, &s.request)
	if err != nil {
		s.fail(err)
		return
	}
	defer r.Close()
	buf := pieces.Get().(*[piece]byte)
	defer pieces.Put(buf)
	if s.head(r, buf[:]) {
		s.body(r, buf[:])
	}
}

// head passes on the head of the response with what of its body is there. It reports whether there is more.
func (s *stream) head(r *client.Response, buf []byte) bool {
	most := s.link.wire.Out.MaxFrame() - wire.HeaderSize
	room := min(most/2, len(buf), s.allowed(false))
	payload, ok := wire.AppendHead(make([]byte, 0, 1024), most-room, exchange.Version(r.Version), r.Phrase, r.Fields)
	if !ok {
		s.fail(&client.Error{Kind: client.RemoteProtocolError, Text: "the head of the response is too long"})
		return false
	}
	n, err := r.Available(buf[:room])
	if err != nil && !errors.Is(err, io.EOF) {
		n = 0 // the program hears of it when it reads the body
	}
	h := wire.Header{Type: wire.Head, Aux: uint16(r.Status), Length: uint32(n)}
	last := errors.Is(err, io.EOF) && len(r.Trailers) == 0
	if last {
		h.Flags = wire.EndStream
	}
	return s.write(h, append(payload, buf[:n]...), n, last) && !last
}

// body passes on the body of the response.
func (s *stream) body(r *client.Response, buf []byte) {
	for {
		room := s.allowed(true)
		if room == 0 {
			return
		}
		n, err := r.Read(buf[:min(room, len(buf))])
		end := errors.Is(err, io.EOF)
		if n > 0 || end && len(r.Trailers) == 0 {
			last := end && len(r.Trailers) == 0
			h := wire.Header{Type: wire.Data, Length: uint32(n)}
			if last {
				h.Flags = wire.EndStream
			}
			if !s.write(h, buf[:n], n, last) || last {
				return
			}
		}
		switch {
		case end:
			s.trailers(r.Trailers)
			return
		case err != nil:
			s.fail(err)
			return
		}
	}
}

func (s *stream) trailers(fields []client.Field) {
	payload, ok := wire.AppendTrailers(nil, s.link.wire.Out.MaxFrame()-wire.HeaderSize, fields)
	h := wire.Header{Type: wire.End, Aux: uint16(len(fields)), Length: uint32(len(payload))}
	if !ok {
		h.Aux, h.Length, payload = 0, 0, nil
	}
	s.write(h, payload, 0, true)
}

// allowed is how many bytes of the body may be written; wait: one at least, or 0 if the stream has ended.
func (s *stream) allowed(wait bool) int {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	for wait && s.credit == 0 && !s.over && !s.link.over {
		s.link.room.Wait()
	}
	if s.over || s.link.over {
		return 0
	}
	return s.credit
}

// write writes a frame with n bytes of the body.
func (s *stream) write(h wire.Header, payload []byte, n int, last bool) bool {
	if n > 0 {
		s.link.mu.Lock()
		s.credit -= n
		s.link.mu.Unlock()
	}
	return s.link.write(s, h, payload, last)
}

// maxText is the longest text of a RESET.
const maxText = 1024

// fail ends the stream by what went wrong.
func (s *stream) fail(err error) {
	kind, text := client.ReadError, err.Error()
	var e *client.Error
	if errors.As(err, &e) {
		kind = e.Kind
	}
	if len(text) > maxText {
		text = text[:maxText]
	}
	s.link.write(s, wire.Header{Type: wire.Reset, Aux: uint16(wire.CodeBase) + uint16(kind), Length: uint32(len(text))}, []byte(text), true)
}
