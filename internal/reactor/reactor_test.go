package reactor

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// idleSource is a source without rings; what it is given is run by Poll.
type idleSource struct{ due []func() }

func (s *idleSource) Poll() int {
	n := len(s.due)
	for i := 0; i < len(s.due); i++ {
		s.due[i]()
	}
	s.due = s.due[:0]
	return n
}
func (s *idleSource) Flush()              {}
func (s *idleSource) Arm() bool           { return len(s.due) == 0 }
func (s *idleSource) Disarm()             {}
func (s *idleSource) Wait() time.Duration { return -1 }

// patience bounds every wait of a test; only a failure takes that long.
const patience = 20 * time.Second

// startReactor runs a reactor until the test ends.
func startReactor(t testing.TB, s Source) *Reactor {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	r.Attach(s)
	var running sync.WaitGroup
	running.Go(r.Run)
	t.Cleanup(func() {
		r.Post(r.Stop)
		running.Wait()
		r.Close()
	})
	return r
}

// do runs f on the reactor and waits for it.
func do(t testing.TB, r *Reactor, f func()) {
	t.Helper()
	done := make(chan struct{})
	r.Post(func() {
		defer close(done)
		f()
	})
	await(t, done, "the reactor to do something")
}

// settle waits until the reactor has acted on all that reached it before.
func settle(t testing.TB, r *Reactor) {
	t.Helper()
	for range 3 {
		do(t, r, func() {})
	}
}

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

func TestNoPostedCallIsLostHoweverManyGoroutinesPost(t *testing.T) {
	r := startReactor(t, &idleSource{})
	const posters, each = 16, 2000
	var count int // the reactor's
	all := make(chan struct{})
	for range posters {
		go func() {
			for range each {
				r.Post(func() {
					if count++; count == posters*each {
						close(all)
					}
				})
			}
		}()
	}
	await(t, all, "all posted calls")
}

func TestAPostWakesASleepingReactor(t *testing.T) {
	r := startReactor(t, &idleSource{})
	for range 5000 { // a lost wake-up would hang: without timers the reactor sleeps for ever
		do(t, r, func() {})
	}
}

func TestPostedCallsRunInTheirOrder(t *testing.T) {
	r := startReactor(t, &idleSource{})
	var got []int
	for i := range 1000 {
		r.Post(func() { got = append(got, i) })
	}
	do(t, r, func() {
		for i, v := range got {
			if i != v {
				t.Errorf("call %d ran as number %d", v, i)
				return
			}
		}
	})
}

func TestAnAlarmGoesOffOnce(t *testing.T) {
	r := startReactor(t, &idleSource{})
	rang := make(chan time.Time, 10)
	var set time.Time
	do(t, r, func() {
		set = time.Now()
		r.After(2*Tick, func() { rang <- time.Now() })
	})
	if at := await(t, rang, "the alarm"); at.Sub(set) < 2*Tick {
		t.Fatalf("after %v already", at.Sub(set))
	}
	settle(t, r)
	if len(rang) != 0 {
		t.Fatal("twice")
	}
}

func TestAWatchedDoorbellCallsForEachRingUntilItIsStopped(t *testing.T) {
	r := startReactor(t, &idleSource{})
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	_ = unix.SetNonblock(p[0], true)
	rings := make(chan struct{}, 100)
	var stop func()
	do(t, r, func() {
		var err error
		if stop, err = r.Watch(p[0], func() { rings <- struct{}{} }); err != nil {
			t.Error(err)
		}
	})
	for range 10 {
		if _, err := unix.Write(p[1], []byte{1}); err != nil {
			t.Fatal(err)
		}
		await(t, rings, "the bell")
	}
	do(t, r, stop)
	_, _ = unix.Write(p[1], []byte{1})
	settle(t, r)
	if len(rings) != 0 {
		t.Fatal("it rang after the watch had ended")
	}
	_, _ = unix.Close(p[0]), unix.Close(p[1])
}

func TestAnEventForAClosedDescriptorIsNotTakenForItsSuccessors(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first := &countingHandler{}
	id, err := r.register(socketPair(t)[0], first, interestConn)
	if err != nil {
		t.Fatal(err)
	}
	gen := r.slots[id].gen
	r.release(id)
	second := &countingHandler{}
	again, err := r.register(socketPair(t)[0], second, interestConn)
	if err != nil || again != id {
		t.Fatalf("slot %d, then %d: %v", id, again, err)
	}
	if r.slots[id].gen == gen {
		t.Fatal("the same generation twice")
	}
}

type countingHandler struct{ calls int }

func (h *countingHandler) ready(events) { h.calls++ }

// socketPair returns two connected non-blocking stream sockets; the test closes what is left of them.
func socketPair(t testing.TB) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	return fds
}
