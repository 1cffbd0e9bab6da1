// Package mail is SMTP and LMTP sessions on a reactor, whose messages an application takes.
//
// A Server has the connections of one reactor. The engine (internal/smtp) speaks with the client; the application decides about the
// commands that it has asked for, and has every message before the client hears that it was taken. Between the two are texts of JSON
// and the bytes of messages (docs/reference/asgi-streams.md). Everything here is touched by the reactor's goroutine alone.
package mail

import (
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/smtp"
	"github.com/awaitd/awaitd/internal/stream"
)

// Config is the same for all reactors. It does not change once connections exist.
type Config struct {
	stream.Config
	Settings smtp.Settings // without Mechanisms, LMTP and TLS
	Rates    *Rates        // of messages; nil: any
}

// Server has the sessions of one reactor.
type Server struct {
	reactor.Connections
	cfg *Config
	app exchange.Application
}

// New makes the mail side of a reactor, before it runs.
func New(r *reactor.Reactor, cfg *Config, app exchange.Application) *Server {
	s := &Server{cfg: cfg, app: app}
	s.Start(r, cfg.BufferLimit, cfg.Log)
	return s
}

// Door is one listening socket.
type Door struct {
	stream.Door
	LMTP bool // is spoken here, in place of SMTP
}

// door makes connections of accepted sockets.
type door struct {
	Door
	s           *Server
	plain, auth smtp.Settings // for handlers that know nobody by name, and for those that do
}

// Serve accepts connections from a listening socket. Only for the reactor's goroutine. The returned function ends it.
func (s *Server) Serve(d Door) (stop func(), err error) {
	x := &door{s: s, Door: d, plain: s.cfg.Settings}
	x.plain.LMTP, x.plain.TLS = d.LMTP, d.TLS != nil
	x.auth = x.plain
	x.auth.Mechanisms = []string{smtp.Plain, smtp.Login}
	return s.Listen(d.FD, x)
}

// Accept makes a connection of a socket.
func (d *door) Accept(fd int, client exchange.Address) {
	c := &conn{door: d}
	c.Arrive(&d.s.Connections, fd, c, &d.Door.Door, &d.s.cfg.Config, client)
}
