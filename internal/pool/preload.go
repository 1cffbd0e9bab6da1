package pool

import (
	"sync"

	"github.com/awaitd/awaitd/internal/worker"
)

// preload has the zygote that forks the workers. There is one, but for the time of a reload.
type preload struct {
	mu      sync.Mutex // held while a zygote starts: who needs it waits
	current *worker.Zygote
}

// zygote returns the zygote that forks workers; another one if it has ended; nil if workers are not to be forked.
func (p *Pool) zygote() (*worker.Zygote, error) {
	if !p.opts.Preload {
		return nil, nil
	}
	p.preload.mu.Lock()
	defer p.preload.mu.Unlock()
	if z := p.preload.current; z != nil && !z.Ended() {
		return z, nil
	}
	z, err := p.startZygote()
	if err != nil {
		return nil, err
	}
	p.preload.current = z
	return z, nil
}

// startZygote starts a zygote and waits until it has imported the application. If it can't, the error is an unready.
func (p *Pool) startZygote() (*worker.Zygote, error) {
	setup := p.opts.Setup
	setup.Name = "zygote"
	python := p.python()
	z, err := worker.StartZygote(worker.Spec{
		Setup: setup, Python: python, Version: p.opts.Version, Environ: p.opts.Environ, Dir: p.opts.Dir,
		Out: p.opts.Out, Prefix: p.prefix(setup.Name), Log: p.opts.Log, Reaper: p.opts.Reaper,
	})
	if err != nil {
		return nil, unborn(err)
	}
	if err := p.awaitReady(z.Process, python); err != nil {
		return nil, err
	}
	go p.attend(z) // ends with the zygote, or the pool
	return z, nil
}

// attend waits for the end of a zygote, and says it if nobody wanted it. The workers it forked are none of its concern.
func (p *Pool) attend(z *worker.Zygote) {
	select {
	case <-z.Done:
	case <-p.stop:
		return
	}
	if !p.dismissed(z) {
		p.opts.Log.Error("the zygote ended; there will be another for the next worker", "pid", z.PID(), "how", z.Ending().How)
	}
}

func (p *Pool) dismissed(z *worker.Zygote) bool {
	p.preload.mu.Lock()
	defer p.preload.mu.Unlock()
	return p.preload.current != z
}

// succeed makes a zygote the one that forks workers from now on, in place of another: one of its workers is ready.
func (p *Pool) succeed(z *worker.Zygote) {
	if z == nil {
		return
	}
	p.preload.mu.Lock()
	old := p.preload.current
	p.preload.current = z
	p.preload.mu.Unlock()
	if old != nil && old != z {
		old.Kill("another has taken its place")
	}
}

// drop ends a zygote, unless it is the one that forks the workers.
func (p *Pool) drop(z *worker.Zygote) {
	if z != nil && p.dismissed(z) {
		z.Kill("none of its workers became ready")
	}
}

// endZygote ends the zygote: no worker is needed any more.
func (p *Pool) endZygote() {
	p.preload.mu.Lock()
	defer p.preload.mu.Unlock()
	if z := p.preload.current; z != nil {
		z.Kill("the server stops")
		<-z.Done
	}
}
