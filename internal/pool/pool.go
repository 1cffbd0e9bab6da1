// Package pool keeps the applications' worker processes alive: boot, replace, drain, stop. They get their requests from the
// endpoints of package dispatch, between their readiness and their draining.
//
// A member is a place in the pool, an instance the process that has it now. Each runs on goroutines that may wait; with the
// requests' path they share the counters of a dispatch.Target, and meet it in dispatch.Group.
package pool

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/dispatch"
	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/wire"
	"github.com/awaitd/awaitd/internal/worker"
)

// Options are a pool's settings.
type Options struct {
	Workers     int
	Preload     bool         // a zygote imports the application and forks the workers
	MaxWorkers  int          // that Grow may lead to
	Setup       worker.Setup // without Type, Name and Loops
	Search      worker.Search
	Interpreter worker.Interpreter
	Version     string
	Environ     []string
	Dir         string

	RingSize         int
	LimitConcurrency int // exchanges at once per worker; 0: by interface
	LimitQueue       int
	QueueWait        time.Duration
	Deadline         time.Duration // for a request until it is answered; 0 for none
	Health           time.Duration // the longest that an event loop may not turn; 0 for ever
	Wear             Wear
	Retry            bool // GET and HEAD run once more if their worker dies before it answers
	BootTimeout      time.Duration
	Grace            time.Duration // for a worker to finish what it has, when it is replaced

	// Client makes a worker's way to the HTTP client; nil: it has none.
	Client func() (*os.File, error)
	Out    io.Writer // workers' output
	Log    *slog.Logger
	Reaper *worker.Reaper
}

const (

	// asyncConcurrency is how many exchanges an asynchronous worker has at once by default: enough for any that mostly wait,
	// a bound for one whose database has stopped answering.
	asyncConcurrency = 1000

	// bootLimit is how many workers in a row may end before they are ready.
	bootLimit = 5

	// stopTime is how long a worker may take for its lifespan shutdown.
	stopTime = 10 * time.Second
)

// Pool is a set of workers with the endpoints that give them requests.
type Pool struct {
	group   *dispatch.Group
	opts    Options
	roster  roster
	fatal   chan error    // the first failure that ends the pool
	stop    chan struct{} // closed when it is to end
	until   time.Time     // what runs may go on until then; set before stop is closed
	once    sync.Once
	done    sync.WaitGroup
	preload preload
	loading sync.Mutex // one reload at a time, and nobody joins meanwhile: that one might run the old code

	mu          sync.Mutex
	interpreter worker.Interpreter
	boots       int  // in a row, without readiness
	served      bool // a worker was ready once
}

// New makes a pool. Endpoints are made next, then Start.
func New(o Options) *Pool {
	p := &Pool{opts: o, fatal: make(chan error, 1), stop: make(chan struct{}), interpreter: o.Interpreter}
	p.group = dispatch.NewGroup(dispatch.Limits{
		Frame: o.RingSize / 4, Queue: int64(o.LimitQueue),
		QueueWait: o.QueueWait, Deadline: o.Deadline, Health: o.Health, Retry: o.Retry, MessageCost: o.Setup.MessageCost,
	}, o.Log)
	p.roster.taken = map[int]bool{}
	for range o.Workers {
		p.roster.members = append(p.roster.members, p.newMember())
	}
	return p
}

// Endpoint makes the endpoint of a loop, before Start.
func (p *Pool) Endpoint(loop dispatch.Loop) *dispatch.Endpoint { return p.group.Endpoint(loop) }

// Start starts the workers and returns when all are ready, or with the reason why one can't be.
func (p *Pool) Start() error {
	ready := make(chan struct{}, p.opts.Workers)
	for _, m := range p.roster.all() {
		p.done.Go(func() { // ends by Shrink or Stop
			defer m.quit()
			m.run(func() { ready <- struct{}{} })
		})
	}
	for range p.opts.Workers {
		select {
		case <-ready:
		case err := <-p.fatal:
			p.fatal <- err
			return err
		case <-p.stop:
			return errStopped
		}
	}
	select {
	case err := <-p.fatal: // programs are done before they were ready
		p.fatal <- err
		return err
	default:
		return nil
	}
}

