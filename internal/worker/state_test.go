package worker

import (
	"io"
	"log/slog"
	"testing"

	"github.com/awaitd/awaitd/internal/message"
)

func TestEveryStateHasANameAndARowInTheTable(t *testing.T) {
	names := map[string]bool{}
	for s := range State(len(next)) {
		if s.String() == "unknown" || names[s.String()] {
			t.Errorf("state %d is called %q", s, s)
		}
		names[s.String()] = true
	}
	if State(len(next)).String() != "unknown" {
		t.Error("a state has a name but no row in the table")
	}
}

// inState is a worker in a state, without a process.
func inState(t *testing.T, s State) *Process {
	c, _ := workerSide(t)
	return &Process{
		Ready: make(chan struct{}), Drained: make(chan struct{}), Done: make(chan struct{}),
		spec: Spec{Version: "1", Log: slog.New(slog.DiscardHandler)}, control: c, early: early{w: io.Discard, open: true}, state: s,
	}
}

// spec: process 3
// spec: process 6
func TestEachEventInEachState(t *testing.T) {
	type at struct {
		State
		event
	}
	happens := map[at]State{
		{Starting, saidHello}: Booting, {Starting, endedWell}: Failed, {Starting, endedOtherwise}: Failed,
		{Booting, saidReady}: Ready, {Booting, endedWell}: Failed, {Booting, endedOtherwise}: Failed,
		{Ready, toldToEnd}: Draining, {Ready, endedWell}: Failed, {Ready, endedOtherwise}: Failed,
		{Draining, endedWell}: Stopped, {Draining, endedOtherwise}: Failed,
		{Starting, finished}: Failed, {Booting, finished}: Stopped, {Ready, finished}: Stopped, {Draining, finished}: Stopped,
	}
	for s := range State(len(next)) {
		for e := range events {
			p := inState(t, s)
			to, may := happens[at{s, e}]
			if !may {
				to = s
			}
			if did := p.enter(e); did != may || p.State() != to {
				t.Errorf("%v, event %d: %v, and it is %v", s, e, did, p.State())
			}
		}
	}
}

func TestWhatAWorkerSaysOutOfTurnEndsIt(t *testing.T) {
	for s := range State(len(next)) {
		for kind, turn := range map[string]State{"hello": Starting, "ready": Booting} {
			p := inState(t, s)
			m := &said{Type: kind}
			m.Wire, m.Awaitd = 1, "1"
			if err := p.hear(m); (err == nil) != (s == turn) {
				t.Errorf("%s of a worker that is %v: %v", kind, s, err)
			}
			select {
			case <-p.Ready:
				if kind != "ready" || s != turn {
					t.Errorf("%s made a worker ready that is %v", kind, s)
				}
			default:
			}
		}
		p := inState(t, s)
		if err := p.hear(&said{Type: "drained"}); err != nil {
			t.Error(err)
		}
		select {
		case <-p.Drained:
			if s != Draining {
				t.Errorf("a worker that is %v is taken for drained", s)
			}
		default:
			if s == Draining {
				t.Error("a worker that is drained was not heard")
			}
		}
	}
}

func TestAWorkerIsToldToDrainOnce(t *testing.T) {
	for s := range State(len(next)) {
		c, conn := workerSide(t)
		p := inState(t, s)
		p.control = c
		p.Drain()
		p.Drain()
		p.Stop()
		want := []string{"stop"}
		if s == Ready {
			want = []string{"drain", "stop"}
		}
		for _, kind := range want {
			if m, err := (&control{&message.Conn{UnixConn: conn}}).receive(); err != nil || m.Type != kind {
				t.Errorf("%v: %v, %v; want %s", s, m, err, kind)
			}
		}
	}
}
