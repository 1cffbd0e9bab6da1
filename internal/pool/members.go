package pool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/worker"
)

// roster is who belongs to the pool at the moment. Everything in it is under its lock, which is held for no longer than that takes.
type roster struct {
	mu      sync.Mutex
	members []*member    // those that are to be kept, in the order they came
	joining int          // those that are being started to join them
	taken   map[int]bool // numbers in names
	alive   []*instance  // every process, those that are started or drained too, in the order they came
	closed  bool         // the pool ends: nobody joins
}

// count is how many workers there are to be.
func (r *roster) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members) + r.joining
}

// all returns the members as they are now.
func (r *roster) all() []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.members)
}

// close lets nobody join any more.
func (r *roster) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// born notes a process.
func (r *roster) born(i *instance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bury()
	r.alive = append(r.alive, i)
}

// bury forgets processes that have ended. The roster must be locked.
func (r *roster) bury() {
	r.alive = slices.DeleteFunc(r.alive, func(i *instance) bool {
		select {
		case <-i.process.Done:
			return true
		default:
			return false
		}
	})
}

// instances returns every process there is, by name and age.
func (r *roster) instances() []*instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bury()
	all := slices.Clone(r.alive)
	slices.SortStableFunc(all, func(a, b *instance) int {
		return cmp.Or(cmp.Compare(len(a.target.Name), len(b.target.Name)), cmp.Compare(a.target.Name, b.target.Name))
	})
	return all
}

// newMember makes a member with the lowest number that is free. The roster must be locked.
func (p *Pool) newMember() *member {
	n := 1
	for p.roster.taken[n] {
		n++
	}
	p.roster.taken[n] = true
	return &member{
		pool: p, number: n, name: fmt.Sprintf("worker-%d", n), replace: make(chan replacement, 1),
		stuck: make(chan wish, 1), worn: make(chan wish, 1),
		leave: make(chan struct{}), gone: make(chan struct{}),
	}
}

// Why the number of workers stays as it is.
var (
	ErrFewest = errors.New("there is only one worker")
	ErrMost   = errors.New("there are as many workers as fit")
)

// Grow adds a worker, and returns when it is ready; it gets requests from then on. If it can't be started, nothing has changed.
func (p *Pool) Grow() (name string, err error) {
	p.loading.Lock()
	defer p.loading.Unlock()
	r := &p.roster
	r.mu.Lock()
	if r.closed || len(r.members)+r.joining >= p.opts.MaxWorkers {
		defer r.mu.Unlock()
		if r.closed {
			return "", errStopped
		}
		return "", ErrMost
	}
	m := p.newMember()
	r.joining++
	ready := make(chan error, 1)
	p.done.Go(func() { m.join(ready) }) // ends by Shrink or Stop; Stop waits only once the roster is closed
	r.mu.Unlock()
	return m.name, <-ready
}

// join starts a member, and keeps it once it is ready.
func (m *member) join(ready chan<- error) {
	defer m.quit()
	r := &m.pool.roster
	i, err := m.next()
	if err == nil {
		m.adopt(i)
	}
	r.mu.Lock()
	r.joining--
	if err == nil {
		r.members = append(r.members, m)
	}
	r.mu.Unlock()
	if u, ok := errors.AsType[*unready](err); ok && u.silent {
		u.speak()
	}
	ready <- err
	if err == nil && !m.attend() {
		m.run(nil)
	}
}

// Shrink retires the worker that joined last: it finishes what it has. Shrink returns when it is gone, with its name.
func (p *Pool) Shrink() (name string, err error) {
	r := &p.roster
	r.mu.Lock()
	last := len(r.members) - 1
	if last < 1 {
		r.mu.Unlock()
		return "", ErrFewest
	}
	m := r.members[last]
	r.members = slices.Delete(r.members, last, last+1)
	r.mu.Unlock()
	close(m.leave)
	<-m.gone
	return m.name, nil
}

// quit gives a member's name back.
func (m *member) quit() {
	m.pool.roster.mu.Lock()
	delete(m.pool.roster.taken, m.number)
	m.pool.roster.mu.Unlock()
	close(m.gone)
}

// leaving tells whether the member is to be no more.
func (m *member) leaving() bool {
	select {
	case <-m.leave:
		return true
	default:
		return false
	}
}

// Status is how a worker is.
type Status struct {
	Name    string
	PID     int
	State   worker.State
	Info    worker.Info
	Served  int64  // requests it was given
	Running int64  // of these, those it has
	Late    int64  // of these, past their deadline
	Sockets int64  // WebSockets it has, besides
	Said    string // what a program last said of itself
	Since   time.Time
}

// Status returns how the workers are: those that are started and drained, too.
func (p *Pool) Status() []Status {
	var all []Status
	for _, i := range p.roster.instances() {
		all = append(all, Status{
			Name: i.target.Name, PID: i.process.PID(), State: i.process.State(), Info: i.process.Info(),
			Served: i.target.Served(), Running: i.target.Running(), Late: i.target.Late(),
			Sockets: i.target.Sockets(), Said: i.process.Said(), Since: i.since,
		})
	}
	return all
}

// Queued is how many requests wait for a worker.
func (p *Pool) Queued() int64 { return p.group.Queued() }

// Stack is what a worker's threads do.
type Stack struct {
	Name string
	PID  int
	Text string // empty: it could not say
}

// Stacks asks the workers for their stacks, all or those of a name, at once.
func (p *Pool) Stacks(name string) []Stack {
	instances := slices.DeleteFunc(p.roster.instances(), func(i *instance) bool { return name != "" && i.target.Name != name })
	all := make([]Stack, len(instances))
	var wg sync.WaitGroup
	for n, i := range instances {
		wg.Go(func() { all[n] = Stack{i.target.Name, i.process.PID(), i.process.Stack()} })
	}
	wg.Wait()
	return all
}
