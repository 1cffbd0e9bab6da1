package dispatch

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// chaos is a pool's request path under random load.
type chaos struct {
	*setting
	rnd     *rand.Rand
	workers []*fakeWorker
	clients []*fakeClient
	born    int
}

// step does one thing, chosen by chance.
func (c *chaos) step() {
	switch op := c.rnd.IntN(100); {
	case op < 25:
		kind := exchange.HTTP
		if c.rnd.IntN(3) == 0 {
			kind = exchange.WebSocket
		}
		c.clients = append(c.clients, c.openAs(c.rnd.IntN(len(c.endpoints)), fmt.Sprint(len(c.clients)), kind))
	case op < 45:
		c.anyEnd(func(e *workerEnd) { e.take() })
	case op < 70:
		c.anyEnd(c.answer)
	case op < 78 && len(c.clients) > 0:
		c.clients[c.rnd.IntN(len(c.clients))].cancel()
	case op < 84 && len(c.clients) > 0:
		if x := c.clients[c.rnd.IntN(len(c.clients))]; !x.ended && !x.gone && x.credit > 0 {
			c.give(x)
		}
	case op < 90 && len(c.clients) > 0:
		if x := c.clients[c.rnd.IntN(len(c.clients))]; !x.ended && !x.gone {
			x.stream.Grant(1 + c.rnd.IntN(1000))
		}
	case op < 92:
		c.loops[c.rnd.IntN(len(c.loops))].advance(time.Duration(c.rnd.IntN(700)) * time.Millisecond)
	case op < 94 && len(c.workers) > 0:
		i := c.rnd.IntN(len(c.workers))
		c.workers[i].die()
		c.workers = append(c.workers[:i], c.workers[i+1:]...)
	case op < 96 && len(c.workers) < 4:
		c.born++
		w := c.worker(fmt.Sprint("w", c.born), int64(1+c.rnd.IntN(8)))
		w.target.Offers = c.rnd.IntN(2) * c.rnd.IntN(5)
		c.workers = append(c.workers, w)
	}
	if c.rnd.IntN(3) == 0 {
		c.turn()
	}
}

// give has a client send as much as it may.
func (c *chaos) give(x *fakeClient) {
	if x.socket == nil {
		x.stream.Data(make([]byte, x.credit), c.rnd.IntN(2) == 0)
		x.credit = 0
		return
	}
	x.credit = x.stream.Message(make([]byte, c.rnd.IntN(x.credit+1)), exchange.Binary, c.rnd.IntN(2) == 0)
	if c.rnd.IntN(10) == 0 {
		x.gone = true
		x.stream.Close(exchange.CloseAbnormal, nil)
	}
}

func (c *chaos) anyEnd(f func(*workerEnd)) {
	if len(c.workers) > 0 {
		w := c.workers[c.rnd.IntN(len(c.workers))]
		f(w.ends[c.rnd.IntN(len(w.ends))])
	}
}

// answer has a worker do the next thing for one of its requests.
func (c *chaos) answer(e *workerEnd) {
	if len(e.started) == 0 {
		return
	}
	i := c.rnd.IntN(len(e.started))
	r := e.started[i]
	body := strings.Repeat("x", c.rnd.IntN(max(1, min(r.credit, 900))))
	end := c.rnd.IntN(3) == 0
	switch op := c.rnd.IntN(10); {
	case r.gone || op == 0:
		e.say(wire.Header{Stream: r.id, Type: wire.Reset, Aux: uint16(wire.AppError)}, nil)
		end = true
	case op < 3:
		e.say(wire.Header{Stream: r.id, Type: wire.Window, Length: uint32(1 + c.rnd.IntN(9000))}, nil)
		end = false
	case r.socket && r.answered:
		end = c.speak(e, r, body)
	case r.socket && op < 9:
		r.answered = e.say(wire.Header{Stream: r.id, Type: wire.Accept}, make([]byte, 8))
		end = false
	case !r.answered:
		if r.answered, r.socket = e.head(r.id, 200, body, end), false; !r.answered {
			return
		}
		r.credit -= len(body)
	case !e.data(r.id, body, end):
		return
	default:
		r.credit -= len(body)
	}
	if end {
		e.started = append(e.started[:i], e.started[i+1:]...)
	}
}

// speak has a worker send a message on a WebSocket, or close it. It reports whether it has closed.
func (c *chaos) speak(e *workerEnd, r *started, body string) (end bool) {
	if c.rnd.IntN(4) == 0 {
		return e.say(wire.Header{Stream: r.id, Type: wire.Close, Aux: 1000, Length: 3}, []byte("bye"))
	}
	h := wire.Header{Stream: r.id, Type: wire.Message, Aux: uint16(exchange.Text), Length: uint32(len(body))}
	if c.rnd.IntN(2) == 0 {
		h.Flags = wire.More
	}
	if e.say(h, []byte(body)) {
		r.credit -= len(body)
	}
	return false
}

