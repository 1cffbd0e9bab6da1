package dispatch

import (
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// attach opens a datagram socket on every loop, and returns those who speak for it as they are made.
func (s *setting) attach() *[]*fakeClient {
	s.t.Helper()
	made := &[]*fakeClient{}
	req := exchange.Request{Kind: exchange.UDP, Window: 1000, ContentLength: exchange.UnknownLength}
	reason := s.endpoints[0].Attach(&req, func(stream exchange.Stream) exchange.Upgrader {
		c := &fakeClient{t: s.t, name: "socket", stream: stream}
		*made = append(*made, c)
		return c
	})
	if reason != exchange.None {
		s.t.Fatal(reason)
	}
	s.turn()
	return made
}

// accept has a worker accept the request that it has.
func (w *fakeWorker) accept(s *setting) *started {
	s.t.Helper()
	r := w.ends[0].take()
	w.ends[0].send(wire.AppendFrame(nil, wire.Header{Stream: r.id, Type: wire.Accept}, make([]byte, 8)))
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Window, Length: 1000}, nil)
	s.turn()
	return r
}

// spec: jobs 2
func TestEveryWorkerHasAStreamForADatagramSocket(t *testing.T) {
	s := newSetting(t, 1)
	first := s.worker("first", 1)
	made := s.attach()
	r := first.accept(s)
	later := s.worker("later", 1)
	s.turn()
	later.accept(s)
	if len(*made) != 2 || (*made)[0].socket == nil || (*made)[1].socket == nil {
		t.Fatalf("%d were made", len(*made))
	}
	one := (*made)[0]
	if credit := one.stream.Message(make([]byte, 100), exchange.Binary, false); credit != 900 {
		t.Errorf("%d bytes of credit are left", credit)
	}
	if credit := one.stream.Message(nil, exchange.Binary, false); credit != 900-datagramCost {
		t.Errorf("a short one leaves %d bytes of credit", credit)
	}
	first.ends[0].say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 2, Flags: wire.More, Length: 2}, []byte("lo"))
	first.ends[0].say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 2, Length: 2}, []byte("ng"))
	s.turn()
	if len(one.socket.messages) != 2 {
		t.Errorf("%q", one.socket.messages)
	}
	first.die()
	s.turn()
	if one.failed != exchange.WorkerDied || (*made)[1].failed != exchange.None || len(*made) != 2 {
		t.Errorf("%v, %v, %d", one.failed, (*made)[1].failed, len(*made))
	}
}

func TestADatagramSocketIsGivenAgainToAnApplicationThatHasFailed(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 1)
	made := s.attach()
	r := w.accept(s)
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Reset, Aux: uint16(wire.AppError)}, nil)
	s.turn()
	if (*made)[0].failed != exchange.AppError || len(*made) != 1 {
		t.Fatalf("%v, %d", (*made)[0].failed, len(*made))
	}
	s.loops[0].advance(attachPause)
	s.turn()
	if len(*made) != 2 {
		t.Fatal("not again")
	}
	w.accept(s)
	if (*made)[1].socket == nil {
		t.Error("not accepted")
	}
}

func TestAnUntakenDatagramSocketIsForNoOtherWorker(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 1)
	made := s.attach()
	s.worker("other", 1)
	w.die()
	s.turn()
	if (*made)[0].failed != exchange.WorkerDied || len(*made) != 2 {
		t.Errorf("%v, %d", (*made)[0].failed, len(*made))
	}
}

func TestAWorkerThatBreaksTheRulesOfUDPIsFound(t *testing.T) {
	for name, h := range map[string]wire.Header{
		"text":             {Type: wire.Message, Aux: 1, Length: 1},
		"an END":           {Type: wire.End},
		"a HEAD":           {Type: wire.Head, Aux: 200},
		"more than credit": {Type: wire.Message, Aux: 2, Length: 1001},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 1)
			s.attach()
			h.Stream = w.accept(s).id
			w.ends[0].say(h, make([]byte, max(h.Length, 8)))
			if s.turn(); w.violated == nil {
				t.Error("not found")
			}
		})
	}
}
