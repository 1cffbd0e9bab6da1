package pool

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/awaitd/awaitd/internal/worker"
)

// shared is what the endpoints of one pool have in common: limits, and a few counters.
type shared struct {
	maxFrame   int
	limitQueue int64
	queueWait  time.Duration
	deadline   time.Duration // for a request until it is answered; 0 for none
	retry      bool          // GET and HEAD run once more if their worker dies before it answers
	health     time.Duration // the longest that an event loop may not turn; 0 for ever
	queued     atomic.Int64  // requests waiting, over all endpoints
	stopping   atomic.Bool
	checks     chan struct{} // one for each file being looked at
	log        *slog.Logger
	endpoints  []*Endpoint // fixed before the first request
}

// enter counts a request into the queue; false when it is full.
func (s *shared) enter() bool {
	if s.queued.Add(1) > s.limitQueue {
		s.queued.Add(-1)
		return false
	}
	return true
}

// leave counts a request out of the queue.
func (s *shared) leave() { s.queued.Add(-1) }

// kick has other endpoints look whether a request of theirs can go now: from has just freed a place and needs none itself.
func (s *shared) kick(from *Endpoint) {
	if s.queued.Load() == 0 {
		return
	}
	for _, e := range s.endpoints {
		if e != from && e.waiting.Load() > 0 {
			e.loop.Post(e.pump)
		}
	}
}

// Target is a worker loop as endpoints see it.
type Target struct {
	name     string
	limit    int64 // exchanges at once
	offers   int   // requests that may lie in its ring beyond that, on each link
	inFlight atomic.Int64
	late     atomic.Int64     // of these, past their deadline
	draining atomic.Bool      // no new exchange is given to it
	threaded bool             // it runs its requests on threads: one that goes on can't be cancelled
	violated func(error)      // has the worker killed
	stuck    func(why string) // has it replaced
	worn     func(why string) // has it replaced in good order
	served   atomic.Int64     // requests it was given
	enough   atomic.Int64     // after how many of them it is worn; 0 for never

	descriptors *worker.Descriptors // that it has passed
}
