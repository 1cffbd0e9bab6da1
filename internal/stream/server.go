// Package stream is plain TCP connections on a reactor, whose bytes an application's handler has both ways.
//
// A Server has the connections of one reactor and hands each to an exchange.Application; it never knows the pool behind it.
// Everything here is touched by the reactor's goroutine alone. A connection reads only what its handler has asked for, so an idle one
// holds nothing but itself, and neither a handler nor a client that is slow makes the other's bytes pile up.
package stream

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/forwarded"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// Config is the same for all reactors. It does not change once connections exist.
type Config struct {
	BufferLimit   int           // bytes of buffers on one reactor, 0 for no limit
	HeaderTimeout time.Duration // for the header of the PROXY protocol, 0 for none
	Log           *slog.Logger
	Refusals      *telemetry.Refusals
}

// Server has the connections of one reactor, whatever listener they came from.
type Server struct {
	r        *reactor.Reactor
	cfg      *Config
	app      exchange.Application
	lastID   uint64
	live     int // open connections
	draining bool
	idle     func() // called once, when draining and no connection is left
}

// New makes the TCP side of a reactor, before it runs.
func New(r *reactor.Reactor, cfg *Config, app exchange.Application) *Server {
	return &Server{r: r, cfg: cfg, app: app, lastID: rand.Uint64()}
}

// Door is one listening socket.
type Door struct {
	FD       int
	Target   uint16           // which of the workers' targets takes its connections; 0: the application
	Server   exchange.Address // what was bound; without a family if each connection has its own
	UnixPath string
	Proxies  *forwarded.Trust // who begins with a PROXY protocol header; nil for nobody
}

// door makes connections of accepted sockets.
type door struct {
	Door
	s *Server
}

// Serve accepts connections from a listening socket. Only for the reactor's goroutine. The returned function ends it.
func (s *Server) Serve(d Door) (stop func(), err error) {
	return s.r.Listen(d.FD, &door{s: s, Door: d}, func(err error) {
		if err == nil {
			s.cfg.Log.Info("connections are accepted again")
			return
		}
		s.cfg.Log.Error("can't accept connections; trying again soon", "error", err)
	})
}

// Accept makes a connection of a socket.
func (d *door) Accept(fd int, client exchange.Address) {
	c := &conn{door: d, proxied: d.Proxies != nil && d.Proxies.Has(client)}
	if err := c.Open(d.s.r, fd, c, client, d.Server); err != nil {
		d.s.cfg.Log.Error("can't watch a connection", "error", err)
		return
	}
	c.Halves()
	d.s.live++
	if !c.proxied {
		c.begin(d.UnixPath)
	} else if t := d.s.cfg.HeaderTimeout; t > 0 {
		c.SetTimer(t)
	}
}

// Windows: how much may be on its way to one client. The narrow one is for when buffers are short.
const (
	fullWindow   = 64<<10 - 16
	narrowWindow = 4 << 10
)

// window is how much may be on its way for a connection just now.
func (s *Server) window() int {
	if limit := s.cfg.BufferLimit; limit > 0 && s.r.Lent() > limit/2 {
		return narrowWindow
	}
	return fullWindow
}

// nextID makes ids that are distinct, and not to be guessed from one another (splitmix64 over a random start).
func (s *Server) nextID() uint64 {
	s.lastID += 0x9e3779b97f4a7c15
	z := s.lastID
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Drain ends every connection as soon as nothing moves on it: its handler sees the end of what the client sends. idle is called when
// none is left. New connections must not come any more. Only for the reactor's goroutine.
func (s *Server) Drain(idle func()) {
	s.draining, s.idle = true, idle
	s.Leave()
	s.checkIdle()
}

// Fade lets every connection go on: Leave ends them. idle is called when none is left. New ones must not come any more. Only for the
// reactor's goroutine.
func (s *Server) Fade(_ time.Duration, idle func()) {
	s.draining, s.idle = true, idle
	s.checkIdle()
}

// Leave ends what Fade lets go on, as Drain does. Only for the reactor's goroutine.
func (s *Server) Leave() { s.each((*conn).Leave) }

// Abort closes every connection at once. Only for the reactor's goroutine.
func (s *Server) Abort() { s.each(func(c *conn) { c.Reset() }) }

// each calls f for every connection; f may close it.
func (s *Server) each(f func(*conn)) {
	s.r.Each(func(p reactor.Protocol) {
		if c, ok := p.(*conn); ok && c.door.s == s {
			f(c)
		}
	})
}

// gone counts a closed connection.
func (s *Server) gone() {
	s.live--
	s.checkIdle()
}

func (s *Server) checkIdle() {
	if s.draining && s.live == 0 && s.idle != nil {
		idle := s.idle
		s.idle = nil
		idle()
	}
}