var errStopped = errors.New("stopped before the workers were ready")

// Fatal tells when the pool can't go on, and why.
func (p *Pool) Fatal() <-chan error { return p.fatal }

// fail ends the pool for a reason.
func (p *Pool) fail(err error) {
	select {
	case p.fatal <- err:
	default: // there was one before
	}
}

// Info returns what a ready worker said of itself, and the interpreter it runs on.
func (p *Pool) Info() (worker.Info, worker.Interpreter) {
	for _, m := range p.roster.all() {
		if i := m.instance(); i != nil {
			return i.process.Info(), p.python()
		}
	}
	return worker.Info{}, p.python()
}

// Reload replaces every worker with a new one, which is ready before the old one is drained. If one can't be started, the old
// workers stay, and the error says why.
func (p *Pool) Reload() error {
	p.loading.Lock()
	defer p.loading.Unlock()
	if !p.opts.Preload {
		return p.replaceAll(nil)
	}
	z, err := p.startZygote()
	if err != nil {
		return err
	}
	defer p.drop(z)
	return p.replaceAll(z)
}

// replaceAll has every member replace its worker with one that the zygote forks; without a zygote, that is started.
func (p *Pool) replaceAll(z *worker.Zygote) error {
	members := p.roster.all()
	errs := make([]chan error, len(members))
	for i, m := range members {
		errs[i] = make(chan error, 1)
		select {
		case m.replace <- replacement{z, errs[i]}:
		case <-m.gone:
		case <-p.stop:
			return errStopped
		}
	}
	var first error
	for i, c := range errs {
		select {
		case err := <-c:
			if first == nil {
				first = err
			}
		case <-members[i].gone: // no need of a new one
		case <-p.stop:
			return errStopped
		}
	}
	return first
}

// Refuse has the endpoints take no new requests.
func (p *Pool) Refuse() { p.group.Refuse() }

// Stop ends all workers: each finishes what it has within the grace, then runs its lifespan shutdown.
func (p *Pool) Stop(grace time.Duration) {
	p.once.Do(func() {
		p.roster.close()
		p.until = time.Now().Add(grace)
		close(p.stop)
	})
	p.done.Wait()
	p.endZygote()
}

// Kill ends all workers at once.
func (p *Pool) Kill() {
	for _, m := range p.roster.all() {
		m.kill()
	}
}

func (p *Pool) python() worker.Interpreter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interpreter
}

// judge decides about a worker that could not be started, or was never ready. It returns the error that ends the pool, or nil to
// try again.
func (p *Pool) judge(err error) error {
	u, ok := errors.AsType[*unready](err)
	if !ok {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.served && worker.IsShortage(u.cause) {
		return nil // for as long as it lasts
	}
	if u.silent && u.python.Package == "" {
		if p.interpreter.Package != "" {
			return nil // another worker's end has led to it meanwhile
		}
		with, ok, err := worker.Borrow(p.interpreter, p.opts.Search, p.opts.Version, p.opts.Reaper)
		if ok {
			p.interpreter = with
			return nil
		}
		if err != nil && !p.served {
			return err
		}
	}
	if u.silent {
		u.speak()
	}
	p.boots++
	switch {
	case u.ending.Fault != nil && !p.served:
		return u.ending.Fault // it would fail the same way again
	case p.boots < bootLimit:
		return nil
	case u.ending.Fault != nil:
		return u.ending.Fault
	case u.cause != nil:
		return u.cause
	}
	return fault.CrashLoop(p.opts.Setup.What(), p.boots, u.ending.How, "")
}

// booted notes that a worker became ready.
func (p *Pool) booted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.boots, p.served = 0, true
}

// links makes the links of one worker loop to all endpoints.
func (p *Pool) links(bell *wire.Bell) ([]*wire.Link, error) {
	var links []*wire.Link
	for range p.group.Size() {
		l, err := wire.NewLink(p.opts.RingSize, bell)
		if err != nil {
			for _, made := range links {
				made.Close()
			}
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}
