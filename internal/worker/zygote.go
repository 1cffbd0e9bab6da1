package worker

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/wire"
)

// Zygote is a process that has imported the application and forks workers. Its Ready says that it has; it is never Draining.
type Zygote struct {
	*Process
	mu sync.Mutex // one worker at a time
}

// forked is what a zygote says of the worker it was to fork: the id, or why there is none.
type forked struct {
	PID     int    `json:"pid"`
	Message string `json:"message"`
}

// errNoFork is the reason why there is no new worker; another try, or another zygote, may lead to one.
var errNoFork = errors.New("the zygote can't fork")

// forkTime is how long a fork may take: the kernel copies the page tables of some gigabytes in tens of milliseconds.
const forkTime = 10 * time.Second

// StartZygote starts a zygote. It returns as soon as the process exists.
func StartZygote(spec Spec) (*Zygote, error) {
	if spec.Reaper == nil {
		return nil, &fault.Fault{
			Problem: "can't preload on this system: forked workers can't become the server's children",
			Hint:    "leave out `--preload`", Code: fault.Usage,
		}
	}
	spec.forked = make(chan forked, 1)
	p, err := Start(spec)
	if err != nil {
		return nil, err
	}
	return &Zygote{Process: p}, nil
}

// Ended says whether it has ended, or is about to.
func (z *Zygote) Ended() bool {
	z.Process.mu.Lock()
	defer z.Process.mu.Unlock()
	return z.gone || z.killed != ""
}

// fork has the zygote fork a worker that gets these ends: of its control socket, its output, its stacks.
func (z *Zygote) fork(ends [3]*os.File) (pid int, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	pid, err = z.spec.Reaper.adopt(func() (int, error) { return z.ask(ends) })
	if v, ok := errors.AsType[wire.Violation](err); ok {
		z.spec.Log.Error("a zygote broke the rules of the wire and is killed", "error", v)
		z.Kill(v.Error())
	}
	return pid, err
}

// ask has it fork, and returns the id it gives.
func (z *Zygote) ask(ends [3]*os.File) (pid int, err error) {
	descriptors := []int{int(ends[0].Fd()), int(ends[1].Fd()), int(ends[2].Fd())}
	if err := z.control.Send(simple{"fork"}, descriptors); err != nil {
		return 0, fmt.Errorf("%w: %w", errNoFork, err)
	}
	select {
	case f := <-z.spec.forked:
		if f.PID == 0 {
			return 0, fmt.Errorf("%w: %s", errBusy, f.Message)
		}
		return f.PID, nil
	case <-z.Done:
		return 0, fmt.Errorf("%w: it has ended", errNoFork)
	case <-time.After(forkTime):
		z.Kill("it did not fork in time")
		return 0, fmt.Errorf("%w: it takes too long", errNoFork)
	}
}

// hearZygote acts on one message of a zygote.
func (p *Process) hearZygote(m *said) error {
	switch m.Type {
	case "hello":
		return p.hearHello(&m.hello)
	case "preloaded":
		if !p.enter(saidReady) {
			return errors.New("it said preloaded out of turn")
		}
		close(p.Ready)
	case "failed":
		p.hearFailed(m)
	case "forked":
		select {
		case p.spec.forked <- forked{PID: m.PID, Message: m.Message}:
		default:
			return errors.New("it said forked out of turn")
		}
	}
	return nil
}
