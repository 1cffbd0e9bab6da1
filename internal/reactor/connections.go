package reactor

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

// Connections are those of one kind on one reactor, whatever listeners they came from: it bounds what is on its way for them and ends
// them together. The server of a protocol embeds it.
type Connections struct {
	Tally
	r      *Reactor
	log    *slog.Logger
	limit  int // bytes of buffers on the reactor; 0 for no limit
	lastID uint64
}

// Tally counts what is there, and tells when nothing is left.
type Tally struct {
	live     int
	draining bool
	idle     func() // called once, when draining and nothing is left
}

// Came counts one more.
func (t *Tally) Came() { t.live++ }

// Left counts one less.
func (t *Tally) Left() {
	t.live--
	t.checkIdle()
}

// Live is how many there are.
func (t *Tally) Live() int { return t.live }

// Draining says whether all are to end.
func (t *Tally) Draining() bool { return t.draining }

// Ebb has idle called when nothing is left, which may be at once. Nothing new must come any more.
func (t *Tally) Ebb(idle func()) {
	t.draining, t.idle = true, idle
	t.checkIdle()
}

func (t *Tally) checkIdle() {
	if t.draining && t.live == 0 && t.idle != nil {
		idle := t.idle
		t.idle = nil
		idle()
	}
}

// Connection is one of them. The type that embeds the Conn has all this.
type Connection interface {
	Protocol
	// Among says to which it belongs.
	Among() *Connections
	// Leave closes it, or has it closed once nothing is under way on it.
	Leave()
	// Abort closes it at once.
	Abort()
}

// Start makes it ready for connections, before the reactor runs. limit is how many bytes of buffers there may be on the reactor, 0 for
// any number.
func (s *Connections) Start(r *Reactor, limit int, log *slog.Logger) {
	s.r, s.limit, s.log, s.lastID = r, limit, log, rand.Uint64()
}

// Reactor is what they are on.
func (s *Connections) Reactor() *Reactor { return s.r }

// Listen has connections accepted from a listening socket. Only for the reactor's goroutine. The returned function ends it.
func (s *Connections) Listen(fd int, to Accepter) (stop func(), err error) {
	return s.r.Listen(fd, to, func(err error) {
		if err == nil {
			s.log.Info("connections are accepted again")
			return
		}
		s.log.Error("can't accept connections; trying again soon", "error", err)
	})
}

// Entered counts a connection that was opened; err is what Open has returned. It reports whether the connection is there.
func (s *Connections) Entered(err error) bool {
	if err != nil {
		s.log.Error("can't watch a connection", "error", err)
		return false
	}
	s.Came()
	return true
}

// NextID makes ids that are distinct, and not to be guessed from one another (splitmix64 over a random start).
func (s *Connections) NextID() uint64 {
	s.lastID += 0x9e3779b97f4a7c15
	z := s.lastID
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Windows: how much of what an application sends may be on its way for one stream.
const (
	// FullWindow keeps a fast client busy over a few turns of both loops, and thousands of slow ones can be borne. It is what one
	// frame of the usual ring carries.
	FullWindow = 64<<10 - 16
	// NarrowWindow is for when buffers are short: most answers still fit, and many more slow clients can be borne.
	NarrowWindow = 4 << 10
)

// Room is how much may be on its way for a stream just now.
func (s *Connections) Room() int {
	if s.limit > 0 && s.r.Lent() > s.limit/2 {
		return NarrowWindow
	}
	return FullWindow
}

// Full says whether no more input may be kept.
func (s *Connections) Full() bool { return s.limit > 0 && s.r.Lent() > s.limit }

// Drain has every connection leave. idle is called when none is left. New connections must not come any more. Only for the reactor's
// goroutine, like all that follows.
func (s *Connections) Drain(idle func()) {
	s.draining = true
	s.Leave()
	s.Ebb(idle)
}

// Fade lets every connection go on, for a while or until Leave as its protocol has it; idle is called when none is left. New ones must
// not come any more.
func (s *Connections) Fade(_ time.Duration, idle func()) { s.Ebb(idle) }

// Leave has every connection leave.
func (s *Connections) Leave() { s.each(Connection.Leave) }

// Abort closes every connection at once.
func (s *Connections) Abort() { s.each(Connection.Abort) }

// each calls f for every connection; f may close it.
func (s *Connections) each(f func(Connection)) {
	s.r.Each(func(p Protocol) {
		if c, ok := p.(Connection); ok && c.Among() == s {
			f(c)
		}
	})
}
