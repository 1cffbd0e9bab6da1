package pool

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// Files that applications send by path. Opening one may wait for a disk or a network, so it happens on a goroutine of its own,
// never on the endpoint's; openers bounds how many there are.

// maxOpeners is how many files are opened at once: a stalled disk must not cost a thread for every request.
const maxOpeners = 64

// handleFile has a file opened, and then sent as the rest of the response's body.
func (l *link) handleFile(s *stream, f wire.Frame) error {
	r, err := wire.DecodeFile(f)
	switch {
	case err != nil:
		return err
	case !s.responded:
		return wire.Violation("FILE before HEAD")
	case f.Flags&wire.EndStream == 0:
		return wire.Violation("a FILE that does not end its stream")
	case r.Path == "":
		return wire.Violation("a FILE by a descriptor that was not passed")
	case s.opening:
		return wire.Violation("a second FILE on one stream")
	}
	s.opening = true
	e, id := l.endpoint, s.id
	go func() { // ends when the file is open
		e.pool.openers <- struct{}{}
		fd, err := openRegular(r.Path)
		<-e.pool.openers
		e.loop.Post(func() { l.opened(id, fd, r, err) })
	}()
	return nil
}

// opened goes on with a stream whose file is open, if it still is.
func (l *link) opened(id uint32, fd int, r wire.FileRequest, err error) {
	s := l.find(id)
	switch {
	case s == nil && err == nil:
		_ = unix.Close(fd)
	case s == nil:
	case err != nil:
		l.endpoint.pool.log.Error("can't send a file", "error", err, "worker", l.target.name)
		s.fail(exchange.AppError)
	default:
		s.state = over
		s.responder.File(exchange.File{Descriptor: fd, Offset: r.Offset, Count: r.Count})
		s.release()
	}
}

// openRegular opens a regular file; anything else, such as a FIFO, could stall whoever reads it.
func openRegular(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = os.ErrInvalid
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, &os.PathError{Op: "send", Path: path, Err: err}
	}
	return fd, nil
}
