package worker

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// NewReaper returns nothing: macOS has no subreapers, and orphans are launchd's.
func NewReaper() *Reaper { return nil }

func (r *Reaper) reap() {}

func isChild(int) bool { return false }

// awaitExit returns when the child has ended. It is still to be waited for.
func awaitExit(pid int) {
	for !tellExit(pid) {
		time.Sleep(time.Second) // no descriptor left: the process must not be taken for dead
	}
}

// tellExit waits for the child's end. It reports false if it can't.
func tellExit(pid int) bool {
	kq, err := unix.Kqueue()
	if err != nil {
		return false
	}
	defer unix.Close(kq)
	event := unix.Kevent_t{Fflags: unix.NOTE_EXIT}
	unix.SetKevent(&event, pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	for {
		_, err = unix.Kevent(kq, []unix.Kevent_t{event}, make([]unix.Kevent_t, 1), nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil || errors.Is(err, unix.ESRCH) // it ended before
		}
	}
}
