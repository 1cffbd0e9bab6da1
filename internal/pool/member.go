package pool

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/dispatch"
	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/wire"
	"github.com/awaitd/awaitd/internal/worker"
)

// member is one place in the pool: a worker, and whoever replaces it.
type member struct {
	pool    *Pool
	number  int
	name    string
	replace chan replacement // asks for a new worker in place of the old
	stuck   chan wish        // asks for one in place of a worker that is stuck
	worn    chan wish        // or worn
	leave   chan struct{}    // closed when the pool is to do without it
	gone    chan struct{}    // closed when it does

	mu      sync.Mutex
	current *instance
	booting *worker.Process
}

// replacement is a wish for a new worker, forked by a zygote if there is one, and where its outcome goes.
type replacement struct {
	zygote *worker.Zygote
	done   chan<- error
}

// instance is one worker process with its links.
type instance struct {
	process *worker.Process
	python  worker.Interpreter
	target  *dispatch.Target
	bell    *wire.Bell
	links   []*wire.Link
	since   time.Time // it was started
}

// Backoff between a worker's unexpected end and the next: none after a healthy life, doubling for short ones.
const (
	healthyLife = 2 * time.Second
	minBackoff  = 100 * time.Millisecond
	maxBackoff  = 5 * time.Second
)

// run keeps a worker alive until the pool stops. ready is called once, when the first is ready.
func (m *member) run(ready func()) {
	backoff := time.Duration(0)
	for !m.pool.pausing(backoff) && !m.leaving() {
		i, err := m.next()
		if err != nil {
			if how, ok := hasFinished(err); ok {
				m.finish(how)
				if ready != nil {
					ready()
				}
				return
			}
			if again := m.pool.judge(err); again != nil {
				m.pool.fail(again)
				return
			}
			backoff = longer(backoff)
			m.sayUnready(err, backoff)
			continue
		}
		m.adopt(i)
		if ready != nil {
			ready()
			ready = nil
		}
		since := time.Now()
		if m.attend() {
			return
		}
		backoff = longer(backoff)
		if time.Since(since) > healthyLife {
			backoff = 0
		}
	}
}

// sayUnready logs why a worker did not come to be, and when the next is tried.
func (m *member) sayUnready(err error, next time.Duration) {
	u, _ := errors.AsType[*unready](err)
	what := "a worker ended before it was ready"
	if u.cause != nil {
		what = "a worker can't be started"
	}
	m.pool.opts.Log.Error(what, "worker", m.name, "how", u.ending.How, "next_after", next)
}

func longer(d time.Duration) time.Duration { return min(max(2*d, minBackoff), maxBackoff) }

// pausing waits for d and reports whether the pool stops.
func (p *Pool) pausing(d time.Duration) bool {
	select {
	case <-p.stop:
		return true
	default:
	}
	if d == 0 {
		return false
	}
	select {
	case <-p.stop:
		return true
	case <-time.After(d):
		return false
	}
}

// attend waits for the end of the current worker; in the meantime it may be replaced. It reports whether there is to be no other.
func (m *member) attend() (stopped bool) {
	for {
		i := m.instance()
		select {
		case <-m.pool.stop:
			m.retire(i, time.Until(m.pool.until))
			return true
		case <-m.leave:
			m.retire(i, m.pool.opts.Grace)
			return true
		case r := <-m.replace:
			r.done <- m.exchange(i, r.zygote)
		case w := <-m.stuck:
			if w.instance == i {
				m.unstick(i, w.why)
			}
		case w := <-m.worn:
			if w.instance == i {
				m.recycle(i, w.why)
			}
		case <-i.process.Done:
			how := i.process.Ending()
			m.remove(i)
			if how.Clean {
				m.finish(how.How)
				return true
			}
			m.pool.opts.Log.Error("a worker ended and is replaced", "worker", m.name, "pid", i.process.PID(), "how", how.How)
			return false
		}
	}
}

// next boots the worker that is needed now.
func (m *member) next() (*instance, error) {
	z, err := m.pool.zygote()
	if err != nil {
		return nil, err
	}
	return m.boot(z)
}

// exchange starts a new worker and retires the old one when the new one is ready.
func (m *member) exchange(old *instance, z *worker.Zygote) error {
	i, err := m.boot(z)
	if err != nil {
		return err
	}
	m.pool.succeed(z)
	m.adopt(i)
	m.pool.group.Withhold(old.target, old.links)                // before the reload is over: from then on, requests meet the new one
	m.pool.done.Go(func() { m.retire(old, m.pool.opts.Grace) }) // ends within the grace
	return nil
}

