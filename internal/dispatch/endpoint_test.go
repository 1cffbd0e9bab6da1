package dispatch

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

func TestARequestGoesToAWorkerAndItsAnswerComesBack(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	c := s.open(0, "a")
	s.turn()
	r := w.ends[0].take()
	if r == nil || c.stream.Worker() != "w" {
		t.Fatal("the worker was given nothing")
	}
	w.ends[0].head(r.id, 201, "hel", false)
	w.ends[0].data(r.id, "lo", true)
	s.turn()
	if c.status != 201 || string(c.body) != "hello" || !c.ended {
		t.Fatalf("%d %q, ended %v", c.status, c.body, c.ended)
	}
	s.atRest()
}

func TestDispatchPrefersFewestUntakenThenFewestInFlightThenTheMostRecentlyUsed(t *testing.T) {
	s := newSetting(t, 1)
	a, b := s.worker("a", 100), s.worker("b", 100)
	place := func(want string) *fakeClient {
		t.Helper()
		c := s.open(0, "x")
		s.turn()
		if got := c.stream.Worker(); got != want {
			t.Fatalf("%s got it instead of %s", got, want)
		}
		return c
	}
	first := s.open(0, "first")
	s.turn()
	used, other := a, b
	if first.stream.Worker() == "b" {
		used, other = b, a
	}
	r := used.ends[0].take()
	used.ends[0].head(r.id, 200, "", true)
	s.turn()
	place(used.target.Name)  // both idle: the one used last
	place(other.target.Name) // the other has none that is not taken
	used.ends[0].take()
	other.ends[0].take()
	used.ends[0].head(used.ends[0].started[1].id, 200, "", true)
	s.turn()
	place(used.target.Name) // none untaken on both, but the other has one in flight
	used.ends[0].take()
	place(used.target.Name) // one in flight each: used last
	place(other.target.Name)
	other.ends[0].take()
	place(other.target.Name) // one untaken on used, though other has two in flight
}

func TestABlockedWorkerGetsNothingWhileAnotherTakes(t *testing.T) {
	s := newSetting(t, 1)
	blocked, lively := s.worker("blocked", 100), s.worker("lively", 100)
	_ = blocked
	got := map[string]int{}
	for i := range 50 {
		c := s.open(0, fmt.Sprint(i))
		s.turn()
		got[c.stream.Worker()]++
		lively.ends[0].take()
	}
	if got["blocked"] > 1 {
		t.Fatalf("%v", got)
	}
}

func TestRequestsBeyondTheLimitWaitInOrderAndBeyondTheQueueAreRefused(t *testing.T) {
	s := newSetting(t, 1)
	s.group.Queue = 3
	w := s.worker("w", 2)
	var order []string
	var clients []*fakeClient
	for i := range 6 {
		c := s.open(0, fmt.Sprint(i))
		c.order = &order
		clients = append(clients, c)
	}
	if clients[5].failed != exchange.Overloaded {
		t.Fatalf("the sixth: %v", clients[5].failed)
	}
	if clients[2].stream.Worker() != "" {
		t.Fatal("a request that waits has a worker")
	}
	for range 5 {
		s.turn()
		r := w.ends[0].take()
		w.ends[0].head(r.id, 200, "", true)
		s.turn()
	}
	if got := strings.Join(order, ""); got != "01234" {
		t.Fatalf("answered in the order %q", got)
	}
	s.atRest()
}

func TestARequestThatWaitsTooLongFails(t *testing.T) {
	s := newSetting(t, 1)
	early := s.open(0, "early")
	s.loops[0].advance(s.group.QueueWait / 2)
	late := s.open(0, "late")
	s.loops[0].advance(s.group.QueueWait/2 + 2*queueTick)
	if early.failed != exchange.QueueWait || late.ended {
		t.Fatalf("early: %v, late ended: %v", early.failed, late.ended)
	}
	s.loops[0].advance(s.group.QueueWait)
	if late.failed != exchange.QueueWait {
		t.Fatalf("late: %v", late.failed)
	}
	if len(s.loops[0].alarms) > 1 {
		t.Fatalf("%d alarms for an empty queue", len(s.loops[0].alarms))
	}
	s.atRest()
}

func TestWithoutAWaitLimitARequestWaits(t *testing.T) {
	s := newSetting(t, 1)
	s.group.QueueWait = 0
	c := s.open(0, "patient")
	s.loops[0].advance(time.Hour)
	if c.ended {
		t.Fatal(c.failed)
	}
	w := s.worker("w", 1)
	s.turn()
	if w.ends[0].take() == nil {
		t.Fatal("a new worker is not given what waits")
	}
}

