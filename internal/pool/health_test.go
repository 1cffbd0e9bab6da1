package pool

import (
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/wire"
)

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
			s.shared.health = time.Second
			w := s.worker("w", 4)
			stuck := false
			w.target.threaded, w.target.stuck = c.thread, func(string) { stuck = true }
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
	w.target.offers, w.target.enough = 4, 5
	var worn []string
	w.target.worn = func(why string) { worn = append(worn, why) }
	for range 12 {
		c := s.open(0, "x")
		s.turn()
		w.ends[0].head(w.ends[0].take().id, 200, "", true)
		if s.turn(); !c.ended {
			t.Fatal("not answered")
		}
	}
	if len(worn) != 1 || worn[0] != "5 requests" {
		t.Fatalf("%q", worn)
	}
}
