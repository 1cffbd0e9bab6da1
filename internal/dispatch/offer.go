package dispatch

import (
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// Offers. A worker that runs one request at a time on each of its threads would wait for the server between two of them, and the
// server for the worker: two doorbells for each request. So the first requests of the queue are offered to it: their OPENs lie
// in its ring, unclaimed, and whichever thread is free takes the next at once. They wait all the same: they count as waiting, they
// expire, and as soon as another worker has a place, or the room is needed, they are taken back.

// MaxOffers is how many requests are offered to one worker loop: enough for both sides to work in batches.
const MaxOffers = 16

// offer puts a stream that waits, and that no worker has a place for, into the ring of the link that will come to it first. It
// reports false when none takes it.
func (e *Endpoint) offer(s *stream) bool {
	var best *link
	for _, l := range e.links {
		if l.takesOffer(len(s.open)) && (best == nil || l.ahead() < best.ahead()) {
			best = l
		}
	}
	if best == nil || !best.write(s) {
		return false
	}
	s.state = offered
	best.offered.push(s)
	e.offers++
	return true
}

// takesOffer says whether a request of n bytes may be offered to the link's worker.
func (l *link) takesOffer(n int) bool {
	return l.offered.len() < l.target.Offers && !l.broken && !l.target.draining.Load() && l.hasRoom(n)
}

// ahead is how many requests are in the ring that the worker has not taken.
func (l *link) ahead() int { return l.untaken.len() + l.offered.len() }

// promote gives the first offered stream a place: the worker has one for it, or has taken it already.
func (l *link) promote(s *stream) {
	l.offered.remove(s)
	l.endpoint.offers--
	l.endpoint.unwait()
	l.target.inFlight.Add(1)
	l.given(s)
}

// revoke takes a request back from the ring. It reports false if the worker has started it. The link must have been refreshed: where
// the worker has read, other frames may lie by now.
func (l *link) revoke(s *stream) bool {
	if !l.unsend(s) {
		return false
	}
	l.vacate(s)
	s.link, s.state = nil, queued
	return true
}

// unsend makes sure that the worker never starts a request whose OPEN is in the ring. It reports false if it has. The worker gives the
// room back when it looks: it must be told, since it may have read all that is there, and sleep, while what runs waits for room.
func (l *link) unsend(s *stream) bool {
	revoked := l.wire.Out.Revoke(s.end, len(s.open))
	l.revoked = l.revoked || revoked
	return revoked
}

// unoffer takes an offered stream back; it still counts as waiting. It reports false if the worker has started it.
func (l *link) unoffer(s *stream) bool {
	if l.refresh(); s.state != offered {
		return false
	}
	if !l.revoke(s) {
		s.took()
		return false
	}
	l.offered.remove(s)
	l.endpoint.offers--
	return true
}

// withdraw takes all offers back to the front of the queue.
func (l *link) withdraw() {
	var back []*stream
	for s := l.offered.front(); s != nil; s = l.offered.front() {
		if l.unoffer(s) {
			back = append(back, s)
		}
	}
	for i := len(back) - 1; i >= 0; i-- {
		l.endpoint.queue.pushFront(back[i])
	}
}

// expireOffers is expireQueue for what is offered.
func (e *Endpoint) expireOffers() {
	for _, l := range e.links {
		for s := l.offered.front(); s != nil && e.expired(s); s = l.offered.front() {
			if r := s.responder; l.unoffer(s) {
				e.unwait()
				e.recycle(s)
				r.Fail(exchange.QueueWait)
			}
		}
	}
}

// withdraw takes the offers of one link, whose worker is about to go, back and dispatches them anew.
func (e *Endpoint) withdraw(w *wire.Link) {
	if i := e.linkOf(w); i >= 0 {
		e.links[i].withdraw()
		e.links[i].closeSockets()
		e.pump()
	}
}

// longest returns the link whose first offer has waited longest.
func (e *Endpoint) longest() *link {
	var best *link
	for _, l := range e.links {
		if l.offered.len() > 0 && (best == nil || l.offered.front().since.Before(best.offered.front().since)) {
			best = l
		}
	}
	return best
}