func TestAStoppingPoolRefuses(t *testing.T) {
	s := newSetting(t, 1)
	s.worker("w", 1)
	s.group.stopping.Store(true)
	if c := s.open(0, "a"); c.failed != exchange.Stopping {
		t.Fatal(c.failed)
	}
}

func TestADrainingWorkerGetsNothingNew(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	old := s.open(0, "old")
	w.target.draining.Store(true)
	c := s.open(0, "new")
	s.turn()
	r := w.ends[0].take()
	w.ends[0].head(r.id, 200, "", true)
	s.turn()
	if !old.ended || c.stream.Worker() != "" || w.ends[0].take() != nil {
		t.Fatal("a draining worker was given a request")
	}
}

// spec: http 16
func TestCancelInEachState(t *testing.T) {
	t.Run("queued: it is never started", func(t *testing.T) {
		s := newSetting(t, 1)
		c := s.open(0, "a")
		c.cancel()
		w := s.worker("w", 1)
		s.turn()
		if w.ends[0].take() != nil {
			t.Fatal("started")
		}
		s.atRest()
	})
	t.Run("in the ring, not taken: it is revoked", func(t *testing.T) {
		s := newSetting(t, 1)
		w := s.worker("w", 1)
		c := s.open(0, "a")
		next := s.open(0, "next")
		s.turn()
		c.cancel()
		s.turn()
		r := w.ends[0].take()
		if r == nil || len(w.ends[0].started) != 1 || next.stream.Worker() != "w" {
			t.Fatal("the next request is not the only one that the worker starts")
		}
		if w.ends[0].take() != nil || r.gone {
			t.Fatal("more came")
		}
	})
	t.Run("taken, and the server does not know it: RESET", func(t *testing.T) {
		s := newSetting(t, 1)
		w := s.worker("w", 1)
		c := s.open(0, "a")
		s.turn()
		r := w.ends[0].take()
		c.cancel()
		s.turn()
		w.ends[0].take()
		if !r.gone {
			t.Fatal("the worker was not told")
		}
		w.ends[0].head(r.id, 200, "late", true) // crosses the end
		s.turn()
		if w.violated != nil {
			t.Fatal(w.violated)
		}
		s.atRest()
	})
	t.Run("answering: RESET, and the rest is skipped", func(t *testing.T) {
		s := newSetting(t, 1)
		w := s.worker("w", 1)
		c := s.open(0, "a")
		s.turn()
		r := w.ends[0].take()
		w.ends[0].head(r.id, 200, "begin", false)
		s.turn()
		c.cancel()
		w.ends[0].data(r.id, "end", true)
		s.turn()
		w.ends[0].take()
		if !r.gone || string(c.body) != "begin" {
			t.Fatalf("told %v, %q", r.gone, c.body)
		}
		s.atRest()
	})
}

func TestWhatADeadWorkerHadNotTakenRunsElsewhereInOrderAndTheRestFails(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	var clients []*fakeClient
	for i := range 5 {
		clients = append(clients, s.open(0, fmt.Sprint(i)))
	}
	s.turn()
	w.ends[0].take()
	done := w.ends[0].take()
	w.ends[0].head(done.id, 200, "done", true) // said before it died
	w.die()
	if clients[0].failed != exchange.WorkerDied {
		t.Fatalf("what had begun: %v", clients[0].failed)
	}
	if string(clients[1].body) != "done" || !clients[1].ended {
		t.Fatal("an answer that was complete is lost")
	}
	s.loops[0].advance(s.group.QueueWait / 2) // they wait like others, from now on
	for _, c := range clients[2:] {
		if c.ended {
			t.Fatalf("%s failed: %v", c.name, c.failed)
		}
	}
	other := s.worker("other", 10)
	s.turn()
	var order []string
	for _, c := range clients[2:] {
		c.order = &order
	}
	for range 3 {
		r := other.ends[0].take()
		other.ends[0].head(r.id, 200, "", true)
	}
	s.turn()
	if strings.Join(order, "") != "234" {
		t.Fatalf("%v ran elsewhere", order)
	}
	s.atRest()
}

// spec: process 4
func TestAGetWhoseWorkerDiesMayRunOnceMore(t *testing.T) {
	s := newSetting(t, 1)
	s.group.Retry = true
	w := s.worker("w", 10)
	began, c := s.open(0, "began"), s.open(0, "c")
	posted := &fakeClient{t: t, name: "posted"}
	post := request("/posted", "")
	post.Buf = append([]byte("PUT"), post.Buf[3:]...)
	posted.stream, _ = s.endpoints[0].Open(post, posted)
	s.turn()
	w.ends[0].head(w.ends[0].take().id, 200, "part", false)
	w.ends[0].say(wire.Header{Stream: w.ends[0].take().id, Type: wire.Window, Length: 5}, nil)
	w.ends[0].take()
	w.die()
	if began.failed != exchange.WorkerDied || posted.failed != exchange.WorkerDied || c.ended {
		t.Fatal(began.failed, posted.failed, c.failed)
	}
	second := s.worker("second", 10)
	s.turn()
	if second.ends[0].take() == nil {
		t.Fatal("it was not given to another worker")
	}
	second.die()
	if c.failed != exchange.WorkerDied {
		t.Fatalf("after the second worker: %v", c.failed)
	}
	s.atRest()
}

