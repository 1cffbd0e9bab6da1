package dispatch

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// threads is a worker that runs no more than limit requests at once, and is offered others.
func (s *setting) threads(name string, limit int64) *fakeWorker {
	w := s.worker(name, limit)
	w.target.Offers = MaxOffers
	return w
}

// opened opens n exchanges named 0, 1, … and notes the order in which they end.
func (s *setting) opened(n int) ([]*fakeClient, *[]string) {
	var clients []*fakeClient
	order := &[]string{}
	for i := range n {
		c := s.open(0, fmt.Sprint(i))
		c.order = order
		clients = append(clients, c)
	}
	return clients, order
}

// spec: wsgi 10
func TestWhatIsOfferedIsTakenWithoutWaitingForTheServer(t *testing.T) {
	s := newSetting(t, 1)
	w := s.threads("w", 1)
	_, order := s.opened(4)
	s.turn()
	for range 4 { // the server does not turn in between
		r := w.ends[0].take()
		if r == nil {
			t.Fatal("the worker would sleep though requests wait")
		}
		w.ends[0].head(r.id, 200, "", true)
	}
	s.turn()
	if got := strings.Join(*order, ""); got != "0123" {
		t.Fatalf("answered in the order %q", got)
	}
	s.atRest()
}

func TestWhatIsOfferedWaitsAllTheSame(t *testing.T) {
	s := newSetting(t, 1)
	s.group.Queue = 2
	w := s.threads("w", 1)
	clients, _ := s.opened(4)
	if clients[3].failed != exchange.Overloaded {
		t.Fatalf("the fourth: %v", clients[3].failed)
	}
	if clients[1].stream.Worker() != "" || s.endpoints[0].offers != 2 {
		t.Fatal("the second is not offered, or names a worker already")
	}
	s.turn()
	w.ends[0].take()
	s.loops[0].advance(s.group.QueueWait + 2*queueTick)
	if clients[1].failed != exchange.QueueWait || clients[2].failed != exchange.QueueWait || clients[0].ended {
		t.Fatalf("after the wait limit: %v, %v", clients[1].failed, clients[2].failed)
	}
	if w.ends[0].take() != nil {
		t.Fatal("the worker started what had been answered")
	}
	clients[0].cancel()
	s.turn()
	s.atRest()
}

func TestAWorkerThatHasAPlaceTakesWhatAnotherWasOffered(t *testing.T) {
	s := newSetting(t, 1)
	slow, quick := s.threads("slow", 1), s.threads("quick", 1)
	clients, order := s.opened(8)
	s.turn()
	slow.ends[0].take() // and runs it for ever
	for range 7 {
		r := quick.ends[0].take()
		if r == nil {
			t.Fatalf("a worker that is free has nothing to do after %v", *order)
		}
		quick.ends[0].head(r.id, 200, "", true)
		s.turn()
	}
	if len(*order) != 7 {
		t.Fatalf("%v were answered", *order)
	}
	for _, c := range clients {
		c.cancel()
	}
	s.turn()
	s.atRest()
}

func TestWhatTheWorkerTookFirstIsNotTakenBack(t *testing.T) {
	s := newSetting(t, 1)
	one, other := s.threads("one", 1), s.threads("other", 1)
	clients, order := s.opened(4) // two run, two are offered
	s.turn()
	first, second := one.ends[0].take(), one.ends[0].take() // the other thread was quicker than the server's look
	other.ends[0].head(other.ends[0].take().id, 200, "", true)
	s.turn()
	one.ends[0].head(first.id, 200, "", true)
	one.ends[0].head(second.id, 200, "", true)
	if r := other.ends[0].take(); r != nil {
		other.ends[0].head(r.id, 200, "", true)
	}
	s.turn()
	if len(*order) != len(clients) {
		t.Fatalf("%v were answered", *order)
	}
	s.atRest()
}

// spec: http 16
func TestCancelOfWhatIsOffered(t *testing.T) {
	s := newSetting(t, 1)
	w := s.threads("w", 1)
	clients, _ := s.opened(4)
	s.turn()
	w.ends[0].take()
	taken := w.ends[0].take() // the server does not know it yet
	clients[1].cancel()
	clients[2].cancel()
	s.turn()
	next := w.ends[0].take()
	w.ends[0].take() // reads on
	if !taken.gone {
		t.Error("what had been taken was not reset")
	}
	if next == nil || len(w.ends[0].started) != 3 {
		t.Fatalf("%d started", len(w.ends[0].started))
	}
	for _, r := range w.ends[0].started {
		if !r.gone {
			w.ends[0].head(r.id, 200, "", true)
		}
	}
	s.turn()
	if !clients[3].ended {
		t.Error("the last was not answered")
	}
	s.atRest()
}

