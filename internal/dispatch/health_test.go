package dispatch

import (
	"slices"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/wire"
)

// pass moves every loop's clock and turns.
func (s *setting) pass(d time.Duration) {
	for _, l := range s.loops {
		l.now = l.now.Add(d)
	}
	s.turn()
}

// spec: process 13
func TestWhatLiesBehindABlockedLoopRunsElsewhere(t *testing.T) {
	s := newSetting(t, 1)
	one, other := s.worker("one", 100), s.worker("other", 100)
	clients, order := s.opened(10)
	s.turn()
	first := one.ends[0].take() // and computes for ever
	for range 5 {
		other.ends[0].head(other.ends[0].take().id, 200, "", true)
	}
	s.turn()
	if s.endpoints[0].Wait() < 0 {
		t.Fatal("the endpoint would sleep though a request may stand still")
	}
	if s.pass(stallTime / 2); other.ends[0].peek() != nil {
		t.Fatal("taken back too soon")
	}
	s.pass(stallTime)
	for r := other.ends[0].take(); r != nil; r = other.ends[0].take() {
		other.ends[0].head(r.id, 200, "", true)
	}
	if s.turn(); len(*order) != 9 {
		t.Fatalf("only %v were answered", *order)
	}
	if c := s.open(0, "next"); c.stream.Worker() != "other" {
		t.Fatalf("the next request went to %q", c.stream.Worker())
	}
	if one.ends[0].take() != nil {
		t.Fatal("the loop that stood still started what was taken back")
	}
	one.ends[0].head(first.id, 200, "", true)
	s.turn()
	if c := s.open(0, "after"); c.stream.Worker() != "one" {
		t.Errorf("it reads on, and yet %q got the request", c.stream.Worker())
	}
	for _, c := range clients {
		if !c.ended {
			t.Errorf("%s was not answered", c.name)
		}
	}
}

func TestALoopStandsStillInPeaceIfNoOtherHasAPlace(t *testing.T) {
	for _, limit := range []int64{0, 1} { // of the other loop
		s := newSetting(t, 1)
		if limit > 0 {
			other := s.worker("other", limit)
			s.open(0, "busy")
			s.turn()
			other.ends[0].take()
		}
		one := s.worker("one", 100)
		c := s.open(0, "a")
		s.turn()
		s.pass(stallTime)
		s.pass(time.Second)
		if one.ends[0].take() == nil || c.stream.Worker() != "one" {
			t.Errorf("limit %d: the request was taken from the only loop that can run it", limit)
		}
	}
}

func TestRequestsWaitWhileEveryLoopStandsStillAndGoToTheFirstThatReadsOn(t *testing.T) {
	s := newSetting(t, 1)
	one, other := s.worker("one", 100), s.worker("other", 100)
	s.opened(4)
	s.turn()
	one.ends[0].take()
	s.pass(stallTime)
	s.pass(stallTime) // what was behind the first loop lies behind the second
	other.ends[0].take()
	s.pass(stallTime) // now that reads; the rest stands still again
	s.pass(stallTime)
	one.ends[0].peek() // steps over what was revoked
	s.turn()
	if r := one.ends[0].take(); r != nil {
		t.Fatal("it had been taken back")
	}
	s.turn()
	s.pass(stallTime)
	s.pass(stallTime)
	started := len(one.ends[0].started) + len(other.ends[0].started)
	for range 4 {
		for _, w := range []*fakeWorker{one, other} {
			if w.ends[0].take() != nil {
				started++
			}
		}
		s.pass(stallTime)
	}
	if started != 4 {
		t.Fatalf("%d of 4 requests were started", started)
	}
}

// spec: process 10
func TestALoopThatSaysNothingIsStuck(t *testing.T) {
	for _, c := range []struct {
		name            string
		answers, thread bool
		stuck           bool
	}{
		{"it says nothing", false, false, true},
		{"it answers", true, false, false},
		{"a thread says nothing", false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSetting(t, 1)
			s.group.Health = time.Second
			w := s.worker("w", 4)
			stuck := false
			w.target.Threaded, w.target.Stuck = c.thread, func(string) { stuck = true }
			s.open(0, "a")
			s.turn()
			r := w.ends[0].take()
			for range 20 {
				s.loops[0].advance(200 * time.Millisecond)
				s.turn()
				for f := w.ends[0].peek(); f != nil; f = w.ends[0].peek() {
					if wire.Type(f[8]) == wire.Ping && c.answers {
						w.ends[0].say(wire.Header{Type: wire.Pong}, make([]byte, 8))
					}
					w.ends[0].done(f)
				}
			}
			if stuck != c.stuck {
				t.Fatalf("stuck: %v", stuck)
			}
			w.ends[0].head(r.id, 200, "", true)
			s.turn()
			s.loops[0].advance(3 * time.Second)
			if len(s.loops[0].alarms) > 0 {
				t.Errorf("an idle loop is looked at")
			}
			s.atRest()
		})
	}
}

// spec: process 7
func TestAWorkerIsWornOnceAfterSoManyRequests(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 1)
	w.target.Offers = 4
	w.target.Bear(5)
	var worn []int64
	w.target.Worn = func() { worn = append(worn, w.target.Served()) }
	for n := range 12 {
		if n == 8 { // its successor could not start
			w.target.Bear(3)
		}
		c := s.open(0, "x")
		s.turn()
		w.ends[0].head(w.ends[0].take().id, 200, "", true)
		if s.turn(); !c.ended {
			t.Fatal("not answered")
		}
	}
	if !slices.Equal(worn, []int64{5, 11}) {
		t.Fatalf("%v", worn)
	}
}