func TestNothingIsLeftWhateverHappens(t *testing.T) {
	for range 60 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := &chaos{setting: newSetting(t, 2), rnd: rand.New(rand.NewPCG(seed, 0))}
			c.group.Deadline = time.Duration(c.rnd.IntN(2)) * time.Second
			c.group.Health, c.group.Retry = time.Duration(c.rnd.IntN(2))*time.Second, c.rnd.IntN(2) == 0
			for range 3000 {
				c.step()
			}
			for _, w := range c.workers {
				if w.violated != nil {
					t.Fatalf("an honest worker was found guilty: %v", w.violated)
				}
			}
			c.comeToRest()
		})
	}
}

// comeToRest has every client leave, and checks that nothing is held any more.
func (c *chaos) comeToRest() {
	for _, x := range c.clients {
		x.cancel()
	}
	for range 20 {
		c.turn()
		for _, w := range c.workers {
			for _, e := range w.ends {
				for e.take() != nil {
				}
			}
		}
	}
	c.endAll() // what was past its deadline counts until the worker has ended it
	c.turn()
	c.atRest()
	for _, w := range c.workers {
		for i, e := range w.ends {
			for _, r := range e.started {
				if !r.gone {
					c.t.Errorf("%s, endpoint %d: stream %x was never reset", w.target.Name, i, r.id)
				}
			}
		}
	}
}

// endAll has every worker end what it runs.
func (c *chaos) endAll() {
	for _, w := range c.workers {
		for _, e := range w.ends {
			for _, r := range e.started {
				e.say(wire.Header{Stream: r.id, Type: wire.Reset}, nil)
			}
		}
	}
}

func TestARequestCostsTheEndpointNoAllocation(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 100)
	c := &fakeClient{t: t, body: make([]byte, 0, 100)}
	req := request("/", "")
	e := w.ends[0]
	answer := wire.AppendFrame(nil, wire.Header{Type: wire.Head, Aux: 200, Flags: wire.EndStream, Length: 5}, append(make([]byte, 8), "hello"...))
	n := testing.AllocsPerRun(10_000, func() {
		c.status, c.body, c.ended = 0, c.body[:0], false
		req.Body, req.End = nil, true
		if stream, reason := s.endpoints[0].Open(req, c); stream == nil {
			t.Fatal(reason)
		}
		s.turn()
		frame := e.peek()
		frame[16] = 1
		copy(answer[4:8], frame[4:8])
		e.done(frame)
		if !e.send(answer) {
			t.Fatal("no room")
		}
		s.turn()
		if !c.ended {
			t.Fatal("no answer")
		}
	})
	if n > 0 {
		t.Fatalf("%v allocations per request", n)
	}
}

// FuzzEndpoint feeds a worker's arbitrary bytes to a live endpoint with open streams: it handles them or finds a violation, and
// tells each client of one end at most; fakeClient checks that.
func FuzzEndpoint(f *testing.F) {
	head := wire.AppendFrame(nil, wire.Header{Stream: 0, Type: wire.Head, Aux: 200, Length: 3}, append(make([]byte, 8), "abc"...))
	for _, h := range []wire.Header{
		{Type: wire.Data, Length: 2, Flags: wire.EndStream},
		{Type: wire.End},
		{Type: wire.End, Aux: 1, Length: 6},
		{Type: wire.Reset, Aux: 1},
		{Type: wire.Window, Length: 100},
		{Type: wire.Inform, Aux: 103},
		{Type: wire.File, Flags: wire.EndStream, Length: 1},
	} {
		payload := make([]byte, 24)
		payload[0], payload[2], payload[16] = 1, 1, '/'
		f.Add(wire.AppendFrame(append([]byte(nil), head...), h, payload), uint8(0))
		f.Add(wire.AppendFrame(nil, h, payload), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, cancel uint8) {
		s := newSetting(t, 1)
		w := s.worker("w", 4)
		w.target.Offers = 1
		c := &chaos{setting: s, workers: []*fakeWorker{w}}
		for i := range 6 { // one of them is offered, one waits
			c.clients = append(c.clients, s.open(0, fmt.Sprint(i)))
		}
		s.turn()
		e := w.ends[0]
		e.take()
		e.take()
		n := min(len(data), e.size)
		copy(e.mem[4096+e.size:], data[:n])
		e.word(384).Store(uint64(n))
		s.turn()
		c.clients[int(cancel)%len(c.clients)].cancel()
		s.turn()
		w.die()
		for _, x := range c.clients[:4] { // the queue goes on; what was in the ring has failed, ended, or waits again
			if !x.ended && !x.gone && x.stream.Worker() != "" {
				t.Errorf("%s still runs on a dead worker", x.name)
			}
		}
		for _, x := range c.clients {
			x.cancel()
		}
		if w.target.inFlight.Load() != 0 {
			t.Errorf("%d in flight on a dead worker", w.target.inFlight.Load())
		}
		s.atRest()
	})
}
