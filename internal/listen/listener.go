package listen

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

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
