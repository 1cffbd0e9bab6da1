package listen

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Owned tells whether the file of a unix socket is this Socket's to remove.
func (s *Socket) Owned() bool { return s.file != fileID{} }

// Own makes the file at a unix socket's path this Socket's to remove.
func (s *Socket) Own() { s.file = identify(s.Path) }

// Disown leaves the path of a unix socket where it is when the socket is closed.
func (s *Socket) Disown() { s.file = fileID{} }

// Listener returns a net.Listener on a descriptor of its own, for who may wait: the socket itself stays the caller's to close.
func (s *Socket) Listener() (net.Listener, error) {
	fd, err := unix.FcntlInt(uintptr(s.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close() // the listener has yet another one
	return net.FileListener(f)
}
