// Package stream is plain TCP connections on a reactor, whose bytes an application's handler has both ways.
//
// A Server has the connections of one reactor and hands each to an exchange.Application; it never knows the pool behind it.
// Everything here is touched by the reactor's goroutine alone. A connection reads only what its handler has asked for, so an idle one
// holds nothing but itself, and neither a handler nor a client that is slow makes the other's bytes pile up.
package stream

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/forwarded"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// Config is the same for all reactors. It does not change once connections exist.
type Config struct {
	BufferLimit   int           // bytes of buffers on one reactor, 0 for no limit
	HeaderTimeout time.Duration // for the header of the PROXY protocol, and for a handshake; 0 for none
	Log           *slog.Logger
	Refusals      *telemetry.Refusals
}

// Server has the connections of one reactor, whatever listener they came from.
type Server struct {
	reactor.Connections
	cfg *Config
	app exchange.Application
}

// New makes the TCP side of a reactor, before it runs.
func New(r *reactor.Reactor, cfg *Config, app exchange.Application) *Server {
	s := &Server{cfg: cfg, app: app}
	s.Start(r, cfg.BufferLimit, cfg.Log)
	return s
}

// Door is one listening socket.
type Door struct {
	FD       int
	Target   uint16           // which of the workers' targets takes its connections; 0: the application
	Server   exchange.Address // what was bound; without a family if each connection has its own
	UnixPath string
	Proxies  *forwarded.Trust // who begins with a PROXY protocol header; nil for nobody
	TLS      *tls.Config      // nil: it can't be had
	Secure   bool             // TLS comes before all else
}

// door makes connections of accepted sockets.
type door struct {
	Door
	s *Server
}

// Serve accepts connections from a listening socket. Only for the reactor's goroutine. The returned function ends it.
func (s *Server) Serve(d Door) (stop func(), err error) {
	return s.Listen(d.FD, &door{s: s, Door: d})
}

// Accept makes a connection of a socket.
func (d *door) Accept(fd int, client exchange.Address) {
	c := &conn{door: d}
	c.Arrive(&d.s.Connections, fd, c, &d.Door, d.s.cfg, client)
}
