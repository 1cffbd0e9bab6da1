package reactor

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// interest is what a descriptor is watched for.
type interest uint32

const (
	// A connection is watched once, for all, edge-triggered: no further epoll_ctl in its life.
	interestConn interest = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	// A listener is in every reactor's epoll; one connection wakes one reactor. Level-triggered: accept may stop early.
	interestListener interest = unix.EPOLLIN | unix.EPOLLEXCLUSIVE
	// A doorbell is never read: each write to an eventfd is a new edge.
	interestBell interest = unix.EPOLLIN | unix.EPOLLET
)

const (
	maxEvents = 256        // taken per poll
	wakeSlot  = ^uint32(0) // the id of the poller's own bell, which no table entry has
)

// poller is epoll, and an eventfd by which other goroutines end its wait.
type poller struct {
	epoll, bell int
	list        []epollEvent
}

// epollEvent is struct epoll_event with its 64 bits of user data as two words.
type epollEvent = unix.EpollEvent

func (p *poller) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(fd)
		return os.NewSyscallError("eventfd", err)
	}
	p.epoll, p.bell, p.list = fd, bell, make([]epollEvent, maxEvents)
	return p.add(bell, wakeSlot, 0, interestBell)
}

func (p *poller) close() {
	_ = unix.Close(p.bell)
	_ = unix.Close(p.epoll)
}

// add watches fd; id and gen come back with its events.
func (p *poller) add(fd int, id, gen uint32, in interest) error {
	ev := unix.EpollEvent{Events: uint32(in), Fd: int32(id), Pad: int32(gen)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &ev))
}

func (p *poller) remove(fd int) { _ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil) }

// wake ends a wait in progress, or the next.
func (p *poller) wake() {
	one := [8]byte{1}
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.bell), uintptr(unsafe.Pointer(&one)), 8)
}

// look returns how many events there are now. It waits for nothing, so it bypasses Go's scheduler.
func (p *poller) look() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.list[0])), maxEvents,
		0, 0, 0)
	return count(n, errno)
}

// wait waits at most timeout for events (negative: for ever) and returns how many there are. Go's scheduler is told: the wait
// must not hold a processor. (Hiding short waits from it was tried: it gained little under load, and cost six times the CPU at 20
// requests/s, since its monitor keeps looking at a processor that seems busy.)
func (p *poller) wait(timeout time.Duration) int {
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.list[0])), maxEvents,
		milliseconds(timeout), 0, 0)
	return count(n, errno)
}

// count is the number of events of a system call; EINTR is none: the next turn looks again.
func count(n uintptr, errno unix.Errno) int {
	if errno != 0 {
		return 0
	}
	return int(n)
}

// milliseconds rounds a timeout up as epoll wants it.
func milliseconds(d time.Duration) uintptr {
	if d < 0 {
		return ^uintptr(0)
	}
	return uintptr((d + time.Millisecond - 1) / time.Millisecond)
}

// event returns the i-th event of the last poll.
func (p *poller) event(i int) (id, gen uint32, ev events) {
	e := &p.list[i]
	if e.Events&unix.EPOLLIN != 0 {
		ev |= readable
	}
	if e.Events&unix.EPOLLOUT != 0 {
		ev |= writable
	}
	if e.Events&unix.EPOLLRDHUP != 0 {
		ev |= hangup
	}
	if e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		ev |= failed
	}
	return uint32(e.Fd), uint32(e.Pad), ev
}

// quiet does what a doorbell needs after it rang: nothing, each write is a new edge.
func quiet(int) {}
