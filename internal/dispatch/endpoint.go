package dispatch

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// Loop is the event loop that an endpoint lives on: a reactor, or the gateway's.
type Loop interface {
	// Post has f called on the loop's goroutine, from any goroutine.
	Post(f func())
	// Watch has f called on the loop's goroutine whenever fd becomes readable.
	Watch(fd int, f func()) (stop func(), err error)
	// After has f called on the loop's goroutine, once, after d.
	After(d time.Duration, f func())
	// Now is the time at the start of the loop's turn.
	Now() time.Time
}

// Endpoint is one event loop's door to the applications: it owns a link to every worker loop, the streams on them, and the
// requests that wait. It implements exchange.Application, and reactor.Source for its rings. All of it is touched by the loop's
// goroutine alone; what it shares with other endpoints are a few counters.
type Endpoint struct {
	loop     Loop
	group    *Group
	links    []*link
	queue    fifo // requests that wait for a worker
	attached []*attachment
	offers   int          // requests that wait and are offered to one
	waiting  atomic.Int64 // how many that is together, for other endpoints to see
	timing   bool         // a look at the queue's wait limit is due
	running  runs         // what must be answered in time
	watching bool         // a look at it is due
	checking bool         // a look at the loops' health is due
	scratch  wire.Scratch
	response exchange.Response // the one that is being passed on: it would escape to the heap for each request

	acceptance exchange.Acceptance // likewise
	threaded   bool                // the workers know plain requests only
	spare      []*stream
	frames     [][]byte // memory for frames that wait for room in a ring
	broadcasts uint64   // so far
	ticket     uint64   // counts dispatches: the higher, the more recent
}

// Limits of one turn, so that neither one link nor all of them starve the connections.
const (
	framesPerTurn = 256
	keepStreams   = 1024
	keepFrames    = 32 // of 64 KiB at most
)

// Poll handles what workers have sent.
func (e *Endpoint) Poll() int {
	n := 0
	for _, l := range e.links {
		n += l.poll(framesPerTurn)
	}
	return n
}

// Flush shows workers what was written to their rings. What waits is looked at once more: a worker may have made room, and a
// place that another endpoint freed just before the request was counted as waiting was announced to nobody.
func (e *Endpoint) Flush() {
	if len(e.links) > 1 {
		e.watchLinks()
	}
	if e.waits() {
		e.pump()
		e.awaitRoom()
	}
	for _, l := range e.links {
		l.flush()
	}
}

// awaitRoom has the workers ring when they have made room for the first request that waits.
func (e *Endpoint) awaitRoom() {
	s := e.queue.front()
	if s == nil {
		return
	}
	room := false
	for _, l := range e.links {
		room = l.awaitRoom(len(s.open)) || room
	}
	if room {
		e.pump()
	}
}

// Arm says that the loop is about to sleep.
func (e *Endpoint) Arm() bool {
	for i, l := range e.links {
		if !l.broken && !l.wire.In.Arm() {
			for _, armed := range e.links[:i] {
				armed.wire.In.Disarm()
			}
			return false
		}
	}
	return true
}

// Disarm says that the loop is awake.
func (e *Endpoint) Disarm() {
	for _, l := range e.links {
		l.wire.In.Disarm()
	}
}

// Open hands a request to the least busy worker loop, or puts it into the queue.
func (e *Endpoint) Open(req *exchange.Request, r exchange.Responder) (exchange.Stream, exchange.Reason) {
	if e.group.stopping.Load() {
		return nil, exchange.Stopping
	}
	s := e.newStream(r)
	open, taken, err := wire.AppendOpen(s.open, e.group.Frame, 0, req, uint32(req.Window))
	s.open, s.window = open, req.Window
	if err != nil {
		e.recycle(s)
		return nil, exchange.HeadTooLarge
	}
	req.Body = req.Body[taken:]
	s.repeatable = e.group.Retry && isIdempotent(req)
	s.kind = req.Kind
	if !e.waits() && e.dispatch(s) {
		return s, exchange.None
	}
	if !e.group.enter() {
		e.recycle(s)
		return nil, exchange.Overloaded
	}
	s.since = e.loop.Now()
	e.waiting.Add(1)
	if e.queue.len() > 0 || !e.offer(s) {
		e.queue.push(s)
	}
	e.watchQueue()
	return s, exchange.None
}

// Takes says whether the newest worker knows a kind of exchange.
func (e *Endpoint) Takes(kind exchange.Kind) bool {
	return kind == exchange.HTTP || !e.threaded
}

// isIdempotent says whether a request may be run again by a server (RFC 9110 §9.2.2), all of it being here.
func isIdempotent(req *exchange.Request) bool {
	method := string(req.Method.Of(req.Buf))
	return (method == "GET" || method == "HEAD") && req.End && len(req.Body) == 0
}

// waits says whether any request waits.
func (e *Endpoint) waits() bool { return e.offers > 0 || e.queue.len() > 0 }

// unwait counts out a request that waited.
func (e *Endpoint) unwait() {
	e.waiting.Add(-1)
	e.group.leave()
}

