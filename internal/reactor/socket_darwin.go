package reactor

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// readSocket reads into b. n is -1 on an error, 0 at the end of the stream; again says that there is nothing now.
func readSocket(fd int, b []byte) (n int, again bool) {
	return outcome(func() (int, error) { return unix.Read(fd, b) })
}

// writeSocket writes b. n is -1 on an error; again says that the kernel takes nothing now.
func writeSocket(fd int, b []byte) (n int, again bool) {
	return outcome(func() (int, error) { return unix.Write(fd, b) })
}

// writeVector writes three pieces with one call.
func writeVector(fd int, head, body []byte, tail string) (n int, again bool) {
	pieces := make([][]byte, 0, 3)
	for _, b := range [][]byte{head, body, []byte(tail)} {
		if len(b) > 0 {
			pieces = append(pieces, b)
		}
	}
	return outcome(func() (int, error) { return unix.Writev(fd, pieces) })
}

// outcome repeats what a signal interrupted, and reports the result as readSocket and writeSocket do.
func outcome(call func() (int, error)) (n int, again bool) {
	for {
		n, err := call()
		if err == nil {
			return n, false
		}
		if !errors.Is(err, unix.EINTR) {
			return -1, errors.Is(err, unix.EAGAIN)
		}
	}
}

// acceptSocket accepts one connection: non-blocking, close-on-exec, without SIGPIPE.
func acceptSocket(listener int) (fd int, client exchange.Address, err error) {
	fd, sa, err := unix.Accept(listener)
	if err != nil {
		return -1, exchange.Address{}, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, exchange.Address{}, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1)
	return fd, addressOf(sa), nil
}

// localAddress returns the address a connection was made to.
func localAddress(fd int) exchange.Address {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return exchange.Address{}
	}
	return addressOf(sa)
}

// addressOf converts the kernel's form of an address; IPv4 mapped into IPv6 becomes IPv4.
func addressOf(sa unix.Sockaddr) exchange.Address {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return exchange.AddressFrom(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)))
	case *unix.SockaddrInet6:
		return exchange.AddressFrom(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)))
	case *unix.SockaddrUnix:
		return exchange.Address{Family: exchange.Unix}
	}
	return exchange.Address{}
}

const fionread = 0x4004667f // sys/filio.h

// unread returns how many received bytes the kernel holds.
func unread(fd int) int {
	n, _ := unix.IoctlGetInt(fd, fionread)
	return n
}

// isCached is true: this system does not tell.
func isCached(int, int64, int64) bool { return true }

// copyFile sends up to n bytes of a file to a socket and moves offset. It returns what writeSocket does, and 0 at the end of
// the file. macOS reports what was sent along with "would block".
func copyFile(socket, file int, offset *int64, n int64) (sent int64, again bool) {
	at := *offset
	r, again := outcome(func() (int, error) {
		r, err := unix.Sendfile(socket, file, &at, int(n))
		if r > 0 {
			err = nil
		}
		return r, err
	})
	*offset += max(int64(r), 0)
	return int64(r), again
}
