package dispatch

import (
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// timed is a setting with a deadline of a second and one worker; stuck counts how often it was called stuck.
func timed(t *testing.T, limit int64) (s *setting, w *fakeWorker, stuck *int) {
	s = newSetting(t, 1)
	s.group.Deadline, s.group.QueueWait = time.Second, time.Minute
	w = s.worker("w", limit)
	stuck = new(int)
	w.target.Stuck = func(string) { *stuck++ }
	return s, w, stuck
}

// after moves the clock and has the worker read its ring.
func (s *setting) after(d time.Duration, w *fakeWorker) {
	s.loops[0].advance(d)
	s.turn()
	for w.ends[0].take() != nil {
	}
}

// spec: process 9
func TestARequestPastItsDeadlineIsAnsweredAndCancelled(t *testing.T) {
	s, w, stuck := timed(t, 1)
	c, next := s.open(0, "a"), s.open(0, "next")
	s.turn()
	r := w.ends[0].take()
	s.after(900*time.Millisecond, w)
	if c.ended {
		t.Fatal("too early")
	}
	s.after(300*time.Millisecond, w)
	if c.failed != exchange.Deadline || !r.gone {
		t.Fatalf("failed: %v, the worker was told: %v", c.failed, r.gone)
	}
	if next.stream.Worker() != "" {
		t.Fatal("the place was given away, though the worker still runs the request")
	}
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Reset, Aux: uint16(wire.Deadline)}, nil)
	s.turn()
	if next.stream.Worker() != "w" {
		t.Fatal("the place is not free")
	}
	w.ends[0].head(w.ends[0].take().id, 200, "", true)
	s.turn()
	s.after(time.Second, w)
	if *stuck != 0 || !next.ended || next.failed != 0 {
		t.Fatalf("stuck %d, next: %v", *stuck, next.failed)
	}
	s.atRest()
}

func TestAnAnswerThatHasBegunHasNoDeadline(t *testing.T) {
	s, w, _ := timed(t, 1)
	c := s.open(0, "a")
	s.turn()
	r := w.ends[0].take()
	w.ends[0].head(r.id, 200, "begin", false)
	s.turn()
	s.after(time.Minute, w)
	if c.ended || s.endpoints[0].running.first != nil {
		t.Fatal("a stream was cut off")
	}
	w.ends[0].data(r.id, "end", true)
	s.turn()
	s.atRest()
}

func TestTheDeadlineBeginsWithThePlace(t *testing.T) {
	s, w, _ := timed(t, 1)
	w.target.Offers = 4
	_, waits := s.open(0, "first"), s.open(0, "waits")
	s.turn()
	r := w.ends[0].take()
	s.after(900*time.Millisecond, w)
	w.ends[0].head(r.id, 200, "", true)
	s.turn()
	s.after(900*time.Millisecond, w)
	if waits.ended {
		t.Fatal("its time in the queue counted")
	}
	s.after(300*time.Millisecond, w)
	if waits.failed != exchange.Deadline {
		t.Fatal(waits.failed)
	}
}

// What the worker says when it is told too late, and what that means for it.
func TestWorkersPastADeadline(t *testing.T) {
	for _, c := range []struct {
		name     string
		threaded bool
		do       func(e *workerEnd, id uint32)
		stuck    int
	}{
		{"an event loop that says nothing", false, func(*workerEnd, uint32) {}, 1},
		{"one that turns, and cleans up", false, func(e *workerEnd, _ uint32) {
			e.say(wire.Header{Type: wire.Pong}, make([]byte, 8))
		}, 0},
		{"a thread that goes on", true, func(e *workerEnd, _ uint32) {
			e.say(wire.Header{Type: wire.Pong}, make([]byte, 8))
		}, 1},
		{"an answer that crossed", true, func(e *workerEnd, id uint32) { e.head(id, 200, "late", true) }, 0},
		{"an answer in parts that crossed", true, func(e *workerEnd, id uint32) {
			e.head(id, 200, "late", false)
			e.data(id, "and more", false)
			e.say(wire.Header{Stream: id, Type: wire.End}, nil)
		}, 0},
		{"a demand for the body that crossed", true, func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.Window, Length: 10}, nil)
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, w, stuck := timed(t, 2)
			w.target.Threaded = c.threaded
			s.open(0, "a")
			s.turn()
			r := w.ends[0].take()
			s.after(1100*time.Millisecond, w)
			c.do(w.ends[0], r.id)
			s.turn()
			if *stuck != 0 {
				t.Fatal("called stuck at once")
			}
			if s.after(stuckTime+deadlineTick, w); *stuck != c.stuck || w.violated != nil {
				t.Fatalf("stuck: %d, violated: %v", *stuck, w.violated)
			}
			w.die()
			s.turn()
			if n := w.target.inFlight.Load(); n != 0 {
				t.Errorf("%d in flight", n)
			}
			s.atRest()
		})
	}
}

func TestWhatNoWorkerHasStartedHasNoDeadline(t *testing.T) {
	s, w, stuck := timed(t, 10)
	first := s.open(0, "first")
	s.turn()
	w.ends[0].take() // and computes for ever
	c := s.open(0, "a")
	s.turn()
	s.loops[0].advance(2 * time.Second)
	if first.failed != exchange.Deadline || c.ended || *stuck == 0 {
		t.Fatalf("first: %v, the other ended: %v, stuck: %d", first.failed, c.ended, *stuck)
	}
	w.die()
	young := s.worker("new", 10)
	s.turn()
	r := young.ends[0].take()
	s.loops[0].advance(900 * time.Millisecond)
	young.ends[0].head(r.id, 200, "", true)
	if s.turn(); !c.ended || c.failed != 0 {
		t.Fatalf("ended: %v, failed: %v", c.ended, c.failed)
	}
	s.atRest()
}
