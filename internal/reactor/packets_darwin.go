package reactor

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// packetsIn is where datagrams are received to: one at a time, since this system has no call for many.
type packetsIn struct {
	memory [PacketRoom + MaxPacket + 5]byte
	length int
	peer   Peer
}

func newPacketsIn() *packetsIn { return &packetsIn{} }

// receive takes a datagram. n < 0: an error that was pending; again: there is no more now.
func (in *packetsIn) receive(fd int) (n int, again bool) {
	length, from, err := unix.Recvfrom(fd, in.memory[PacketRoom:], unix.MSG_DONTWAIT)
	switch err {
	case nil:
		in.length, in.peer = length, peerFrom(from)
		return 1, false
	case unix.EAGAIN:
		return 0, true
	}
	return -1, false
}

// at is the datagram that was received, with its room.
func (in *packetsIn) at(int) (Peer, []byte, int) { return in.peer, in.memory[:PacketRoom+in.length], 0 }

// merge does nothing: this system puts no datagrams together.
func merge(int) {}

func peerFrom(from unix.Sockaddr) Peer {
	switch sa := from.(type) {
	case *unix.SockaddrInet4:
		return Peer{Address: exchange.AddressFrom(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)))}
	case *unix.SockaddrInet6:
		return Peer{Address: exchange.AddressFrom(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))), Zone: sa.ZoneId}
	}
	return Peer{}
}

// send sends the first of the datagrams.
func (p *Packets) send(out []packetOut) (int, syscall.Errno) {
	o := out[0]
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(o.peer.Port), Addr: mapped(o.peer.Address), ZoneId: o.peer.Zone}
	if !p.wide && o.peer.Family == exchange.IPv4 {
		to = &unix.SockaddrInet4{Port: int(o.peer.Port), Addr: [4]byte(o.peer.IP[:4])}
	}
	if err := unix.Sendto(p.fd, p.bytes[o.start:o.end], unix.MSG_DONTWAIT, to); err != nil {
		errno, _ := err.(syscall.Errno)
		return 0, errno
	}
	return 1, 0
}
