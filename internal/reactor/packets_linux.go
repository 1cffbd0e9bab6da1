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

// packetControl is room for one control message of two bytes or four: how long the parts are that a datagram was put together of.
type packetControl struct {
	header unix.Cmsghdr
	size   uint16
	_      [6]byte
}

// maxParts is how many datagrams the kernel cuts one into (UDP_MAX_SEGMENTS).
const maxParts = 64

// packetsIn is where datagrams are received to: one for all sockets of a reactor.
type packetsIn struct {
	headers [packetBatch]packetHeader
	vectors [packetBatch]unix.Iovec
	names   [packetBatch]unix.RawSockaddrAny
	control [packetBatch]packetControl
	memory  []byte
}

// packetSize is the room for a datagram: one byte more than the longest, so that none is cut unseen.
const packetSize = PacketRoom + 65536

func newPacketsIn() *packetsIn {
	in := &packetsIn{memory: make([]byte, packetBatch*packetSize)}
	for i := range in.headers {
		in.vectors[i].Base = &in.memory[i*packetSize+PacketRoom]
		in.vectors[i].SetLen(packetSize - PacketRoom)
		h := &in.headers[i].header
		h.Iov, h.Iovlen = &in.vectors[i], 1
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&in.control[i]))
	}
	return in
}

// receive takes what has come, at most a batch. n < 0: an error that was pending; again: there is no more now.
func (in *packetsIn) receive(fd int) (n int, again bool) {
	for i := range in.headers {
		h := &in.headers[i].header
		h.Namelen = unix.SizeofSockaddrAny
		h.SetControllen(int(unsafe.Sizeof(in.control[i])))
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

// at is what was received, with its room, and how long each part of it is if the kernel has put several datagrams of one peer together
// (udp(7), UDP_GRO); 0 if it is one.
func (in *packetsIn) at(i int) (peer Peer, b []byte, part int) {
	start := i * packetSize
	h, c := &in.headers[i].header, &in.control[i]
	if h.Controllen >= unix.SizeofCmsghdr+2 && c.header.Level == unix.SOL_UDP && c.header.Type == unix.UDP_GRO {
		part = int(c.size)
	}
	return peerOf(&in.names[i]), in.memory[start : start+PacketRoom+int(in.headers[i].length)], part
}

// merge has the kernel put datagrams together that come as one, where it can.
func merge(fd int) { _ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) }

// peerOf converts the kernel's form of a datagram's address.
func peerOf(sa *unix.RawSockaddrAny) Peer {
	p := Peer{Address: addressOf(sa)}
	if p.Family == exchange.IPv6 {
		p.Zone = (*unix.RawSockaddrInet6)(unsafe.Pointer(sa)).Scope_id
	}
	return p
}

// send sends datagrams, and returns how many; none if the first can't be. A row of the same length for one peer is one datagram for the
// kernel until it leaves (udp(7), UDP_SEGMENT).
func (p *Packets) send(out []packetOut) (int, syscall.Errno) {
	var headers [packetBatch]packetHeader
	var vectors [packetBatch]unix.Iovec
	var names [packetBatch]unix.RawSockaddrInet6 // has room for either
	var control [packetBatch]packetControl
	var ends [packetBatch]int
	k := 0
	for n := 0; n < len(out) && k < packetBatch; k++ {
		o, row := &out[n], p.row(out[n:])
		if n += row; o.end > o.start {
			vectors[k].Base = &p.bytes[o.start]
		}
		ends[k] = n
		vectors[k].SetLen(out[n-1].end - o.start)
		h := &headers[k].header
		h.Iov, h.Iovlen = &vectors[k], 1
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&names[k])), p.name(&names[k], o.peer)
		if row > 1 {
			control[k].header = unix.Cmsghdr{Len: unix.SizeofCmsghdr + 2, Level: unix.SOL_UDP, Type: unix.UDP_SEGMENT}
			control[k].size = uint16(o.end - o.start)
			h.Control = (*byte)(unsafe.Pointer(&control[k]))
			h.SetControllen(int(unsafe.Sizeof(control[k])))
		}
	}
	r, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&headers[0])), uintptr(k),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	switch {
	case errno == 0:
		return ends[r-1], 0
	case ends[0] > 1 && errno != unix.EAGAIN && errno != unix.EINTR: // the way there, or the length, has no such thing
		p.single = true
		return 0, unix.EINTR
	}
	return 0, errno
}

// row is how many datagrams from the first on can go as one: the last of them may be shorter.
func (p *Packets) row(out []packetOut) int {
	first, size := &out[0], out[0].end-out[0].start
	if p.single || size == 0 {
		return 1
	}
	n := 1
	for n < len(out) && n < maxParts && out[n].peer == first.peer && out[n].end-first.start <= MaxPacket {
		length := out[n].end - out[n].start
		if length > size || length == 0 {
			break
		}
		if n++; length < size {
			break
		}
	}
	return n
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
