package pool

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/worker"
)

// tries has a pool judge the same error up to n times. It returns how often it was to be tried again, and the error that ended it.
func tries(p *Pool, err error, n int) (again int, end error) {
	for again < n {
		if end = p.judge(err); end != nil {
			return again, end
		}
		again++
	}
	return again, nil
}

// spec: process 3
// spec: process 17
func TestWhatAPoolMakesOfAWorkerThatDidNotComeToBe(t *testing.T) {
	const many = 100
	descriptors := fmt.Errorf("socketpair: %w", syscall.EMFILE)
	python := fault.BadInterpreter("python", &os.PathError{Op: "exec", Path: "python", Err: syscall.ENOENT})
	processes := fault.BadInterpreter("python", &os.PathError{Op: "fork/exec", Path: "python", Err: syscall.EAGAIN})
	crash := &unready{ending: worker.Ending{How: "killed by SIGSEGV"}}
	broken := &unready{ending: worker.Ending{Fault: &fault.Fault{Problem: "can't import", Code: fault.Application}}}
	for name, c := range map[string]struct {
		err    error
		served bool
		again  int
		code   int
	}{
		"no descriptor, at first":             {unborn(descriptors), false, bootLimit - 1, fault.Runtime},
		"no descriptor, later":                {unborn(descriptors), true, many, 0},
		"no process, at first":                {unborn(processes), false, 0, fault.Usage},
		"no process, later":                   {unborn(processes), true, many, 0},
		"no memory, later":                    {unborn(os.NewSyscallError("mmap", syscall.ENOMEM)), true, many, 0},
		"no interpreter, at first":            {unborn(python), false, 0, fault.Usage},
		"no interpreter, later":               {unborn(python), true, bootLimit - 1, fault.Usage},
		"a crash":                             {crash, false, bootLimit - 1, fault.Application},
		"a crash, later":                      {crash, true, bootLimit - 1, fault.Application},
		"an application that can't be loaded": {broken, false, 0, fault.Application},
		"one that can't be loaded any more":   {broken, true, bootLimit - 1, fault.Application},
		"the end of the pool":                 {errStopped, true, 0, fault.Runtime},
	} {
		p := &Pool{served: c.served}
		if again, end := tries(p, c.err, many); again != c.again || fault.CodeOf(end) != c.code {
			t.Errorf("%s: tried again %d times, then %v (%d)", name, again, end, fault.CodeOf(end))
		}
	}
	p := &Pool{served: true}
	_, _ = tries(p, crash, bootLimit-1)
	_, _ = tries(p, unborn(descriptors), many)
	p.booted()
	if again, _ := tries(p, crash, many); again != bootLimit-1 {
		t.Errorf("after a worker was ready, %d", again)
	}
	if err := p.judge(unborn(errors.New("another"))); err == nil {
		t.Error("crashes and failed starts in a row are not counted together")
	}
}
