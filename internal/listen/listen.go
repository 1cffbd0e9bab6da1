// Package listen opens listening sockets: TCP, UDP, unix, and inherited ones. They are non-blocking and close-on-exec, and never
// SO_REUSEPORT: with it a second server would bind the same port in silence, and closing one of two listeners would reset the
// connections in its queue. No other package opens a listener.
package listen

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Socket is one listening socket.
type Socket struct {
	FD int
	// Address is what was bound, with the port that the kernel chose; without one for unix sockets.
	Address netip.AddrPort
	// Path is the path of a unix socket; of an abstract one its name, behind an @.
	Path string
	// Protocol is what the caller wants to have spoken, empty for HTTP; TLS whether that is in TLS from the start; Scheme what both are
	// called in the URL, empty for HTTP without TLS.
	Protocol string
	TLS      bool
	Scheme   string
	// Target is what takes the connections, and Number what it is on the wire; empty and 0 for the application.
	Target string
	Number uint16
	// Datagram: it takes datagrams, and no connections.
	Datagram bool

	file fileID // what was made at Path, which is ours to remove; zero: nothing
}

// URL returns where a client on this machine finds the socket: http://127.0.0.1:8000, or unix:/run/app.sock;
// uwsgi://127.0.0.1:3031, or uwsgi://unix:/run/app.sock.
func (s *Socket) URL() string {
	switch {
	case s.Path != "" && s.Scheme == "":
		return "unix:" + s.Path
	case s.Path != "":
		return s.Scheme + "://unix:" + s.Path
	}
	host := s.Address.Addr()
	switch {
	case host == netip.IPv6Unspecified(), host == netip.IPv4Unspecified():
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return cmp.Or(s.Scheme, "http") + "://" + net.JoinHostPort(host.String(), strconv.Itoa(int(s.Address.Port())))
}

// Server is the address that connections to the socket are made to, if it is always the same.
func (s *Socket) Server() exchange.Address {
	if s.Path != "" {
		return exchange.Address{Family: exchange.Unix}
	}
	if s.Address.Addr().IsUnspecified() {
		return exchange.Address{} // each connection has its own
	}
	return exchange.AddressFrom(s.Address)
}

// Close closes the socket, and removes the path of a unix socket that it made, if it is still the same: while the socket is open
// nobody else can have made one of the same inode.
func (s *Socket) Close() {
	if s.file != (fileID{}) && identify(s.Path) == s.file {
		_ = unix.Unlink(s.Path)
	}
	_ = unix.Close(s.FD)
}

// Error is a failure with what can be done about it. The hint is empty when nothing can.
type Error struct {
	Problem string
	Advice  string
	Err     error // the cause; nil if the problem says it all
}

// Error returns the problem.
func (e *Error) Error() string { return e.Problem }

// Hint returns what to do about it.
func (e *Error) Hint() string { return e.Advice }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// resolveTime bounds the look-up of a host name.
const resolveTime = 10 * time.Second

// TCP listens on host and port. An empty host is every interface, IPv6 and IPv4; a name is looked up, and its first address
// taken, IPv4 before IPv6.
func TCP(host string, port, backlog int) (*Socket, error) {
	addr, err := resolve(host)
	if err != nil {
		return nil, err
	}
	s, err := listenTCP(netip.AddrPortFrom(addr, uint16(port)), backlog)
	if host == "" && errors.Is(err, unix.EAFNOSUPPORT) {
		return listenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)), backlog)
	}
	return s, err
}

// UDP takes datagrams on host and port, which are found as TCP finds them.
func UDP(host string, port int) (*Socket, error) {
	addr, err := resolve(host)
	if err != nil {
		return nil, err
	}
	s, err := bindUDP(netip.AddrPortFrom(addr, uint16(port)))
	if host == "" && errors.Is(err, unix.EAFNOSUPPORT) {
		return bindUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)))
	}
	return s, err
}

// bindUDP shares its port with nobody: with SO_REUSEADDR another server could take the datagrams away.
func bindUDP(at netip.AddrPort) (*Socket, error) {
	family, sa := sockaddr(at)
	fd, err := socket(family, unix.SOCK_DGRAM)
	if err != nil {
		return nil, err
	}
	bothVersions(fd, at)
	if err := unix.Bind(fd, sa); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return inspect(&Socket{FD: fd, Datagram: true})
}

// bothVersions has a socket for every IPv6 address take IPv4, too, and any other IPv6 socket leave it alone.
func bothVersions(fd int, at netip.AddrPort) {
	if at.Addr().Is4() {
		return
	}
	only := 1
	if at.Addr().IsUnspecified() {
		only = 0
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
}

func resolve(host string) (netip.Addr, error) {
	if host == "" {
		return netip.IPv6Unspecified(), nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return addrs[0], nil
}

func listenTCP(at netip.AddrPort, backlog int) (*Socket, error) {
	family, sa := sockaddr(at)
	fd, err := socket(family, unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	bothVersions(fd, at)
	if err := bindListen(fd, sa, backlog); err != nil {
		return nil, err
	}
	return inspect(&Socket{FD: fd})
}

func sockaddr(at netip.AddrPort) (int, unix.Sockaddr) {
	if at.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(i.Index)
		}
	}
	return unix.AF_INET6, sa
}

// socket makes a socket: non-blocking and close-on-exec.
func socket(family, kind int) (int, error) {
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	return fd, unix.SetNonblock(fd, true)
}

func bindListen(fd int, sa unix.Sockaddr, backlog int) error {
	err := unix.Bind(fd, sa)
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return err
}
