package worker

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// child is a process that this one waits for.
type child struct {
	pid int
	cmd *exec.Cmd // nil: a zygote forked it
}

// wait takes the end of the child, which has ended.
func (c child) wait() status {
	if c.cmd != nil {
		err := c.cmd.Wait()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			return status{err: err}
		}
		return status{wait: c.cmd.ProcessState.Sys().(syscall.WaitStatus)}
	}
	var s status
	for {
		if _, s.err = syscall.Wait4(c.pid, &s.wait, 0, nil); !errors.Is(s.err, syscall.EINTR) {
			return s
		}
	}
}

// status is how a process ended.
type status struct {
	wait syscall.WaitStatus
	err  error // it can't be said
}

func (s status) clean() bool { return s.err == nil && s.wait.Exited() && s.wait.ExitStatus() == 0 }

// String puts it into words.
func (s status) String() string {
	switch {
	case s.err != nil:
		return s.err.Error()
	case s.wait.Signaled():
		return "killed by " + unix.SignalName(s.wait.Signal())
	}
	return fmt.Sprintf("exit status %d", s.wait.ExitStatus())
}
