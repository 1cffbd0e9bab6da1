package worker

import (
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What a worker's threads do, as Python's faulthandler sees it: a signal that no application takes has it write their stacks to a
// pipe of their own, even while its interpreter computes and lets nobody else in.

const (
	// stackSignal is a real-time signal without a name; the worker's side is in worker.py.
	stackSignal = syscall.Signal(42)

	// stackTime is how long the stacks are waited for, and stackQuiet how long for more of them.
	stackTime  = 300 * time.Millisecond
	stackQuiet = 30 * time.Millisecond

	// maxStack bounds their text.
	maxStack = 256 << 10
)

// stacks is the server's end of a worker's pipe.
type stacks struct {
	mu sync.Mutex // one question at a time
	r  *os.File
}

// Stack returns the Python stacks of the worker's threads; nothing if it can't say.
func (p *Process) Stack() string {
	s := &p.stacks
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := p.State(); state == Starting || s.r == nil || !p.signal(stackSignal) {
		return ""
	}
	var text strings.Builder
	b := make([]byte, 32<<10)
	for wait := stackTime; text.Len() < maxStack; wait = stackQuiet {
		if s.r.SetReadDeadline(time.Now().Add(wait)) != nil {
			break
		}
		n, err := s.r.Read(b)
		text.Write(b[:n])
		if err != nil {
			break
		}
	}
	return text.String()
}

// signal sends a signal to the worker, unless it is gone.
func (p *Process) signal(sig syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.gone && syscall.Kill(p.PID(), sig) == nil
}
