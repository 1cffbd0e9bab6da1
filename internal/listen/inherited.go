package listen

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Inherited takes over a listening stream socket, or one of UDP, that the process was started with. The path of a unix socket stays its
// maker's.
func Inherited(fd int, datagrams bool) (*Socket, error) {
	kind, err := kindOf(fd)
	switch {
	case err != nil:
	case datagrams:
		err = checkDatagrams(fd, kind)
	default:
		err = checkStream(fd, kind)
	}
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return inspect(&Socket{FD: fd, Datagram: datagrams})
}

// Kept is Inherited for a socket that is passed on: it may be one for datagrams, too. Whether it blocks is for those to say who
// have it, and the same for all.
func Kept(fd int) (*Socket, error) {
	kind, err := kindOf(fd)
	if err == nil && kind != unix.SOCK_DGRAM {
		err = checkStream(fd, kind)
	}
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	return inspect(&Socket{FD: fd, Datagram: kind == unix.SOCK_DGRAM})
}

// Block has accept wait, for a program that is given the socket and may expect it.
func (s *Socket) Block() error { return unix.SetNonblock(s.FD, false) }

// kindOf returns the type of a socket that was passed. A descriptor that is close-on-exec was opened by this process, which may
// have given it the number that somebody has forgotten to pass.
func kindOf(fd int) (kind int, err error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil && flags&unix.FD_CLOEXEC != 0 {
		err = unix.EBADF
	}
	if errors.Is(err, unix.EBADF) {
		return 0, &Error{
			Problem: fmt.Sprintf("no descriptor %d was passed to this process", fd), Err: err,
			Advice: "whoever starts it has to pass a listening socket; systemd does so from descriptor 3 on, by a .socket unit",
		}
	}
	kind, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if errors.Is(err, unix.ENOTSOCK) {
		err = &Error{Problem: fmt.Sprintf("descriptor %d is not a socket", fd), Err: err}
	}
	return kind, err
}

// checkStream says what is wrong with a socket from which connections are to be accepted.
func checkStream(fd, kind int) error {
	if kind != unix.SOCK_STREAM {
		return &Error{
			Problem: fmt.Sprintf("descriptor %d is not a stream socket but %s", fd, typeName(kind)), Err: unix.EPROTOTYPE,
			Advice: "in a .socket unit use `ListenStream=`",
		}
	}
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listening != 0 {
		return err
	}
	if _, err := unix.Getpeername(fd); err == nil {
		return &Error{
			Problem: fmt.Sprintf("descriptor %d is a connection, not a listening socket", fd), Err: unix.EINVAL,
			Advice: "in a .socket unit use `Accept=no`",
		}
	}
	return &Error{
		Problem: fmt.Sprintf("the socket of descriptor %d does not listen", fd), Err: unix.EINVAL,
		Advice: "whoever passes it has to call listen() first",
	}
}

// checkDatagrams says what is wrong with a socket from which datagrams are to be received.
func checkDatagrams(fd, kind int) error {
	if kind != unix.SOCK_DGRAM {
		return &Error{
			Problem: fmt.Sprintf("descriptor %d is not a datagram socket but %s", fd, typeName(kind)), Err: unix.EPROTOTYPE,
			Advice: "in a .socket unit use `ListenDatagram=`",
		}
	}
	if sa, err := unix.Getsockname(fd); err == nil {
		if _, local := sa.(*unix.SockaddrUnix); local {
			return &Error{Problem: fmt.Sprintf("descriptor %d is a unix datagram socket, not one of UDP", fd), Err: unix.EAFNOSUPPORT}
		}
	}
	return nil
}

func typeName(kind int) string {
	switch kind {
	case unix.SOCK_STREAM:
		return "a stream socket"
	case unix.SOCK_DGRAM:
		return "a datagram socket"
	case unix.SOCK_SEQPACKET:
		return "a packet socket"
	}
	return "a raw socket"
}

// inspect asks the kernel what was bound.
func inspect(s *Socket) (*Socket, error) {
	sa, err := unix.Getsockname(s.FD)
	if err != nil {
		s.Close()
		return nil, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		s.Address = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		s.Address = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrUnix:
		s.Path = sa.Name
	default:
		s.Close()
		return nil, &Error{Problem: fmt.Sprintf("descriptor %d is neither a TCP nor a unix socket", s.FD), Err: unix.EAFNOSUPPORT}
	}
	return s, nil
}
