package worker

import (
	"errors"
	"os"
	"os/signal"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NewReaper makes this process the one that orphans of its descendants become children of, and reaps them as they end.
func NewReaper() *Reaper {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // without it orphans are init's, as ever
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	r := &Reaper{own: map[int]struct{}{}}
	r.stop = func() {
		signal.Stop(ended)
		close(ended)
	}
	go func() { // ends by Close
		for range ended {
			r.reap()
		}
	}()
	return r
}

// reap looks at the children that have ended, without taking them, and takes strangers. One of our own hides what is behind it
// until its Wait has taken it; then ended looks again.
func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.adopting == 0 {
		pid := peek(unix.P_ALL, 0, unix.WNOHANG)
		if _, ours := r.own[pid]; ours || pid == 0 {
			return
		}
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
	}
}

// awaitExit returns when the child has ended. It is still to be waited for.
func awaitExit(pid int) { peek(unix.P_PID, pid, 0) }

// isChild says whether a process is a child of this one, alive or not yet waited for, that leads a process group.
func isChild(pid int) bool {
	if pid <= 1 {
		return false
	}
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil); err != nil {
		return false
	}
	group, err := unix.Getpgid(pid)
	return err == nil && group == pid
}

// peek returns the id of a child that has ended, without taking it; 0 if there is none.
func peek(kind, id, options int) int {
	var info unix.Siginfo
	for {
		err := unix.Waitid(kind, id, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if err == nil {
			return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), pidOffset)))
		}
		if !errors.Is(err, unix.EINTR) {
			return 0
		}
	}
}

// pidOffset is where si_pid is in a siginfo_t: behind three ints and what aligns the union.
const pidOffset = 16
