package outbound

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/client"
	"github.com/awaitd/awaitd/internal/wire"
)

// maxStreams is how many requests of one event loop may be under way.
const maxStreams = 1 << 16

// link is a link with its streams. One goroutine reads it; each stream has one that writes to it, under a lock.
type link struct {
	session *session
	wire    *wire.Link
	bell    *wire.Bell // of the program's loop
	door    *os.File   // where the program rings
	scratch wire.Scratch

	mu      sync.Mutex // all that follows, and wire.Out
	room    sync.Cond  // something may have changed for those who wait to write
	streams map[uint32]*stream
	over    bool
	running sync.WaitGroup
}

func newLink(n *session, w *wire.Link, bell *wire.Bell) (*link, error) {
	fd, err := unix.FcntlInt(uintptr(w.Doorbell()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	l := &link{session: n, wire: w, bell: bell, door: os.NewFile(uintptr(fd), "doorbell"), streams: map[uint32]*stream{}}
	l.room.L = &l.mu
	return l, nil
}

// stop ends run.
func (l *link) stop() {
	l.mu.Lock()
	l.over = true
	l.room.Broadcast()
	l.mu.Unlock()
	_ = l.door.Close()
}

// run reads the link until it is stopped, or the program breaks a rule.
func (l *link) run() {
	var count [8]byte
	for {
		if err := l.drain(); err != nil {
			l.session.violated(err)
			break
		}
		if !l.wire.In.Arm() {
			continue
		}
		_, err := l.door.Read(count[:])
		l.wire.In.Disarm()
		if err != nil {
			break
		}
		l.mu.Lock()
		l.room.Broadcast()
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.over = true
	for _, s := range l.streams {
		s.cancel()
	}
	l.room.Broadcast()
	l.mu.Unlock()
	_ = l.door.Close()
	l.running.Wait()
	l.wire.Close()
	l.bell.Close()
}

// framesPerRound is after how many frames their room is given back.
const framesPerRound = 64

// drain acts on all frames that are there.
func (l *link) drain() error {
	for n := 1; ; n++ {
		f, ok, err := l.wire.In.Next()
		if err == nil && ok {
			err = l.handle(f)
		}
		if err != nil {
			return err
		}
		if !ok || n%framesPerRound == 0 {
			l.wire.Release()
		}
		if !ok {
			return nil
		}
	}
}

func (l *link) handle(f wire.Frame) error {
	if f.Type == wire.Open {
		return l.open(f)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[f.Stream]
	if s == nil {
		return nil // it crossed the stream's end on the way
	}
	switch f.Type {
	case wire.Data:
		if uint64(f.Length) > uint64(len(f.Payload)) {
			return wire.Violation("a DATA frame's payload reaches past the frame")
		}
		return s.feed(f.Payload[:f.Length], f.Flags&wire.EndStream != 0)
	case wire.Window:
		const most = 1 << 30
		if f.Length == 0 || int64(f.Length)+int64(s.credit) > most {
			return wire.Violation("a WINDOW out of range")
		}
		s.credit += int(f.Length)
		l.room.Broadcast()
	case wire.Reset:
		delete(l.streams, s.id)
		s.cancel()
		l.room.Broadcast()
	default:
		return wire.Violation("a frame of a type that a client must not send")
	}
	return nil
}

// open begins a request.
func (l *link) open(f wire.Frame) error {
	call, err := l.scratch.Call(f)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams[f.Stream] != nil {
		return wire.Violation("an OPEN of a stream that is open")
	}
	s := newStream(l, f.Stream, call)
	c := l.session.client(call.Transport)
	if c == nil || len(l.streams) >= maxStreams {
		l.running.Go(func() {
			s.fail(&client.Error{Kind: client.LocalProtocolError, Text: "no such transport, or too many requests"})
		})
		return nil
	}
	l.streams[f.Stream] = s
	l.running.Go(func() { s.run(c) })
	return nil
}

// write sends a frame of a stream as soon as the ring has room, and takes bytes from the stream's credit. last ends the stream. It
// reports false if the stream has ended meanwhile.
func (l *link) write(s *stream, h wire.Header, payload []byte, last bool) bool {
	h.Stream = s.id
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.over || s.over {
			return false
		}
		ok, err := l.wire.Out.WriteParts(h, payload)
		if err != nil {
			l.over = true
			l.session.violated(err)
			return false
		}
		if ok {
			break
		}
		l.wire.Publish() // the program must see what is there before it can make room
		if room, err := l.wire.Out.Await(len(payload) + 2*wire.HeaderSize); err == nil && !room {
			l.room.Wait()
		}
	}
	if last {
		s.over = true
		delete(l.streams, s.id)
		if s.request.Body != nil {
			l.room.Broadcast() // nobody wants the rest of it
		}
	}
	l.wire.Publish()
	return true
}