// renew is exchange with the zygote that there is, if workers are forked.
func (m *member) renew(old *instance) error {
	z, err := m.pool.zygote()
	if err != nil {
		return err
	}
	return m.exchange(old, z)
}

// unstick replaces a worker that does not go on. If it has other threads they finish what they do; else nothing it has can be saved.
func (m *member) unstick(i *instance, why string) {
	p := m.pool
	p.opts.Log.Error("a worker is stuck; this is what it does", "worker", m.name, "pid", i.process.PID(), "why", why)
	_, _ = io.WriteString(p.opts.Out, i.process.Stack())
	if i.target.Limit > 1 && i.target.Threaded {
		if m.renew(i) == nil {
			return
		}
	}
	i.process.Kill(why)
}

// boot starts a worker and waits until it is ready. If it can't, and the pool does not end, the error is an unready.
func (m *member) boot(z *worker.Zygote) (*instance, error) {
	p := m.pool
	i, err := m.start(z)
	if err != nil {
		return nil, unborn(err)
	}
	if err := p.awaitReady(i.process, i.python); err != nil {
		i.free()
		return nil, err
	}
	p.booted()
	return i, nil
}

// awaitReady waits until a process is ready. One that can't be any more has ended when it returns; if that is the process's own
// failure, the error is an unready.
func (p *Pool) awaitReady(process *worker.Process, python worker.Interpreter) error {
	timeout := time.NewTimer(p.opts.BootTimeout)
	defer timeout.Stop()
	select {
	case <-process.Ready:
		return nil
	case <-process.Done:
		return &unready{process.Ending(), process.Silent(), python, process.Speak, nil}
	case <-p.stop:
		p.abandon(process)
		return errStopped
	case <-timeout.C:
		process.Kill("not ready in time")
		<-process.Done
		late := worker.Ending{Fault: fault.StartTimeout(p.opts.Setup.What(), p.opts.BootTimeout), How: "killed: not ready in time"}
		return &unready{ending: late}
	}
}

// start makes the links and the process.
func (m *member) start(z *worker.Zygote) (*instance, error) {
	p := m.pool
	i := &instance{python: p.python(), since: time.Now()}
	if err := p.connect(i); err != nil {
		return nil, err
	}
	i.target = &dispatch.Target{Name: m.name, Descriptors: worker.NewDescriptors()}
	setup := p.opts.Setup
	setup.Name, setup.Workers = m.name, p.roster.count()
	var err error
	i.process, err = worker.Start(worker.Spec{
		Setup: setup, Python: i.python, Version: p.opts.Version, Environ: p.opts.Environ, Dir: p.opts.Dir,
		Out: p.opts.Out, Prefix: p.prefix(m.name), Log: p.opts.Log, Reaper: p.opts.Reaper,
		Descriptors: i.target.Descriptors,
		Loops:       i.loops(),
		Zygote:      z,
		Client:      p.opts.Client,
	})
	if err != nil {
		i.free()
		return nil, err
	}
	i.target.Violated = func(err error) {
		p.opts.Log.Error("a worker broke the rules of the wire and is killed", "worker", m.name, "error", err)
		i.process.Kill(err.Error())
	}
	i.target.Stuck = func(why string) { m.tell(m.stuck, i, why) }
	i.target.Worn = func() { m.tell(m.worn, i, fmt.Sprintf("%d requests", i.target.Served())) }
	m.mu.Lock()
	m.booting = i.process
	m.mu.Unlock()
	p.roster.born(i)
	return i, nil
}

// connect makes the links to all endpoints. A pool without endpoints, such as that of a program, has none.
func (p *Pool) connect(i *instance) (err error) {
	if p.group.Size() == 0 {
		return nil
	}
	if i.bell, err = wire.NewBell(); err != nil {
		return err
	}
	if i.links, err = p.links(i.bell); err != nil {
		i.bell.Close()
	}
	return err
}

// loops returns the worker's loops: one, if it has links.
func (i *instance) loops() []worker.Loop {
	if i.bell == nil {
		return nil
	}
	return []worker.Loop{{Bell: i.bell, Links: i.links}}
}

// tell asks for another worker in place of i, unless somebody has just done so.
func (m *member) tell(whom chan<- wish, i *instance, why string) {
	select {
	case whom <- wish{i, why}:
	default:
	}
}

// prefix is what stands before a worker's lines: its name, unless it is the only one.
func (p *Pool) prefix(name string) string {
	if p.roster.count() == 1 {
		return ""
	}
	return name + "  "
}

