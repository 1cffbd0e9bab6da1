// Package dispatch gives requests to worker loops: per request, never per connection, to the loop that is least busy at that moment.
//
// Endpoint, link and stream are the requests' path. They run on an event loop's goroutine, without locks. Workers' lives are another
// package's: it makes Targets and links, and adds, withdraws and drops them.
//
// Invariants. A request belongs to no worker until it is claimed: what a worker had not started when it died, stood still or was
// retired runs on another, untouched. A worker breaks no rule of the wire twice. Everything that is counted comes back to zero.
package dispatch

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/awaitd/awaitd/internal/wire"
	"github.com/awaitd/awaitd/internal/worker"
)

// Limits bound what waits and what runs.
type Limits struct {
	Frame     int           // bytes of the largest frame
	Queue     int64         // requests that may wait, over all endpoints
	QueueWait time.Duration // how long each may; 0 for ever
	Deadline  time.Duration // for a request until it is answered; 0 for none
	Health    time.Duration // the longest that an event loop may not turn; 0 for ever
	Retry     bool          // GET and HEAD run once more if their worker dies before it answers

	// MessageCost is the least that a WebSocket message costs of the credit that a worker gives: so it bounds their number, too.
	MessageCost int
}

// Group is the endpoints of one pool, and what they have in common: limits, and a few counters.
type Group struct {
	Limits
	queued    atomic.Int64 // requests waiting, over all endpoints
	stopping  atomic.Bool
	checks    chan struct{} // one for each file being looked at
	log       *slog.Logger
	endpoints []*Endpoint // fixed before the first request
}

// NewGroup makes a group without endpoints.
func NewGroup(limits Limits, log *slog.Logger) *Group {
	return &Group{Limits: limits, checks: make(chan struct{}, maxChecks), log: log}
}

// Endpoint makes the endpoint of a loop, before the first request.
func (g *Group) Endpoint(loop Loop) *Endpoint {
	e := &Endpoint{loop: loop, group: g}
	g.endpoints = append(g.endpoints, e)
	return e
}

// Size is the number of endpoints.
func (g *Group) Size() int { return len(g.endpoints) }

// Each runs f on every endpoint's goroutine and waits until all have.
func (g *Group) Each(f func(i int, e *Endpoint)) {
	var wg sync.WaitGroup
	for i, e := range g.endpoints {
		wg.Add(1)
		e.loop.Post(func() {
			defer wg.Done()
			f(i, e)
		})
	}
	wg.Wait()
}

// Refuse has the endpoints take no new requests.
func (g *Group) Refuse() { g.stopping.Store(true) }

// Queued is how many requests wait for a worker.
func (g *Group) Queued() int64 { return max(g.queued.Load(), 0) }

// enter counts a request into the queue; false when it is full.
func (g *Group) enter() bool {
	if g.queued.Add(1) > g.Queue {
		g.queued.Add(-1)
		return false
	}
	return true
}

// leave counts a request out of the queue.
func (g *Group) leave() { g.queued.Add(-1) }

// kick has other endpoints look whether a request of theirs can go now: from has just freed a place and needs none itself.
func (g *Group) kick(from *Endpoint) {
	if g.queued.Load() == 0 {
		return
	}
	for _, e := range g.endpoints {
		if e != from && e.waiting.Load() > 0 {
			e.loop.Post(e.pump)
		}
	}
}

// Target is a worker loop as endpoints see it. What is exported is set before it is added to an endpoint.
type Target struct {
	Name        string
	Limit       int64               // exchanges at once
	Offers      int                 // requests that may lie in its ring beyond that, on each link
	Threaded    bool                // it runs its requests on threads: one that goes on can't be cancelled
	Violated    func(error)         // has the worker killed
	Stuck       func(why string)    // has it replaced
	Worn        func()              // has it replaced in good order: it has served enough
	Descriptors *worker.Descriptors // that it has passed

	inFlight atomic.Int64
	late     atomic.Int64 // of these, past their deadline
	sockets  atomic.Int64 // WebSockets and TCP connections that it has accepted, besides
	draining atomic.Bool  // no new exchange is given to it
	served   atomic.Int64 // requests it was given
	enough   atomic.Int64 // after how many of them it is worn; 0 for never
}

// Running is how many exchanges the worker has.
func (t *Target) Running() int64 { return t.inFlight.Load() }

// Sockets is how many WebSockets and TCP connections the worker has accepted and not closed.
func (t *Target) Sockets() int64 { return t.sockets.Load() }

// load is all that the worker has, or is about to have.
func (t *Target) load() int64 { return t.sockets.Load() + t.inFlight.Load() }

// Late is how many of them are past their deadline: they have been answered, but not ended.
func (t *Target) Late() int64 { return t.late.Load() }

// Served is how many requests the worker was given.
func (t *Target) Served() int64 { return t.served.Load() }

// Draining says whether the worker gets nothing new.
func (t *Target) Draining() bool { return t.draining.Load() }

// Bear has Worn called when n more requests have been given to the worker.
func (t *Target) Bear(n int) { t.enough.Store(t.served.Load() + int64(n)) }

// serve counts a request that the worker was given.
func (t *Target) serve() {
	if t.served.Add(1) == t.enough.Load() {
		t.Worn()
	}
}

// Withhold has a worker get no more requests, takes back those it was offered, and closes its WebSockets; links are its own, one for each endpoint.
func (g *Group) Withhold(t *Target, links []*wire.Link) {
	t.draining.Store(true)
	g.Each(func(n int, e *Endpoint) { e.withdraw(links[n]) })
}
