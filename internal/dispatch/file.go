package dispatch

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
	"github.com/awaitd/awaitd/internal/worker"
)

// Files that applications send, by a descriptor that the worker passes over its control socket. Waiting for it, and looking at the
// file, which may wait for a disk or a network, happens on a goroutine of its own, never on the endpoint's; checks bounds how
// many look at once.

const (
	// maxChecks is how many files are looked at at once: a stalled disk must not cost a thread for every request.
	maxChecks = 64

	// comeTime is how long a descriptor may come after the FILE that names it. Workers pass it before.
	comeTime = 10 * time.Second
)

// handleFile has a file opened, and then sent as the rest of the response's body.
func (l *link) handleFile(s *stream, f wire.Frame) error {
	r, err := wire.DecodeFile(f)
	switch {
	case err != nil:
		return err
	case !s.answering():
		return wire.Violation("FILE before HEAD")
	case f.Flags&wire.EndStream == 0:
		return wire.Violation("a FILE that does not end its stream")
	case s.opening:
		return wire.Violation("a second FILE on one stream")
	}
	passed, err := l.target.Descriptors.Want(r.Token)
	if err != nil {
		return err
	}
	s.opening = true
	id := s.id
	go func() { // ends when the descriptor has come, or has not in time
		fd, err := l.endpoint.group.takeRegular(passed)
		l.endpoint.loop.Post(func() { l.opened(id, fd, r, err) })
	}()
	return nil
}

// skip lets go of what a frame of a stream that has ended brought along.
func (l *link) skip(f wire.Frame) error {
	if f.Type != wire.File {
		return nil
	}
	r, err := wire.DecodeFile(f)
	if err != nil {
		return err
	}
	return l.target.Descriptors.Drop(r.Token)
}

// opened goes on with a stream whose file is open, if it still is.
func (l *link) opened(id uint32, fd int, r wire.FileRequest, err error) {
	s := l.find(id)
	if _, ok := errors.AsType[wire.Violation](err); ok {
		l.check(err)
		return
	}
	switch {
	case s == nil && err == nil:
		_ = unix.Close(fd)
	case s == nil:
	case err != nil:
		l.endpoint.group.log.Error("can't send a file", "error", err, "worker", l.target.Name)
		s.fail(exchange.AppError)
	default:
		s.state = over
		s.responder.File(exchange.File{Descriptor: fd, Offset: r.Offset, Count: r.Count})
		s.release()
	}
}

// Why a file is not sent.
var (
	errNotRegular = errors.New("not a regular file")
	errGone       = errors.New("the worker is gone")
	errLost       = errors.New("its descriptor was lost: too many files are open")
)

const errNotPassed = wire.Violation("a FILE whose descriptor does not come")

// takeRegular waits for a descriptor that the worker passes, of a regular file.
func (s *Group) takeRegular(passed <-chan worker.Passed) (int, error) {
	timeout := time.NewTimer(comeTime)
	defer timeout.Stop()
	var fd worker.Passed
	select {
	case p, ok := <-passed:
		if !ok {
			return -1, errGone
		}
		fd = p
	case <-timeout.C:
		return -1, errNotPassed
	}
	if fd < 0 {
		return -1, errLost
	}
	s.checks <- struct{}{}
	defer func() { <-s.checks }()
	if err := checkRegular(int(fd)); err != nil {
		return -1, fmt.Errorf("a descriptor that was passed: %w", err)
	}
	return int(fd), nil
}

// checkRegular closes what is no regular file.
func checkRegular(fd int) error {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNotRegular
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return err
}
