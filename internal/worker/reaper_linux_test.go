package worker

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/wire"
)

// orphan starts a process that nobody has announced to a reaper.
func orphan(t *testing.T, ownGroup bool, arguments ...string) *os.Process {
	t.Helper()
	cmd := exec.Command(arguments[0], arguments[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: ownGroup}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process
}

// spec: process 19
func TestTheExitStatusOfAnAdoptedProcessIsNotLostEvenIfItEndsAtOnce(t *testing.T) {
	r := NewReaper()
	defer r.Close()
	pid, err := r.adopt(func() (int, error) {
		p := orphan(t, true, "sh", "-c", "exit 7")
		awaitExit(p.Pid)
		r.reap() // as SIGCHLD has it do
		return p.Pid, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.reap()
	if s := (child{pid: pid}).wait(); s.String() != "exit status 7" || s.clean() {
		t.Fatalf("it ended with %v", s)
	}
	r.ended(pid)
	if len(r.own) != 0 {
		t.Fatalf("still noted: %v", r.own)
	}
}

// spec: process 19
func TestAZygoteCantNameAnyProcess(t *testing.T) {
	r := NewReaper()
	defer r.Close()
	own := exec.Command("sleep", "60")
	own.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.start(own); err != nil {
		t.Fatal(err)
	}
	ungrouped := orphan(t, false, "sleep", "60")
	defer func() {
		_ = ungrouped.Kill()
		_ = own.Process.Kill()
		_ = own.Wait()
	}()
	for name, pid := range map[string]int{
		"none": 0, "init": 1, "all": -1, "the server": os.Getpid(), "its parent": os.Getppid(), "a worker that is there": own.Process.Pid,
		"a process in the server's group": ungrouped.Pid,
	} {
		_, err := r.adopt(func() (int, error) { return pid, nil })
		if _, ok := errors.AsType[wire.Violation](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAdoptionThatFailsHoldsNothingUp(t *testing.T) {
	r := NewReaper()
	defer r.Close()
	if _, err := r.adopt(func() (int, error) { return 0, errNoFork }); !errors.Is(err, errNoFork) {
		t.Fatal(err)
	}
	p := orphan(t, true, "true")
	awaitExit(p.Pid)
	r.reap()
	if err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Fatalf("not reaped: %v", err)
	}
}
