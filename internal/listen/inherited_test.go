package listen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// spec: protocols 11
func TestAnInheritedSocketIsTakenOver(t *testing.T) {
	own, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(own.FD)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.SetNonblock(fd, false)
	own.Close()
	s, err := Inherited(fd, false)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	if s.Address != own.Address {
		t.Errorf("%v, not %v", s.Address, own.Address)
	}
	if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); flags&unix.O_NONBLOCK == 0 {
		t.Error("it blocks")
	}
	reach(t, s, "tcp", s.Address.String())
}

// spec: protocols 11
func TestAnInheritedUnixSocketKeepsItsPathAtClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	own, err := Unix(path, Access{}, backlog)
	if err != nil {
		t.Fatal(err)
	}
	fd, _ := unix.Dup(own.FD)
	s, err := Inherited(fd, false)
	if err != nil || s.Path != path {
		t.Fatal(s, err)
	}
	s.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("the path belongs to who made it")
	}
	own.Close()
}

// spec: protocols 11
func TestADescriptorThatIsNoListenerIsRefused(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	own, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, own)
	silent, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		fd      int
		says    string
		because error
	}{
		{"a connection", fds[0], "is a connection, not a listening socket", unix.EINVAL},
		{"a file", null, "is not a socket", unix.ENOTSOCK},
		{"nothing", 9999, "no descriptor 9999 was passed to this process", unix.EBADF},
		{"a socket of this process", own.FD, fmt.Sprintf("no descriptor %d was passed to this process", own.FD), unix.EBADF},
		{"a datagram socket", bindKind(t, filepath.Join(t.TempDir(), "d"), unix.SOCK_DGRAM), "is not a stream socket but a datagram socket", unix.EPROTOTYPE},
		{"a packet socket", bindKind(t, filepath.Join(t.TempDir(), "p"), unix.SOCK_SEQPACKET), "is not a stream socket but a packet socket", unix.EPROTOTYPE},
		{"a socket that does not listen", silent, "does not listen", unix.EINVAL},
	} {
		_, err := Inherited(c.fd, false)
		if err == nil || !strings.HasSuffix(err.Error(), c.says) || !errors.Is(err, c.because) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	for _, fd := range []int{fds[0], fds[1], null, silent} {
		_ = unix.Close(fd)
	}
}

// spec: jobs 5
func TestASocketThatIsPassedOnIsLeftAsItIs(t *testing.T) {
	own, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	datagrams := bindKind(t, filepath.Join(t.TempDir(), "d"), unix.SOCK_DGRAM)
	for _, blocks := range []bool{true, false} {
		for fd, datagram := range map[int]bool{own.FD: false, datagrams: true} {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
			_ = unix.SetNonblock(fd, !blocks)
			s, err := Kept(fd)
			if err != nil || s.Datagram != datagram {
				t.Fatal(s, err)
			}
			if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); (flags&unix.O_NONBLOCK == 0) != blocks {
				t.Errorf("it blocked: %v; now it does not", blocks)
			}
		}
	}
	own.Close()
	if _, err := Kept(bindKind(t, filepath.Join(t.TempDir(), "p"), unix.SOCK_SEQPACKET)); err == nil {
		t.Error("a packet socket is passed on")
	}
}

// spec: protocols 11
func TestAnInheritedSocketIsNotInheritedFurther(t *testing.T) {
	own, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = unix.FcntlInt(uintptr(own.FD), unix.F_SETFD, 0)
	s, err := Inherited(own.FD, false)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	if flags, _ := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
		t.Error("it would be")
	}
}
