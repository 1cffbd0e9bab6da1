// Package datagram is UDP sockets on a reactor, whose datagrams the application has both ways.
//
// A Server has the sockets of one reactor. Every worker loop has a stream for each of them: a taker. Datagrams of one peer go to one
// taker as long as it is there, so their order stays; what a taker has no credit for is dropped and counted, never waited for.
// Everything here is touched by the reactor's goroutine alone.
package datagram

import (
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// Config is the same for all reactors.
type Config struct {
	Log      *slog.Logger
	Refusals *telemetry.Refusals
}

// Server has the datagram sockets of one reactor.
type Server struct {
	reactor.Tally // of takers
	r             *reactor.Reactor
	cfg           *Config
	app           exchange.Attacher
	doors         []*door
}

// New makes the UDP side of a reactor, before it runs.
func New(r *reactor.Reactor, cfg *Config, app exchange.Attacher) *Server {
	return &Server{r: r, cfg: cfg, app: app}
}

// Door is one bound socket.
type Door struct {
	FD     int
	Target uint16           // which of the workers' targets takes its datagrams; 0: the application
	Server exchange.Address // what was bound
}

// door is a socket with those that take its datagrams.
type door struct {
	Door
	s       *Server
	packets *reactor.Packets
	takers  []*taker // that have accepted and are not about to go
	all     []*taker
	stopped bool // another has the socket, or nobody
}

// window is how many bytes may be on their way to the kernel for one taker, the addresses counted; two of the longest fit.
const window = 128<<10 + 2*headerSize

// Serve receives from a socket. Only for the reactor's goroutine. The returned function ends receiving.
func (s *Server) Serve(d Door) (stop func(), err error) {
	x := &door{Door: d, s: s}
	if x.packets, err = s.r.OpenPackets(d.FD, x); err != nil {
		return nil, err
	}
	s.doors = append(s.doors, x)
	req := exchange.Request{
		Kind: exchange.UDP, ID: rand.Uint64(), Target: d.Target, Window: window, ContentLength: exchange.UnknownLength, Server: d.Server,
	}
	s.app.Attach(&req, x.taker) // there is nothing in it that could be too long
	return x.stop, nil
}

// stop ends receiving.
func (d *door) stop() {
	d.stopped = true
	d.hear()
}

// hear receives as long as there is somebody to take it; the kernel keeps some meanwhile.
func (d *door) hear() { d.packets.Hear(!d.stopped && len(d.takers) > 0) }

// taker makes a taker for a worker loop.
func (d *door) taker(stream exchange.Stream) exchange.Upgrader {
	t := &taker{door: d, stream: stream, seed: rand.Uint64()}
	d.all = append(d.all, t)
	d.s.Came()
	return t
}

// headerSize is what comes before each datagram on the wire (docs/reference/wire.md).
const headerSize = reactor.PacketRoom

// Packet gives a datagram to the taker that its peer has.
func (d *door) Packet(peer reactor.Peer, b []byte) {
	t := d.choose(peer)
	if t == nil || t.credit < len(b) {
		d.s.cfg.Refusals.Note(telemetry.DatagramDropped, d.s.r.Now(), slog.String("client", string(peer.AppendTo(nil))))
		return
	}
	putPeer(b, peer, 0)
	t.moved++
	t.credit = t.stream.Message(b, exchange.Binary, false)
}

// choose finds the taker of a peer: the one with the highest mark for it, so that one that comes or goes moves as few as can be.
func (d *door) choose(peer reactor.Peer) (best *taker) {
	if len(d.takers) == 1 {
		return d.takers[0]
	}
	var top uint64
	for _, t := range d.takers {
		if m := mark(peer, t.seed); best == nil || m > top {
			best, top = t, m
		}
	}
	return best
}

// mark mixes an address with a seed.
func mark(peer reactor.Peer, seed uint64) uint64 {
	for _, word := range [3]uint64{
		binary.LittleEndian.Uint64(peer.IP[:8]), binary.LittleEndian.Uint64(peer.IP[8:]), uint64(peer.Port)<<32 | uint64(peer.Zone),
	} {
		seed = (seed ^ word) * 0xbf58476d1ce4e5b9
		seed ^= seed >> 31
	}
	return seed
}

// putPeer writes what comes before a datagram: whose it is, and the error of one that could not be sent.
func putPeer(b []byte, peer reactor.Peer, err syscall.Errno) {
	b[0], b[1] = byte(peer.Family), byte(err)
	binary.LittleEndian.PutUint16(b[2:], peer.Port)
	binary.LittleEndian.PutUint32(b[4:], peer.Zone)
	copy(b[8:headerSize], peer.IP[:])
}

// getPeer reads whom a datagram is for.
func getPeer(b []byte) (peer reactor.Peer, ok bool) {
	peer.Family = exchange.Family(b[0])
	peer.Port, peer.Zone = binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])
	copy(peer.IP[:], b[8:headerSize])
	return peer, peer.Family == exchange.IPv4 || peer.Family == exchange.IPv6
}

// Sent has a taker send as much again as has left, and tells it of what could not be sent.
func (d *door) Sent(owner any, peer reactor.Peer, n int, err syscall.Errno) {
	t := owner.(*taker)
	if t.stream == nil {
		return
	}
	if err != 0 && t.credit >= headerSize {
		var b [headerSize]byte
		putPeer(b[:], peer, err)
		t.credit = t.stream.Message(b[:], exchange.Binary, false)
	}
	t.Owed += n + headerSize
	t.grant()
}

// Drain has every taker go as soon as it has sent nothing for a while. idle is called when none is left. No datagrams must be
// received any more. Only for the reactor's goroutine, like all that follows.
func (s *Server) Drain(idle func()) {
	s.Leave()
	s.Ebb(func() {
		for _, d := range s.doors {
			d.packets.Close()
		}
		idle()
	})
}

// Fade is Drain: another server has the datagrams by now.
func (s *Server) Fade(_ time.Duration, idle func()) { s.Drain(idle) }

// Leave has every taker go as soon as it has sent nothing for a while.
func (s *Server) Leave() { s.each((*taker).Leave) }

// Abort ends every taker at once.
func (s *Server) Abort() { s.each((*taker).end) }

func (s *Server) each(f func(*taker)) {
	for _, d := range s.doors {
		for i := len(d.all) - 1; i >= 0; i-- { // f may take it out
			f(d.all[i])
		}
	}
}