// dispatch sends a stream's OPEN to the best link. It reports false when none has room.
func (e *Endpoint) dispatch(s *stream) bool {
	l := e.pick(s)
	if l == nil {
		return false
	}
	return l.start(s)
}

// pick chooses the link for a stream: the one with the fewest requests not yet taken (a worker that is blocked takes none), then with
// the fewest in flight, then the one used last, whose caches are warm; for a WebSocket or TCP connection first of all the one whose
// worker has the fewest of everything.
func (e *Endpoint) pick(s *stream) *link {
	var best *link
	for _, l := range e.links {
		if l.open(len(s.open)) && !(s.upgrades() && l.target.Threaded) && (best == nil || l.before(best, s)) {
			best = l
		}
	}
	return best
}

// pump dispatches what waits, as far as there are places, and offers what still waits. It runs whenever a stream has ended or a
// worker has become ready.
func (e *Endpoint) pump() {
	for _, l := range e.links {
		for s := l.offered.front(); s != nil && l.hasPlace(); s = l.offered.front() {
			l.promote(s)
		}
	}
	for e.dispatchNext() {
	}
	for s := e.queue.front(); s != nil && e.offer(s); s = e.queue.front() {
		e.queue.pop()
	}
}

// dispatchNext gives the request that has waited longest to a worker that has a place for it, even if it was offered to another.
func (e *Endpoint) dispatchNext() bool {
	if from := e.longest(); from != nil {
		s := from.offered.front()
		switch {
		case e.pick(s) == nil:
			return false
		case !from.unoffer(s):
			return true
		}
		e.queue.pushFront(s)
	}
	s := e.queue.front()
	if s == nil || !e.dispatch(s) {
		return false
	}
	e.queue.pop()
	e.unwait()
	return true
}

// unqueue ends a stream in the queue.
func (e *Endpoint) unqueue(s *stream) {
	e.queue.remove(s)
	e.unwait()
	e.recycle(s)
}

// queueTick is how often the wait of queued requests is looked at.
const queueTick = 100 * time.Millisecond

// watchQueue has the wait limit looked at as long as requests wait.
func (e *Endpoint) watchQueue() {
	if e.timing || e.group.QueueWait <= 0 {
		return
	}
	e.timing = true
	e.loop.After(queueTick, func() {
		e.timing = false
		e.expireOffers()
		e.expireQueue()
		if e.waits() {
			e.watchQueue()
		}
	})
}

// expireQueue fails the requests that have waited too long. The first in the queue has waited longest.
func (e *Endpoint) expireQueue() {
	for s := e.queue.front(); s != nil && e.expired(s); s = e.queue.front() {
		r := s.responder
		e.unqueue(s)
		r.Fail(exchange.QueueWait)
	}
}

// expired says whether a stream has waited too long.
func (e *Endpoint) expired(s *stream) bool { return e.loop.Now().Sub(s.since) > e.group.QueueWait }

// newStream takes a stream object for a responder.
func (e *Endpoint) newStream(r exchange.Responder) *stream {
	var s *stream
	if n := len(e.spare); n > 0 {
		s, e.spare = e.spare[n-1], e.spare[:n-1]
	} else {
		s = &stream{}
	}
	s.endpoint, s.responder, s.state = e, r, queued
	return s
}

// recycle takes a stream object back. The memory of a large OPEN is let go.
func (e *Endpoint) recycle(s *stream) {
	open := s.open[:0]
	if cap(open) > keepOpen {
		open = nil
	}
	*s = stream{open: open, state: over}
	if len(e.spare) < keepStreams {
		e.spare = append(e.spare, s)
	}
}

// frame returns memory for a frame that has to wait.
func (e *Endpoint) frame() []byte {
	if n := len(e.frames); n > 0 {
		b := e.frames[n-1]
		e.frames = e.frames[:n-1]
		return b[:0]
	}
	return nil
}

// keepFrame takes that memory back.
func (e *Endpoint) keepFrame(b []byte) {
	if len(e.frames) < keepFrames {
		e.frames = append(e.frames, b)
	}
}

// Add puts a link to a worker loop that is ready into service.
func (e *Endpoint) Add(w *wire.Link, t *Target) error {
	l := &link{endpoint: e, wire: w, target: t}
	stop, err := e.loop.Watch(w.Doorbell(), func() {})
	if err != nil {
		return err
	}
	l.unwatch = stop
	e.links = append(e.links, l)
	e.threaded = t.Threaded
	for _, a := range e.attached {
		l.attach(a)
	}
	e.pump()
	return nil
}

// Drop takes a link out of service, its worker being gone: what had been answered is passed on, requests that had not been
// started run elsewhere, the others fail.
func (e *Endpoint) Drop(w *wire.Link) {
	i := e.linkOf(w)
	if i < 0 {
		w.Close() // it was never in service
		return
	}
	l := e.links[i]
	e.links = append(e.links[:i:i], e.links[i+1:]...)
	l.close()
	e.pump()
}

// linkOf finds a link by its memory; -1 if it is not in service.
func (e *Endpoint) linkOf(w *wire.Link) int {
	return slices.IndexFunc(e.links, func(l *link) bool { return l.wire == w })
}
