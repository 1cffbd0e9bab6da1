package listen

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

const backlog = 16

// reach connects to a socket and accepts the connection.
func reach(t *testing.T, s *Socket, network, address string) {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fds := []unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 10_000); err != nil {
		t.Fatal(err)
	}
	fd, _, err := unix.Accept(s.FD)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
}

func closeAtEnd(t *testing.T, s *Socket) *Socket {
	t.Cleanup(s.Close)
	return s
}

func TestTCPListensWhereItIsTold(t *testing.T) {
	for _, c := range []struct {
		name, host string
		dial       []string // addresses at which it must be reached
		url        string   // host in the URL
		server     exchange.Family
	}{
		{"IPv4", "127.0.0.1", []string{"127.0.0.1"}, "127.0.0.1", exchange.IPv4},
		{"IPv6", "::1", []string{"::1"}, "::1", exchange.IPv6},
		{"every IPv4 interface", "0.0.0.0", []string{"127.0.0.1"}, "127.0.0.1", exchange.NoAddress},
		{"every interface", "", []string{"127.0.0.1", "::1"}, "127.0.0.1", exchange.NoAddress},
		{"a name", "localhost", []string{"127.0.0.1"}, "127.0.0.1", exchange.IPv4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := TCP(c.host, 0, backlog)
			if errors.Is(err, unix.EADDRNOTAVAIL) && c.host == "::1" {
				t.Skip("this machine has no IPv6")
			}
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, s)
			port := s.Address.Port()
			for _, host := range c.dial {
				reach(t, s, "tcp", netip.AddrPortFrom(netip.MustParseAddr(host), port).String())
			}
			if want := "http://" + netip.AddrPortFrom(netip.MustParseAddr(c.url), port).String(); s.URL() != want {
				t.Errorf("%s, want %s", s.URL(), want)
			}
			if got := s.Server(); got.Family != c.server {
				t.Errorf("connections are made to %+v", got)
			}
		})
	}
}

func TestAListenerOnOneIPv6AddressLeavesIPv4Alone(t *testing.T) {
	four, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, four)
	six, err := TCP("::1", int(four.Address.Port()), backlog)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Skip("this machine has no IPv6")
	}
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, six)
}

func TestSocketsAreNonBlockingAndCloseOnExec(t *testing.T) {
	tcp, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	un, err := Unix(filepath.Join(t.TempDir(), "s"), 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Socket{closeAtEnd(t, tcp), closeAtEnd(t, un)} {
		flags, _ := unix.FcntlInt(uintptr(s.FD), unix.F_GETFL, 0)
		if flags&unix.O_NONBLOCK == 0 {
			t.Errorf("%s blocks", s.URL())
		}
		flags, _ = unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0)
		if flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s would be inherited", s.URL())
		}
	}
}

func TestAPortInUseIsRefused(t *testing.T) {
	s, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	if _, err := TCP("127.0.0.1", int(s.Address.Port()), backlog); !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("a second server on the same port: %v", err)
	}
}

func TestAPortIsFreeAgainAfterClose(t *testing.T) {
	s, err := TCP("127.0.0.1", 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	reach(t, s, "tcp", s.Address.String()) // leaves a connection in TIME_WAIT
	port := int(s.Address.Port())
	s.Close()
	again, err := TCP("127.0.0.1", port, backlog)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestAnUnknownHostIsRefused(t *testing.T) {
	if _, err := TCP("no-such-host.invalid", 0, backlog); err == nil {
		t.Fatal("accepted")
	}
}

func TestUnixListensWithItsPermissions(t *testing.T) {
	for _, want := range []fs.FileMode{0o600, 0o660, 0o777} {
		path := filepath.Join(t.TempDir(), "s")
		s, err := Unix(path, uint32(want), backlog)
		if err != nil {
			t.Fatal(err)
		}
		reach(t, s, "unix", path)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%v, %v", info.Mode().Perm(), err)
		}
		if s.URL() != "unix:"+path || s.Server().Family != exchange.Unix {
			t.Errorf("%s, %+v", s.URL(), s.Server())
		}
		s.Close()
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the path is left behind")
		}
	}
}

func TestAPathThatIsTakenAlready(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		refused bool
	}{
		{"a socket that nobody listens on is replaced", func(t *testing.T, path string) {
			s, err := Unix(path, 0, backlog)
			if err != nil {
				t.Fatal(err)
			}
			_ = unix.Close(s.FD) // as after a crash
		}, false},
		{"a live socket is refused", func(t *testing.T, path string) {
			s, err := Unix(path, 0, backlog)
			if err != nil {
				t.Fatal(err)
			}
			closeAtEnd(t, s)
		}, true},
		{"a regular file is refused", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a folder is refused", func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }, true},
		{"a symbolic link is refused", func(t *testing.T, path string) { _ = os.Symlink("/dev/null", path) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			c.prepare(t, path)
			before, _ := os.Lstat(path)
			s, err := Unix(path, 0, backlog)
			if !c.refused {
				if err != nil {
					t.Fatal(err)
				}
				reach(t, s, "unix", path)
				s.Close()
				return
			}
			if !errors.Is(err, unix.EADDRINUSE) {
				t.Fatalf("%v", err)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Fatal("what was there is gone")
			}
		})
	}
}

func TestAMissingFolderIsNamed(t *testing.T) {
	if _, err := Unix(filepath.Join(t.TempDir(), "none", "s"), 0, backlog); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestCloseLeavesAPathThatAnotherServerHasTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old, err := Unix(path, 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil { // keeps the inode from being used again
		t.Fatal(err)
	}
	taken, err := Unix(path, 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	reach(t, taken, "unix", path)
	taken.Close()
}

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
	s, err := Inherited(fd)
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

func TestAnInheritedUnixSocketKeepsItsPathAtClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	own, err := Unix(path, 0, backlog)
	if err != nil {
		t.Fatal(err)
	}
	fd, _ := unix.Dup(own.FD)
	s, err := Inherited(fd)
	if err != nil || s.Path != path {
		t.Fatal(s, err)
	}
	s.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("the path belongs to who made it")
	}
	own.Close()
}

func TestADescriptorThatIsNoListenerIsRefused(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, fd := range map[string]int{"a connection": fds[0], "a file": int(null.Fd()), "nothing": 9999} {
		if _, err := Inherited(fd); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, _ = unix.Close(fds[0]), unix.Close(fds[1])
}
