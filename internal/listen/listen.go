// Package listen opens listening sockets: TCP, unix, and inherited ones. They are non-blocking and close-on-exec, and never
// SO_REUSEPORT: with it a second server would bind the same port in silence, and closing one of two listeners would reset the
// connections in its queue. No other package opens a listener.
package listen

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
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
	// Path is the path of a unix socket.
	Path string
	// Protocol is what the caller wants to have spoken: the scheme of the URL; empty for HTTP.
	Protocol string

	owned bool // the path is ours to remove
	inode uint64
}

// URL returns where a client on this machine finds the socket: http://127.0.0.1:8000, or unix:/run/app.sock;
// uwsgi://127.0.0.1:3031, or uwsgi://unix:/run/app.sock.
func (s *Socket) URL() string {
	switch {
	case s.Path != "" && s.Protocol == "":
		return "unix:" + s.Path
	case s.Path != "":
		return s.Protocol + "://unix:" + s.Path
	}
	host := s.Address.Addr()
	switch {
	case host == netip.IPv6Unspecified(), host == netip.IPv4Unspecified():
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return cmp.Or(s.Protocol, "http") + "://" + net.JoinHostPort(host.String(), strconv.Itoa(int(s.Address.Port())))
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

// Close closes the socket, and removes the path of a unix socket that it made, if it is still the same.
func (s *Socket) Close() {
	_ = unix.Close(s.FD)
	if s.owned && inodeOf(s.Path) == s.inode {
		_ = os.Remove(s.Path)
	}
}

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
	fd, err := socket(family)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if family == unix.AF_INET6 {
		only := 1
		if at.Addr().IsUnspecified() {
			only = 0
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
	}
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

// socket makes a stream socket: non-blocking and close-on-exec.
func socket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
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

// Unix listens on a unix socket with the given permissions (0: as the umask has it). A socket that is there already is
// replaced if nobody listens on it.
func Unix(path string, permissions uint32, backlog int) (*Socket, error) {
	err := removeStale(path)
	if err != nil {
		return nil, err
	}
	fd, err := socket(unix.AF_UNIX)
	if err != nil {
		return nil, err
	}
	if permissions != 0 {
		_ = unix.Fchmod(fd, permissions) // on Linux it holds from the first moment on, less what the umask takes
	}
	if err := bindListen(fd, &unix.SockaddrUnix{Name: path}, backlog); err != nil {
		return nil, err
	}
	s := &Socket{FD: fd, Path: path, owned: true, inode: inodeOf(path)}
	if permissions != 0 {
		if err := os.Chmod(path, fs.FileMode(permissions)); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // nothing there; bind will find out about the rest
	}
	if info.Mode().Type() != fs.ModeSocket {
		return unix.EADDRINUSE // never a file of another kind
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return unix.EADDRINUSE
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

func inodeOf(path string) uint64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// Inherited takes over a listening socket that the process was started with.
func Inherited(fd int) (*Socket, error) {
	listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, err
	}
	if listening == 0 {
		return nil, errors.New("the descriptor is not a listening socket")
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	return inspect(&Socket{FD: fd})
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
	}
	return s, nil
}
