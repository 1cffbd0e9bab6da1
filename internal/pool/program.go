package pool

import (
	"errors"
	"slices"
	"time"

	"github.com/awaitd/awaitd/internal/worker"
)

// Programs (worker.Program) live as workers do, but for their end: one that has finished, by itself and well, is not replaced, and
// when all have, the pool ends.

// ErrFinished is the end of a pool whose programs have all finished.
var ErrFinished = errors.New("every program has finished")

// hasFinished says whether a process ended well before it was ready, and how.
func hasFinished(err error) (how string, ok bool) {
	u, ok := errors.AsType[*unready](err)
	if !ok {
		return "", false
	}
	return u.ending.How, u.ending.Clean
}

// finish has the pool do without a member, whose program has finished.
func (m *member) finish(how string) {
	m.pool.opts.Log.Info("a program has finished, and is not started again", "worker", m.name, "how", how)
	r := &m.pool.roster
	r.mu.Lock()
	r.members = slices.DeleteFunc(r.members, func(other *member) bool { return other == m })
	none := len(r.members)+r.joining == 0
	r.mu.Unlock()
	if none {
		m.pool.fail(ErrFinished)
	}
}

// abandon ends a process that is not ready while the pool ends. A program is asked first, and has its time: it may be at work already.
func (p *Pool) abandon(process *worker.Process) {
	if p.opts.Setup.Program != nil {
		process.Drain()
		select {
		case <-process.Done:
		case <-time.After(time.Until(p.until)):
		}
	}
	process.Kill("the server stops")
	<-process.Done
}
