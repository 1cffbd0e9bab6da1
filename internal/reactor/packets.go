package reactor

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Peer is where a datagram comes from or goes to. Zone is the interface of a link-local IPv6 address (RFC 4007 §6), else 0.
type Peer struct {
	exchange.Address
	Zone uint32
}

// PacketHandler is what a datagram socket's datagrams are for.
type PacketHandler interface {
	// Packet takes a datagram. b is the reactor's, and has PacketRoom bytes of room, which come before the datagram.
	Packet(peer Peer, b []byte)
	// Sent says that a datagram has left, or never will: err is the kernel's word then. n and owner are what Send was given.
	Sent(owner any, peer Peer, n int, err syscall.Errno)
}

const (
	// PacketRoom is how many bytes a handler may put in front of a datagram where it is.
	PacketRoom = 24
	// MaxPacket is the longest datagram: of IPv4, without options (RFC 768, RFC 791).
	MaxPacket = 65507

	packetBatch   = 32 // datagrams by one system call
	batchesInTurn = 8  // read from one socket in a turn
)

// Packets is a datagram socket on a reactor. Datagrams are received and sent many at once.
type Packets struct {
	r      *Reactor
	fd     int
	id     uint32
	to     PacketHandler
	wide   bool // the socket's addresses are IPv6, and IPv4 mapped into it
	single bool // each datagram is sent by itself: the kernel knows no rows of them
	deaf   bool // nothing is received, for now or for ever
	closed bool

	canRead, canWrite bool
	later             bool // it goes on in the next turn

	out   []packetOut
	bytes []byte // what out points into
	sent  int    // of out
}

// packetOut is a datagram that is to be sent.
type packetOut struct {
	peer       Peer
	owner      any
	start, end int
}

// OpenPackets has a bound, non-blocking datagram socket's datagrams received, once Hear is called. It has a descriptor of its own for the socket.
func (r *Reactor) OpenPackets(fd int, to PacketHandler) (*Packets, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	p := &Packets{r: r, fd: fd, to: to, wide: isIPv6(fd), deaf: true, canRead: true, canWrite: true}
	if r.packets == nil {
		r.packets = newPacketsIn()
	}
	merge(fd)
	if p.id, err = r.register(fd, p, interestConn); err != nil {
		closeSocket(fd)
		return nil, err
	}
	return p, nil
}

// ready handles what the kernel reported. An error that it holds for the socket belongs to a datagram of the past.
func (p *Packets) ready(ev events) {
	if ev&failed != 0 {
		_, _ = unix.GetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		p.canRead, p.canWrite = true, true
	}
	p.canRead = p.canRead || ev&readable != 0
	p.canWrite = p.canWrite || ev&writable != 0
	p.flush()
	p.receive()
}

// receive takes what has come.
func (p *Packets) receive() {
	for range batchesInTurn {
		if !p.canRead || p.deaf || p.closed {
			return
		}
		n, again := p.r.packets.receive(p.fd)
		if p.canRead = !again; n < 0 {
			continue // an error of a datagram that was sent: the next call has what has come
		}
		for i := range n {
			if p.deaf || p.closed {
				return
			}
			p.pass(p.r.packets.at(i))
		}
	}
	p.goOn()
}

// pass passes on what was received: one datagram, or several of one length, of which the last may be shorter.
func (p *Packets) pass(peer Peer, b []byte, part int) {
	if peer.Family == exchange.NoAddress {
		return
	}
	for part > 0 && len(b) > PacketRoom+part && !p.closed {
		p.to.Packet(peer, b[:PacketRoom+part])
		b = b[part:] // its room is the end of the one before
	}
	p.to.Packet(peer, b)
}

// Send sends a datagram at the end of the turn; owner is for Sent.
func (p *Packets) Send(peer Peer, b []byte, owner any) {
	if p.closed {
		return
	}
	start := len(p.bytes)
	p.bytes = append(p.bytes, b...)
	p.out = append(p.out, packetOut{peer: peer, owner: owner, start: start, end: len(p.bytes)})
	p.goOn()
}

func (p *Packets) goOn() {
	if !p.later {
		p.later = true
		p.r.Later(p)
	}
}

// Resume sends what was given, and receives on.
func (p *Packets) Resume() {
	p.later = false
	p.flush()
	p.receive()
}

// keepPackets is how much memory for datagrams to be sent is kept.
const keepPackets = 1 << 20

// flush sends as much as the kernel takes.
func (p *Packets) flush() {
	for p.sent < len(p.out) && p.canWrite && !p.closed {
		n, err := p.send(p.out[p.sent:])
		switch {
		case n > 0:
			err = 0
		case err == unix.EAGAIN || err == unix.EINTR:
			p.canWrite = err == unix.EINTR
			continue
		default:
			n = 1 // the first is refused
		}
		for range n {
			o := p.out[p.sent]
			p.sent++
			p.to.Sent(o.owner, o.peer, o.end-o.start, err)
		}
	}
	if p.sent == len(p.out) {
		clear(p.out)
		p.out, p.bytes, p.sent = p.out[:0], p.bytes[:0], 0
		if cap(p.bytes) > keepPackets {
			p.bytes, p.out = nil, nil
		}
	}
}

// Hear starts or stops receiving; meanwhile the kernel keeps what comes, as far as it does. What is sent still is.
func (p *Packets) Hear(on bool) {
	if p.deaf = !on; on {
		p.goOn()
	}
}

// Close ends all of it.
func (p *Packets) Close() {
	if !p.closed {
		p.closed = true
		p.r.unregister(p.fd, p.id)
		closeSocket(p.fd)
	}
}

// isIPv6 says whether a socket's addresses are IPv6.
func isIPv6(fd int) bool {
	sa, err := unix.Getsockname(fd)
	_, wide := sa.(*unix.SockaddrInet6)
	return err == nil && wide
}

// mapped is an IPv4 address as an IPv6 socket has it (RFC 4291 §2.5.5.2).
func mapped(a exchange.Address) (ip [16]byte) {
	if a.Family == exchange.IPv6 {
		return a.IP
	}
	ip[10], ip[11] = 0xff, 0xff
	copy(ip[12:], a.IP[:4])
	return ip
}
