package pool

import (
	"time"

	"github.com/awaitd/awaitd/internal/wire"
)

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
	if e.checking || e.pool.health <= 0 {
		return
	}
	e.checking = true
	e.loop.After(max(e.pool.health/healthChecks, minHealth), func() {
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
	if l.broken || l.target.threaded || len(l.free) == len(l.slots) {
		l.pulse = pulse{}
		return false
	}
	switch {
	case l.pulse.since.IsZero() || l.heard != l.pulse.heard:
		l.pulse = pulse{heard: l.heard, since: now}
		l.send(wire.Header{Type: wire.Ping}, make([]byte, 8))
	case now.Sub(l.pulse.since) >= l.endpoint.pool.health:
		l.pulse.since = now
		l.target.stuck("its event loop has not turned for " + l.endpoint.pool.health.String())
	}
	return true
}
