package dispatch

import (
	"slices"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// pipe opens a TCP connection and has the worker accept it.
func (s *setting) pipe(w *fakeWorker) (*fakeClient, *started) {
	s.t.Helper()
	c := s.openAs(0, "tcp", exchange.TCP)
	s.turn()
	r := w.ends[0].take()
	w.ends[0].send(wire.AppendFrame(nil, wire.Header{Stream: r.id, Type: wire.Accept}, make([]byte, 8)))
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Window, Length: 1000}, nil)
	if s.turn(); c.socket == nil || c.credit != 1000 {
		s.t.Fatal("not accepted, or without credit")
	}
	return c, r
}

// spec: jobs 1
func TestBytesGoBothWaysAndEachDirectionEndsForItself(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 1)
	c, r := s.pipe(w)
	if credit := c.stream.Message([]byte("in"), exchange.Binary, false); credit != 998 {
		t.Errorf("%d bytes of credit are left", credit)
	}
	c.stream.End()
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 2, Length: 3}, []byte("out"))
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.End}, nil)
	s.turn()
	w.ends[0].take()
	if !slices.Equal(r.messages, []string{"in", "end"}) || !slices.Equal(c.socket.messages, []string{"2 out", "end"}) {
		t.Fatalf("%q, %q", r.messages, c.socket.messages)
	}
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Close, Aux: 1000}, nil)
	s.turn()
	if !c.ended || c.socket.closed != exchange.CloseNormal {
		t.Fatalf("%+v", c.socket)
	}
	s.atRest()
}

// spec: jobs 1
func TestATCPConnectionEndsAsItsApplicationOrWorkerDoes(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(w *fakeWorker, id uint32)
		want exchange.Reason
	}{
		"raised": {func(w *fakeWorker, id uint32) {
			w.ends[0].say(wire.Header{Stream: id, Type: wire.Reset, Aux: uint16(wire.AppError)}, nil)
		}, exchange.AppError},
		"aborted": {func(w *fakeWorker, id uint32) {
			w.ends[0].say(wire.Header{Stream: id, Type: wire.Reset, Aux: uint16(wire.Cancelled)}, nil)
		}, exchange.None},
		"died": {func(w *fakeWorker, _ uint32) { w.die() }, exchange.WorkerDied},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 1)
			c, r := s.pipe(w)
			test.end(w, r.id)
			s.turn()
			if !c.ended || c.failed != test.want {
				t.Errorf("ended %v, %v", c.ended, c.failed)
			}
			s.atRest()
		})
	}
}

// spec: jobs 1
func TestATCPConnectionOfAWorkerThatGoesHasItsTime(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 1)
	c, r := s.pipe(w)
	w.target.draining.Store(true)
	s.endpoints[0].withdraw(w.ends[0].link)
	if c.ended || !slices.Equal(c.socket.messages, []string{"leave"}) {
		t.Fatalf("%+v", c.socket)
	}
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Close, Aux: 1000}, nil)
	s.turn()
	s.atRest()
}

func TestAWorkerThatBreaksTheRulesOfTCPIsFound(t *testing.T) {
	message := func(id uint32, aux uint16, flags uint8) wire.Header {
		return wire.Header{Stream: id, Type: wire.Message, Aux: aux, Flags: flags, Length: 1}
	}
	for name, say := range map[string]func(e *workerEnd, id uint32){
		"a part":   func(e *workerEnd, id uint32) { e.say(message(id, 2, wire.More), []byte("x")) },
		"a ping":   func(e *workerEnd, id uint32) { e.say(message(id, 9, 0), []byte("x")) },
		"HEAD":     func(e *workerEnd, id uint32) { e.head(id, 200, "", true) },
		"DATA":     func(e *workerEnd, id uint32) { e.data(id, "x", false) },
		"trailers": func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.End, Length: 1}, []byte("x")) },
		"a second END": func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.End}, nil)
			e.say(wire.Header{Stream: id, Type: wire.End}, nil)
		},
		"bytes behind the END": func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.End}, nil)
			e.say(message(id, 2, 0), []byte("x"))
		},
		"a broadcast": func(e *workerEnd, id uint32) {
			payload := append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, byte(id), byte(id>>8), byte(id>>16), byte(id>>24), 'x')
			e.say(wire.Header{Type: wire.Broadcast, Aux: 2, Length: 1}, payload)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 1)
			_, r := s.pipe(w)
			say(w.ends[0], r.id)
			if s.turn(); w.violated == nil {
				t.Error("not found")
			}
		})
	}
	for name, say := range map[string]func(e *workerEnd, id uint32){
		"HEAD before ACCEPT":  func(e *workerEnd, id uint32) { e.head(id, 200, "", true) },
		"CLOSE before ACCEPT": func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Close, Aux: 1000}, nil) },
		"END before ACCEPT":   func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.End}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 1)
			s.openAs(0, "tcp", exchange.TCP)
			s.turn()
			say(w.ends[0], w.ends[0].take().id)
			if s.turn(); w.violated == nil {
				t.Error("not found")
			}
		})
	}
}
