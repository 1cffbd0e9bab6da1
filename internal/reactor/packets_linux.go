package reactor

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// packetHeader is the kernel's struct mmsghdr.
type packetHeader struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// packetsIn is where datagrams are received to: one for all sockets of a reactor.
type packetsIn struct {
	headers [packetBatch]packetHeader
	vectors [packetBatch]unix.Iovec
	names   [packetBatch]unix.RawSockaddrAny
	memory  []byte
}

// packetSize is the room for a datagram: one byte more than the longest, so that none is cut unseen.
const packetSize = PacketRoom + MaxPacket + 5

func newPacketsIn() *packetsIn {
	in := &packetsIn{memory: make([]byte, packetBatch*packetSize)}
	for i := range in.headers {
		in.vectors[i].Base = &in.memory[i*packetSize+PacketRoom]
		in.vectors[i].SetLen(packetSize - PacketRoom)
		h := &in.headers[i].header
		h.Iov, h.Iovlen = &in.vectors[i], 1
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
	}
	return in
}

// receive takes what has come, at most a batch. n < 0: an error that was pending; again: there is no more now.
func (in *packetsIn) receive(fd int) (n int, again bool) {
	for i := range in.headers {
		in.headers[i].header.Namelen = unix.SizeofSockaddrAny
	}
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.headers[0])), packetBatch,
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(r), int(r) < packetBatch
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, true
		default:
			return -1, false
		}
	}
}

// at is a datagram that was received, with its room.
func (in *packetsIn) at(i int) (Peer, []byte) {
	start := i * packetSize
	return peerOf(&in.names[i]), in.memory[start : start+PacketRoom+int(in.headers[i].length)]
}

// peerOf converts the kernel's form of a datagram's address.
func peerOf(sa *unix.RawSockaddrAny) Peer {
	p := Peer{Address: addressOf(sa)}
	if p.Family == exchange.IPv6 {
		p.Zone = (*unix.RawSockaddrInet6)(unsafe.Pointer(sa)).Scope_id
	}
	return p
}

// send sends datagrams, and returns how many; none if the first can't be.
func (p *Packets) send(out []packetOut) (int, syscall.Errno) {
	var headers [packetBatch]packetHeader
	var vectors [packetBatch]unix.Iovec
	var names [packetBatch]unix.RawSockaddrInet6 // has room for either
	for i := range out {
		o := &out[i]
		if o.end > o.start {
			vectors[i].Base = &p.bytes[o.start]
		}
		vectors[i].SetLen(o.end - o.start)
		h := &headers[i].header
		h.Iov, h.Iovlen = &vectors[i], 1
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&names[i])), p.name(&names[i], o.peer)
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&headers[0])), uintptr(len(out)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

// name writes an address in the kernel's form, as the socket wants it, and returns its length.
func (p *Packets) name(sa *unix.RawSockaddrInet6, peer Peer) uint32 {
	port := peer.Port<<8 | peer.Port>>8
	if !p.wide && peer.Family == exchange.IPv4 {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*in = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: [4]byte(peer.IP[:4])}
		return unix.SizeofSockaddrInet4
	}
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: mapped(peer.Address), Scope_id: peer.Zone}
	return unix.SizeofSockaddrInet6
}
