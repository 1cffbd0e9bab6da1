package listen

import (
	"errors"
	"net"
	"net/netip"
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
	un, err := Unix(filepath.Join(t.TempDir(), "s"), Access{}, backlog)
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

// spec: jobs 5
func TestUDPTakesDatagramsWhereItIsTold(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "", "::1"} {
		s, err := UDP(host, 0)
		if errors.Is(err, unix.EADDRNOTAVAIL) && host == "::1" {
			continue // this machine has no IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		closeAtEnd(t, s)
		to := host
		if to == "" {
			to = "127.0.0.1"
		}
		c, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr(to), s.Address.Port()).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		fds := []unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 10_000); n != 1 || err != nil {
			t.Errorf("%q: nothing has come: %v", host, err)
		}
		if _, err := UDP(host, int(s.Address.Port())); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("%q: a second server on the same port: %v", host, err)
		}
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
