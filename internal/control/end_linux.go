package control

import (
	"time"

	"golang.org/x/sys/unix"
)

// endTime bounds the wait for a process that has closed its descriptors: what is left of its end takes no time. The id may be of
// another namespace, and stand for somebody else here.
const endTime = time.Second

// awaitEnd waits until a process that is ending has ended.
func awaitEnd(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(endTime.Milliseconds()))
}