func TestWhatADeadWorkerLeftBehindWaitsNoLongerThanTheLimit(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	c := s.open(0, "a")
	s.turn()
	w.die()
	s.loops[0].advance(s.group.QueueWait + 2*queueTick)
	if c.failed != exchange.QueueWait {
		t.Fatalf("%v after the wait limit", c.failed)
	}
	s.atRest()
}

func TestViolationsKill(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(e *workerEnd, id uint32)
	}{
		{"more response than the credit", func(e *workerEnd, id uint32) { e.head(id, 200, strings.Repeat("x", 1001), false) }},
		{"more response than the credit, in parts", func(e *workerEnd, id uint32) {
			e.head(id, 200, strings.Repeat("x", 600), false)
			e.data(id, strings.Repeat("x", 600), false)
		}},
		{"a body before the head", func(e *workerEnd, id uint32) { e.data(id, "x", false) }},
		{"an end before the head", func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.End}, nil) }},
		{"two heads", func(e *workerEnd, id uint32) { e.head(id, 200, "", false); e.head(id, 200, "", false) }},
		{"a credit of nothing", func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Window}, nil) }},
		{"a credit without end", func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.Window, Length: maxCredit}, nil)
			e.say(wire.Header{Stream: id, Type: wire.Window, Length: 1}, nil)
		}},
		{"an interim response that is final", func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.Inform, Aux: 200}, make([]byte, 8))
		}},
		{"a frame that only the server sends", func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Open}, make([]byte, 100)) }},
		{"a file before the head", func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.File, Flags: wire.EndStream, Length: 1}, append(make([]byte, 16), '/'))
		}},
		{"a broadcast to one that is no WebSocket", func(e *workerEnd, id uint32) { e.send(broadcastFrame(exchange.Text, "a", id)) }},
		{"a broadcast to nobody", func(e *workerEnd, _ uint32) { e.send(broadcastFrame(exchange.Text, "a")) }},
		{"a broadcast that is neither text nor binary", func(e *workerEnd, id uint32) { e.send(broadcastFrame(3, "a", id)) }},
		{"a broadcast to more than there are", func(e *workerEnd, id uint32) {
			e.say(wire.Header{Type: wire.Broadcast, Aux: 1}, binary.LittleEndian.AppendUint32(make([]byte, 0, 8), 1<<31))
		}},
		{"a broadcast longer than its frame", func(e *workerEnd, id uint32) {
			e.say(wire.Header{Type: wire.Broadcast, Aux: 1, Length: 1 << 31}, recipients("a", id))
		}},
		{"a frame of no size", func(e *workerEnd, _ uint32) { e.written += 16; e.word(384).Store(e.written) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 10)
			client := s.open(0, "a")
			s.turn()
			c.do(w.ends[0], w.ends[0].take().id)
			s.turn()
			if w.violated == nil {
				t.Fatal("unpunished")
			}
			if other := s.open(0, "b"); other.stream.Worker() != "" {
				t.Fatal("it is given more")
			}
			w.die() // as the pool does with a worker it has killed
			if !client.ended && client.failed != exchange.WorkerDied {
				t.Fatalf("the client hears %v", client.failed)
			}
		})
	}
}

func TestAWorkerSendsAsMuchAsItIsGranted(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	c := s.open(0, "a")
	s.turn()
	r := w.ends[0].take()
	w.ends[0].head(r.id, 200, strings.Repeat("x", 1000), false)
	s.turn()
	c.stream.Grant(500)
	s.turn()
	w.ends[0].take()
	if r.credit != 1500 {
		t.Fatalf("the worker knows of %d", r.credit)
	}
	w.ends[0].data(r.id, strings.Repeat("x", 500), true)
	s.turn()
	if w.violated != nil || len(c.body) != 1500 || !c.ended {
		t.Fatalf("%v, %d bytes", w.violated, len(c.body))
	}
}

func TestTheRequestBodyFlowsAsTheWorkerAsks(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	c := s.open(0, "a")
	s.turn()
	r := w.ends[0].take()
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Window, Length: 100_000}, nil)
	s.turn()
	if c.credit != 100_000 {
		t.Fatalf("the client may send %d", c.credit)
	}
	c.stream.Data(make([]byte, 100_000), true) // many times the ring
	for range 100 {
		s.turn()
		w.ends[0].take()
	}
	if r.body != 100_000 {
		t.Fatalf("%d bytes arrived", r.body)
	}
	if b := s.endpoints[0].links[0].backlog; len(b) != 0 {
		t.Fatalf("%d frames are left in the backlog", len(b))
	}
}

