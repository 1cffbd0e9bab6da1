package worker

import (
	"os/exec"
	"sync"

	"github.com/awaitd/awaitd/internal/wire"
)

// Reaper reaps the processes that nobody else would: what workers leave behind becomes the server's, a child subreaper, and as
// PID 1 of a container it gets those of everyone. It never reaps a process that somebody here waits for. A nil Reaper reaps nothing.
type Reaper struct {
	mu       sync.Mutex
	own      map[int]struct{} // ours, and not waited for yet
	adopting int              // processes that are to be ours, but whose ids are not known yet
	stop     func()
}

// start starts a command whose end only its own Wait may take.
func (r *Reaper) start(cmd *exec.Cmd) error {
	if r == nil {
		return cmd.Start()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		r.own[cmd.Process.Pid] = struct{}{}
	}
	return err
}

// errNoChild is an id that a zygote gave for the process it forked, and that it can't have.
const errNoChild = wire.Violation("a forked process that is no child of the server, or has no process group of its own")

// adopt has fork bring forth a process that becomes a child of this one, and whose end only who asked for it may take. Nothing is
// reaped until its id is known: it may have ended by then.
func (r *Reaper) adopt(fork func() (pid int, err error)) (pid int, err error) {
	r.mu.Lock()
	r.adopting++
	r.mu.Unlock()
	defer r.reap()
	pid, err = fork()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.adopting--
	if err != nil {
		return 0, err
	}
	if _, known := r.own[pid]; known || !isChild(pid) {
		return 0, errNoChild
	}
	r.own[pid] = struct{}{}
	return pid, nil
}

// Run starts a command that is no worker, and returns what waits for its end.
func (r *Reaper) Run(cmd *exec.Cmd) (wait func() error, err error) {
	if err := r.start(cmd); err != nil {
		return nil, err
	}
	return func() error {
		defer r.ended(cmd.Process.Pid)
		return cmd.Wait()
	}, nil
}

// ended notes that a child was waited for. Strangers that ended after it were hidden behind it.
func (r *Reaper) ended(pid int) {
	if r == nil {
		return
	}
	r.mu.Lock()
	delete(r.own, pid)
	r.mu.Unlock()
	r.reap()
}

// Close ends the reaping.
func (r *Reaper) Close() {
	if r != nil && r.stop != nil {
		r.stop()
	}
}
