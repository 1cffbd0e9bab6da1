package worker

import (
	"os/exec"
	"sync"
)

// Reaper reaps the processes that nobody else would: what workers leave behind becomes the server's, a child subreaper, and as
// PID 1 of a container it gets those of everyone. It never reaps a process that os/exec waits for. A nil Reaper reaps nothing.
type Reaper struct {
	mu   sync.Mutex
	own  map[int]struct{} // started here and not waited for yet
	stop func()
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

// ended notes that a command was waited for. Strangers that ended after it were hidden behind it.
func (r *Reaper) ended(cmd *exec.Cmd) {
	if r == nil {
		return
	}
	r.mu.Lock()
	delete(r.own, cmd.Process.Pid)
	r.mu.Unlock()
	r.reap()
}

// Close ends the reaping.
func (r *Reaper) Close() {
	if r != nil && r.stop != nil {
		r.stop()
	}
}