// adopt makes i the member's worker and has the endpoints give it requests.
func (m *member) adopt(i *instance) {
	p := m.pool
	kind := i.process.Info().Interface
	i.target.Limit, i.target.Offers = p.concurrency(kind)
	i.target.Threaded = kind == "wsgi"
	p.opts.Wear.bear(i.target)
	if w := &p.opts.Wear; w.Lifetime > 0 || w.RSS > 0 {
		go m.watchWear(i) // ends with the worker
	}
	m.mu.Lock()
	m.current, m.booting = i, nil
	m.mu.Unlock()
	p.group.Each(func(n int, e *dispatch.Endpoint) {
		if err := e.Add(i.links[n], i.target); err != nil {
			p.opts.Log.Error("can't watch a doorbell", "worker", m.name, "error", err)
			i.process.Kill("can't watch its doorbell")
		}
	})
}

// concurrency is how many exchanges a worker runs at once, and how many more it may be offered: none, if it would start them.
func (p *Pool) concurrency(kind string) (limit int64, offers int) {
	limit = int64(p.opts.LimitConcurrency)
	if kind != "wsgi" {
		if limit == 0 {
			limit = asyncConcurrency
		}
		return limit, 0
	}
	threads := int64(p.opts.Setup.Threads)
	if limit > 0 && limit < threads {
		return limit, 0
	}
	return threads, dispatch.MaxOffers
}

// remove takes a dead worker's links out of service.
func (m *member) remove(i *instance) {
	m.pool.group.Each(func(n int, e *dispatch.Endpoint) { e.Drop(i.links[n]) })
	i.bell.Close()
	i.target.Descriptors.Close()
	m.mu.Lock()
	if m.current == i {
		m.current = nil
	}
	m.mu.Unlock()
}

// drainTick is how often a draining worker's exchanges are counted, besides its own word.
const drainTick = 10 * time.Millisecond

// retire ends a worker in good order: nothing new, what runs is finished within the grace, then lifespan shutdown and exit.
func (m *member) retire(i *instance, grace time.Duration) {
	p := m.pool
	p.group.Withhold(i.target, i.links)
	i.process.Drain()
	i.awaitIdle(time.After(grace))
	i.process.Stop()
	select {
	case <-i.process.Done:
	case <-time.After(stopTime):
		p.opts.Log.Error("a worker did not stop in time and is killed", "worker", m.name, "pid", i.process.PID())
		i.process.Kill("it did not stop in time")
		<-i.process.Done
	}
	if e := i.process.Ending(); !e.Clean && e.Fault == nil {
		p.opts.Log.Warn("a worker did not end cleanly", "worker", m.name, "how", e.How)
	}
	m.remove(i)
}

// awaitIdle waits until the worker runs nothing, or its grace is over, or it has ended.
func (i *instance) awaitIdle(grace <-chan time.Time) {
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	drained := i.process.Drained
	for drained != nil || i.target.Running() > 0 {
		if late := i.target.Late(); late > 0 && i.target.Running() <= late {
			return // what is left has been answered for it, and may never end
		}
		select {
		case <-drained:
			drained = nil
		case <-tick.C:
		case <-grace:
			return
		case <-i.process.Done:
			return
		}
	}
}

// free closes what a worker that never served had.
func (i *instance) free() {
	for _, l := range i.links {
		l.Close()
	}
	i.bell.Close()
	i.target.Descriptors.Close()
}

func (m *member) instance() *instance {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.current
}

// kill ends the member's process, whatever it does.
func (m *member) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current != nil {
		m.current.process.Kill("the server stops at once")
	}
	if m.booting != nil {
		m.booting.Kill("the server stops at once")
	}
}

// unready is the end of a worker that never became ready.
type unready struct {
	ending worker.Ending
	silent bool // it never said a word
	python worker.Interpreter
	speak  func() // lets out what it printed before its first word
	cause  error  // why there was no process; nil if there was
}

// unborn is a worker that could not even be started.
func unborn(err error) *unready {
	u := &unready{ending: worker.Ending{How: err.Error()}, cause: err}
	u.ending.Fault, _ = errors.AsType[*fault.Fault](err)
	return u
}

// Error says how it ended, in the application's own words if there are any.
func (u *unready) Error() string {
	if u.ending.Fault != nil {
		return u.ending.Fault.Error()
	}
	return "the new worker ended before it was ready: " + u.ending.How
}

// Unwrap returns what is the user's to mend, if it is.
func (u *unready) Unwrap() error {
	if u.ending.Fault != nil {
		return u.ending.Fault
	}
	return nil
}