// A worker that has read all there is sleeps; the room of what was revoked is given back only when it looks.
func TestTheWorkerIsToldOfWhatWasRevoked(t *testing.T) {
	s := newSetting(t, 1)
	w := s.threads("w", 1)
	rang := func() bool { return ready(t, w.bell.Wait()) }
	sent, offered := s.open(0, "sent"), s.open(0, "offered")
	s.turn()
	if rang() {
		t.Fatal("it is rung though it does not sleep")
	}
	for _, client := range []*fakeClient{offered, sent} {
		client.cancel()
		s.turn()
		if !rang() {
			t.Fatal("the worker would sleep on what is not to be run")
		}
	}
	s.atRest()
}

// ready reads an eventfd, and says whether it had been rung.
func ready(t *testing.T, fd int) bool {
	t.Helper()
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(polled, 0); err != nil || n == 0 {
		return false
	}
	if _, err := unix.Read(fd, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	return true
}

func TestADrainingWorkerGivesBackWhatItWasOffered(t *testing.T) {
	s := newSetting(t, 1)
	old := s.threads("old", 1)
	clients, order := s.opened(3)
	s.turn()
	running := old.ends[0].take()
	young := s.worker("new", 10)
	old.target.draining.Store(true)
	s.endpoints[0].withdraw(old.ends[0].link)
	s.turn()
	if old.ends[0].take() != nil {
		t.Fatal("the old worker starts another")
	}
	for range 2 {
		young.ends[0].head(young.ends[0].take().id, 200, "", true)
	}
	old.ends[0].head(running.id, 200, "", true)
	s.turn()
	if len(*order) != len(clients) {
		t.Fatalf("%v were answered", *order)
	}
	s.atRest()
}

func TestWhatADeadWorkerWasOfferedRunsElsewhereInOrder(t *testing.T) {
	s := newSetting(t, 1)
	w := s.threads("w", 1)
	clients, order := s.opened(5)
	s.turn()
	w.ends[0].take()
	w.die()
	if clients[0].failed != exchange.WorkerDied {
		t.Fatalf("what had begun: %v", clients[0].failed)
	}
	other := s.threads("other", 1)
	s.turn()
	for range 4 {
		other.ends[0].head(other.ends[0].take().id, 200, "", true)
	}
	s.turn()
	if got := strings.Join(*order, ""); got != "01234" {
		t.Fatalf("ended in the order %q", got)
	}
	s.atRest()
}

func TestOffersMakeRoomForAStreamThatRuns(t *testing.T) {
	s := newSetting(t, 1)
	w := s.threads("w", 1)
	clients, _ := s.opened(3)
	s.turn()
	r := w.ends[0].take()
	w.ends[0].head(r.id, 200, "", false)
	s.turn()
	for range 2000 {
		clients[0].stream.Grant(1)
	}
	s.turn()
	if s.endpoints[0].offers != 0 || s.endpoints[0].queue.len() != 2 {
		t.Fatalf("%d offered, %d in the queue: their frames hold the room behind them", s.endpoints[0].offers, s.endpoints[0].queue.len())
	}
	for range 50 { // the worker's one thread is busy: it starts nothing, but gives back the room of what was revoked
		for f := w.ends[0].peek(); f != nil && (wire.Type(f[8]) != wire.Open || f[16] == 2); f = w.ends[0].peek() {
			if wire.Type(f[8]) == wire.Window {
				r.credit += int(binary.LittleEndian.Uint32(f[12:]))
			}
			w.ends[0].done(f)
		}
		s.turn()
	}
	if r.credit != 3000 {
		t.Fatalf("credit %d", r.credit)
	}
	if s.turn(); s.endpoints[0].offers != 2 {
		t.Errorf("%d are offered again", s.endpoints[0].offers)
	}
	for _, c := range clients {
		c.cancel()
	}
	s.turn()
	s.atRest()
}