func TestAFullRingHoldsFramesBackInOrderAndAsksToBeCalled(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 100)
	c := s.open(0, "a")
	s.turn()
	r := w.ends[0].take()
	w.ends[0].head(r.id, 200, "", false)
	s.turn()
	for range 2000 {
		c.stream.Grant(1)
	}
	s.turn()
	if len(s.endpoints[0].links[0].backlog) == 0 {
		t.Fatal("everything fitted: the test proves nothing")
	}
	waits := s.open(0, "waits") // behind the backlog: must not overtake
	if waits.stream.Worker() != "" {
		t.Fatal("a request overtook the backlog")
	}
	rang := false
	for range 20 {
		for f := w.ends[0].peek(); f != nil; f = w.ends[0].peek() {
			if wire.Type(f[8]) == wire.Window {
				r.credit++
				rang = w.ends[0].done(f) || rang
				continue
			}
			break
		}
		s.turn()
	}
	if !rang {
		t.Fatal("nobody asked the worker to ring")
	}
	if r.credit != 3000 || w.ends[0].take() == nil {
		t.Fatalf("credit %d", r.credit)
	}
}

func TestRequestsThatWaitForRoomInTheRingGoWhenThereIsRoom(t *testing.T) {
	s := newSetting(t, 1)
	s.group.Queue = 1000
	w := s.worker("w", 1000)
	clients := 0
	for s.endpoints[0].queue.len() < 10 {
		c := &fakeClient{t: t}
		if stream, _ := s.endpoints[0].Open(request("/"+strings.Repeat("x", 1000), ""), c); stream == nil {
			t.Fatal("refused")
		}
		clients++
	}
	s.turn()
	rang := false
	for taken := 0; taken < clients; taken++ { // none is answered: they only make room
		f := w.ends[0].peek()
		if f == nil {
			t.Fatalf("%d of %d requests arrived, though the worker takes them", taken, clients)
		}
		rang = w.ends[0].done(f) || rang
		s.turn()
	}
	if !rang {
		t.Fatal("nobody asked the worker to ring: the endpoint would sleep")
	}
}

func TestTwoEndpointsShareALimit(t *testing.T) {
	s := newSetting(t, 2)
	w := s.worker("w", 1)
	a := s.open(0, "a")
	b := s.open(1, "b")
	if a.stream.Worker() != "w" || b.stream.Worker() != "" {
		t.Fatal("the limit is not shared")
	}
	s.turn()
	r := w.ends[0].take()
	w.ends[0].head(r.id, 200, "", true)
	s.turn() // the first endpoint frees the place, and calls the other
	s.turn()
	if b.stream.Worker() != "w" {
		t.Fatal("the other endpoint was not told of the free place")
	}
	r = w.ends[1].take()
	w.ends[1].head(r.id, 200, "", true)
	s.turn()
	s.atRest()
}

func TestAResetTellsWhy(t *testing.T) {
	for code, reason := range map[wire.Code]exchange.Reason{
		wire.AppError: exchange.AppError, wire.Deadline: exchange.Deadline, wire.Stopping: exchange.Stopping,
		wire.Refused: exchange.Stopping, wire.TooLarge: exchange.TooLarge, wire.ProtocolError: exchange.AppError, 999: exchange.AppError,
	} {
		s := newSetting(t, 1)
		w := s.worker("w", 1)
		c := s.open(0, "a")
		s.turn()
		r := w.ends[0].take()
		w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Reset, Aux: uint16(code)}, nil)
		s.turn()
		if c.failed != reason {
			t.Errorf("code %d: %v, want %v", code, c.failed, reason)
		}
		s.atRest()
	}
}

func TestAHeadThatDoesNotFitIsRefused(t *testing.T) {
	s := newSetting(t, 1)
	s.worker("w", 1)
	c := &fakeClient{t: t}
	if stream, reason := s.endpoints[0].Open(request("/"+strings.Repeat("x", wire.MinRing/4), ""), c); stream != nil || reason != exchange.HeadTooLarge {
		t.Fatal(reason)
	}
	s.atRest()
}

func TestADroppedLinkIsNotWatchedAnyMore(t *testing.T) {
	s := newSetting(t, 2)
	w := s.worker("w", 1)
	if s.loops[0].bells != 1 || s.loops[1].bells != 1 {
		t.Fatal("the doorbells are not watched")
	}
	w.die()
	if s.loops[0].bells != 0 || s.loops[1].bells != 0 || len(s.endpoints[0].links) != 0 {
		t.Fatal("something of the dead worker is left")
	}
}
