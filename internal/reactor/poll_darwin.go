package reactor

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// interest is what a descriptor is watched for: filters, and how.
type interest struct {
	write bool   // EVFILT_WRITE besides EVFILT_READ
	flags uint16 // EV_CLEAR makes a filter edge-triggered
}

var (
	// A connection is watched once, for all, edge-triggered.
	interestConn = interest{write: true, flags: unix.EV_CLEAR}
	// A listener is level-triggered: accept may stop early. Every reactor wakes for it; one of them gets the connection.
	interestListener = interest{}
	// A doorbell is a pipe, which quiet empties.
	interestBell = interest{flags: unix.EV_CLEAR}
)

const (
	maxEvents = 256        // taken per poll
	wakeSlot  = ^uint32(0) // the id of the poller's own event, which no table entry has
	wakeIdent = 0          // its name among the user events of the queue
)

// poller is a kqueue, and a user event by which other goroutines end its wait.
type poller struct {
	queue   int
	list    []unix.Kevent_t
	watched map[int]*mark // by descriptor; keeps what the kernel points to alive
	bell    *mark
}

// mark is what the kernel gives back with an event. Each registration has its own, so that an event for a closed descriptor is
// never taken for one of its successor.
type mark struct{ id, gen uint32 }

func (p *poller) open() error {
	fd, err := unix.Kqueue()
	if err != nil {
		return os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(fd)
	p.queue, p.list, p.watched = fd, make([]unix.Kevent_t, maxEvents), map[int]*mark{}
	p.bell = &mark{id: wakeSlot}
	return p.change(unix.Kevent_t{Ident: wakeIdent, Filter: unix.EVFILT_USER, Flags: unix.EV_ADD | unix.EV_CLEAR, Udata: p.bell.pointer()})
}

// pointer is the mark as the kernel keeps it.
func (m *mark) pointer() *byte { return (*byte)(unsafe.Pointer(m)) }

func (p *poller) close() { _ = unix.Close(p.queue) }

func (p *poller) change(changes ...unix.Kevent_t) error {
	_, err := unix.Kevent(p.queue, changes, nil, nil)
	return os.NewSyscallError("kevent", err)
}

// add watches fd; id and gen come back with its events.
func (p *poller) add(fd int, id, gen uint32, in interest) error {
	m := &mark{id, gen}
	changes := []unix.Kevent_t{{Ident: uint64(fd), Filter: unix.EVFILT_READ, Flags: unix.EV_ADD | in.flags, Udata: m.pointer()}}
	if in.write {
		changes = append(changes, unix.Kevent_t{
			Ident: uint64(fd), Filter: unix.EVFILT_WRITE, Flags: unix.EV_ADD | in.flags, Udata: m.pointer(),
		})
	}
	p.watched[fd] = m // an entry of a descriptor that was closed without remove is replaced here
	return p.change(changes...)
}

func (p *poller) remove(fd int) {
	for _, filter := range []int16{unix.EVFILT_READ, unix.EVFILT_WRITE} {
		_ = p.change(unix.Kevent_t{Ident: uint64(fd), Filter: filter, Flags: unix.EV_DELETE})
	}
	delete(p.watched, fd)
}

// wake ends a wait in progress, or the next.
func (p *poller) wake() {
	_ = p.change(unix.Kevent_t{Ident: wakeIdent, Filter: unix.EVFILT_USER, Fflags: unix.NOTE_TRIGGER, Udata: p.bell.pointer()})
}

// look returns how many events there are now, without waiting.
func (p *poller) look() int { return p.wait(0) }

// poll waits at most timeout for events (0: not at all, negative: for ever) and returns how many there are.
func (p *poller) wait(timeout time.Duration) int {
	var limit *unix.Timespec
	if timeout >= 0 {
		ts := unix.NsecToTimespec(int64(timeout))
		limit = &ts
	}
	n, err := unix.Kevent(p.queue, nil, p.list, limit)
	if err != nil {
		return 0 // EINTR: the next turn looks again
	}
	return n
}

// event returns the i-th event of the last poll.
func (p *poller) event(i int) (id, gen uint32, ev events) {
	e := &p.list[i]
	m := (*mark)(unsafe.Pointer(e.Udata))
	ended := e.Flags&unix.EV_EOF != 0
	switch {
	case e.Flags&unix.EV_ERROR != 0, ended && e.Fflags != 0: // Fflags is the socket's error
		ev = failed
	case e.Filter == unix.EVFILT_WRITE:
		ev = writable // also after our own shutdown: who writes finds out
	case ended:
		ev = readable | hangup
	default:
		ev = readable
	}
	return m.id, m.gen, ev
}

// quiet empties a doorbell's pipe.
func quiet(fd int) {
	var b [512]byte
	for {
		if n, err := unix.Read(fd, b[:]); n < len(b) && err != unix.EINTR {
			return
		}
	}
}
