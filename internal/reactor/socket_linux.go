package reactor

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// System calls on non-blocking sockets return at once, so they bypass Go's scheduler.

// readSocket reads into b. n is -1 on an error, 0 at the end of the stream; again says that there is nothing now.
func readSocket(fd int, b []byte) (n int, again bool) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), 0, 0, 0)
		if errno == 0 {
			return int(r), false
		}
		if errno != unix.EINTR {
			return -1, errno == unix.EAGAIN
		}
	}
}

// writeSocket writes b. n is -1 on an error; again says that the kernel takes nothing now.
func writeSocket(fd int, b []byte) (n int, again bool) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(r), false
		}
		if errno != unix.EINTR {
			return -1, errno == unix.EAGAIN
		}
	}
}

// writeVector writes three pieces with one call.
func writeVector(fd int, head, body []byte, tail string) (n int, again bool) {
	vec := [3]unix.Iovec{}
	k := 0
	for _, b := range [3][]byte{head, body, unsafe.Slice(unsafe.StringData(tail), len(tail))} {
		if len(b) > 0 {
			vec[k].Base = unsafe.SliceData(b)
			vec[k].SetLen(len(b))
			k++
		}
	}
	msg := unix.Msghdr{Iov: &vec[0], Iovlen: uint64(k)}
	for {
		r, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
		if errno == 0 {
			return int(r), false
		}
		if errno != unix.EINTR {
			return -1, errno == unix.EAGAIN
		}
	}
}

// acceptSocket accepts one connection: non-blocking, close-on-exec, without delay.
func acceptSocket(listener int) (fd int, client exchange.Address, err error) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&sa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, exchange.Address{}, errno
	}
	return int(r), addressOf(&sa), nil
}

// localAddress returns the address a connection was made to.
func localAddress(fd int) exchange.Address {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return exchange.Address{}
	}
	return addressOf(&sa)
}

// addressOf converts the kernel's form of an address; IPv4 mapped into IPv6 becomes IPv4.
func addressOf(sa *unix.RawSockaddrAny) (a exchange.Address) {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		a.Family, a.Port = exchange.IPv4, hostOrder(in.Port)
		copy(a.IP[:], in.Addr[:])
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		a.Family, a.Port, a.IP = exchange.IPv6, hostOrder(in.Port), in.Addr
		if mapped := [12]byte{10: 0xff, 11: 0xff}; [12]byte(a.IP[:12]) == mapped {
			a.Family = exchange.IPv4
			a.IP = [16]byte{a.IP[12], a.IP[13], a.IP[14], a.IP[15]}
		}
	case unix.AF_UNIX:
		a.Family = exchange.Unix
	}
	return a
}

// hostOrder turns a port as the kernel stores it, big-endian, into a number.
func hostOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// cachedStep is how far apart the pages are that isCached looks at; the kernel reads ahead in windows of this size or more.
const cachedStep = 64 << 10

// isCached says whether a part of a file can be read without waiting for a disk: preadv2(2) with RWF_NOWAIT says so of a page. A
// file system that doesn't know the flag is taken at its word, as memory has it.
func isCached(fd int, from, to int64) bool {
	for at := from; at < to; at += cachedStep {
		if !isCachedAt(fd, at) {
			return false
		}
	}
	return isCachedAt(fd, to-1)
}

func isCachedAt(fd int, at int64) bool {
	var b [1]byte
	vec := unix.Iovec{Base: &b[0], Len: 1}
	_, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&vec)), 1, uintptr(at), 0, unix.RWF_NOWAIT)
	return errno != unix.EAGAIN
}

// unread returns how many received bytes the kernel holds.
func unread(fd int) int {
	n, _ := unix.IoctlGetInt(fd, unix.SIOCINQ)
	return n
}

// copyFile sends up to n bytes of a file to a socket and moves offset. It returns what writeSocket does, and 0 at the end of
// the file.
func copyFile(socket, file int, offset *int64, n int64) (sent int64, again bool) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(socket), uintptr(file), uintptr(unsafe.Pointer(offset)), uintptr(n), 0, 0)
		if errno == 0 {
			return int64(r), false
		}
		if errno != unix.EINTR {
			return -1, errno == unix.EAGAIN
		}
	}
}
