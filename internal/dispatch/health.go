package dispatch

import (
	"time"
)

// Worker loops that stand still. A loop that runs one request for long takes nothing from its ring meanwhile. What had been put
// there before is taken back, and runs on a loop that takes.

// stallTime is how long a loop may take nothing of what lies in its ring: far above what a busy loop needs for a turn, far below
// what a client notices.
const stallTime = 2 * time.Millisecond

// standstill is what is known of a loop's progress.
type standstill struct {
	head    uint64    // how far it has read
	since   time.Time // for how long that has been so, while requests lie behind it
	waits   bool      // they do
	stalled bool      // for too long: it gets nothing until it reads on
}

// watchLinks looks which loops stand still, and takes back from them what another has a place for.
func (e *Endpoint) watchLinks() {
	for _, l := range e.links {
		if l.still.stalled {
			l.revived()
		} else if l.standsStill(e.loop.Now()) && e.hasPlaceBeside(l) {
			l.still.stalled = true
			l.takeBack()
		}
	}
}

// standsStill says whether the loop has taken nothing for too long.
func (l *link) standsStill(now time.Time) bool {
	l.refresh()
	head, _ := l.wire.Out.Consumed() // refresh has checked it
	waits := l.untaken.len() > 0
	if head != l.still.head || waits != l.still.waits {
		l.still = standstill{head: head, since: now, waits: waits}
	}
	return waits && now.Sub(l.still.since) >= stallTime
}

// revived looks whether a loop that stood still reads on.
func (l *link) revived() bool {
	head, err := l.wire.Out.Consumed()
	if l.check(err) || head == l.still.head {
		return false
	}
	l.still = standstill{head: head}
	return true
}

// hasPlaceBeside says whether another loop could run more.
func (e *Endpoint) hasPlaceBeside(l *link) bool {
	for _, other := range e.links {
		if other != l && other.hasPlace() {
			return true
		}
	}
	return false
}

// Wait is how long the loop may sleep at most before it looks at the links again: negative for ever.
func (e *Endpoint) Wait() time.Duration {
	if len(e.links) > 1 {
		for _, l := range e.links {
			if l.still.waits && !l.still.stalled {
				return stallTime
			}
		}
	}
	return -1
}

// Health of event loops. One that runs requests is pinged through its ring; one that has said nothing for too long, neither the
// answer nor anything else, does not turn: it is stuck. Threads are not asked: one that computes or waits is doing its work.

const (
	healthChecks = 4                      // in the time that a loop may be silent
	minHealth    = 100 * time.Millisecond // between two of them
)

// pulse is what is known of a loop's health.
type pulse struct {
	heard uint64    // what the link had heard when it was last pinged
	since time.Time // when that was
}

// watchHealth has the loops looked at as long as they run requests.
func (e *Endpoint) watchHealth() {
	if e.checking || e.group.Health <= 0 {
		return
	}
	e.checking = true
	e.loop.After(max(e.group.Health/healthChecks, minHealth), func() {
		e.checking = false
		busy := false
		for _, l := range e.links {
			busy = l.checkHealth(e.loop.Now()) || busy
		}
		if busy {
			e.watchHealth()
		}
	})
}

// checkHealth pings a loop, or finds that it has been silent for too long. It reports whether the loop runs requests of this endpoint.
func (l *link) checkHealth(now time.Time) bool {
	if l.broken || l.target.Threaded || len(l.free) == len(l.slots) {
		l.pulse = pulse{}
		return false
	}
	switch {
	case l.pulse.since.IsZero() || l.heard != l.pulse.heard:
		l.pulse = pulse{heard: l.heard, since: now}
		l.ping()
	case now.Sub(l.pulse.since) >= l.endpoint.group.Health:
		l.pulse.since = now
		l.target.Stuck("its event loop has not turned for " + l.endpoint.group.Health.String())
	}
	return true
}
