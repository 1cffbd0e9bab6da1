package web

import (
	"sync"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/reactor"
)

// idleSource is a source without rings.
type idleSource struct{}

func (idleSource) Poll() int           { return 0 }
func (idleSource) Flush()              {}
func (idleSource) Arm() bool           { return true }
func (idleSource) Disarm()             {}
func (idleSource) Wait() time.Duration { return -1 }

// patience bounds every wait of a test; only a failure takes that long.
const patience = 20 * time.Second

// startReactor runs a reactor until the test ends.
func startReactor(t testing.TB, s reactor.Source) *reactor.Reactor {
	t.Helper()
	r, err := reactor.New()
	if err != nil {
		t.Fatal(err)
	}
	r.SendTimeout = time.Minute
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
func do(t testing.TB, r *reactor.Reactor, f func()) {
	t.Helper()
	done := make(chan struct{})
	r.Post(func() {
		defer close(done)
		f()
	})
	await(t, done, "the reactor to do something")
}

// settle waits until the reactor has acted on all that reached it before.
func settle(t testing.TB, r *reactor.Reactor) {
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
