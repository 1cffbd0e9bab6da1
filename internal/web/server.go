// Package web is HTTP connections on a reactor: HTTP/1.1, and uwsgi and SCGI of web servers in front.
//
// A Server has the connections of one reactor and hands their requests to an exchange.Application; it never knows the pool behind
// it. Everything here is touched by the reactor's goroutine alone. An idle connection holds nothing but itself: the head being read,
// the exchange and all buffers are borrowed.
package web

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/awaitd/awaitd/internal/cgi"
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/forwarded"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/telemetry"
	"github.com/awaitd/awaitd/internal/websocket"
)

// Config is how HTTP/1.1 is spoken; the same for all reactors. It does not change once connections exist.
type Config struct {
	Limits        http1.Limits
	BodyLimit     int64         // largest request body, 0 for none (413)
	HeaderTimeout time.Duration // from a head's first byte to its last (408), 0 for none
	BodyTimeout   time.Duration // the longest wait for the next part of a body (408), 0 for none
	KeepAlive     time.Duration // how long an idle connection is kept; 0: none is
	BufferLimit   int           // bytes of buffers on one reactor, 0 for no limit
	Server        []byte        // "server: awaitd\r\n", or nothing
	Date          bool
	Extra         []byte           // header lines for every response, each with its CRLF
	Trust         *forwarded.Trust // whose word counts for who the client is; nil for nobody's
	Access        *telemetry.AccessLog
	Log           *slog.Logger
	Refusals      *telemetry.Refusals
	Sockets       SocketConfig
}

// Server speaks HTTP/1.1, and uwsgi and SCGI with web servers in front, on one reactor: it owns all its connections, whatever
// listener they came from, and hands their requests to an application.
type Server struct {
	reactor.Connections
	cfg        *Config
	app        exchange.Application
	packets    *cgi.Parser
	sockets    *websocket.Engine
	prepared   websocket.Prepared // what many are told, and the broadcast that it is for
	preparedID uint64
	spare      []*httpExchange
	date       []byte // "date: Mon, 23 Nov 2026 13:15:26 GMT\r\n"
	dateAt     int64
	hinted     int  // see httpExchange.hint
	leaving    bool // WebSockets are closed, too
}

// New makes the HTTP side of a reactor, before it runs.
func New(r *reactor.Reactor, cfg *Config, app exchange.Application) *Server {
	s := &Server{cfg: cfg, app: app, packets: cgi.NewParser(&cfg.Limits), sockets: websocket.NewEngine(cfg.Sockets.Settings)}
	s.Start(r, cfg.BufferLimit, cfg.Log)
	return s
}

// Door is one listening socket, and what is spoken behind it.
type Door struct {
	FD       int
	Server   exchange.Address // what was bound; without a family if each connection has its own
	UnixPath string
	Proxies  *forwarded.Trust // who begins with a PROXY protocol header; nil for nobody
	TLS      *tls.Config      // nil: there is none
	Packets  cgi.Protocol     // how a web server in front packs its requests; 0 if HTTP is spoken here
}

// Serve accepts connections from a listening socket. Only for the reactor's goroutine. The returned function ends it.
func (s *Server) Serve(d Door) (stop func(), err error) {
	return s.Listen(d.FD, &door{s: s, Door: d})
}

// door makes connections of accepted sockets.
type door struct {
	Door
	s *Server
}

// keepExchanges bounds the stock of exchange objects; more are left to the garbage collector.
const keepExchanges = 256

// borrow takes an exchange object for a connection that has begun to receive a head.
func (s *Server) borrow(c *httpConn) *httpExchange {
	var x *httpExchange
	if n := len(s.spare); n > 0 {
		x, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		x = &httpExchange{}
	}
	x.begin(c)
	return x
}

// giveBack takes it back.
func (s *Server) giveBack(x *httpExchange) {
	x.clear()
	if len(s.spare) < keepExchanges {
		s.spare = append(s.spare, x)
	}
}

// dateLine returns the Date field for now; it is made once a second.
func (s *Server) dateLine(now time.Time) []byte {
	if at := now.Unix(); at != s.dateAt {
		s.dateAt = at
		s.date = now.UTC().AppendFormat(append(s.date[:0], "date: "...), "Mon, 02 Jan 2006 15:04:05 GMT\r\n")
	}
	return s.date
}

// Accept makes a connection of a socket.
func (d *door) Accept(fd int, client exchange.Address) {
	s := d.s
	c := &httpConn{s: s, unix: d.UnixPath, packets: d.Packets, tls: d.TLS, proxied: d.Proxies != nil && d.Proxies.Has(client)}
	switch {
	case !s.Entered(c.Open(s.Reactor(), fd, c, client, d.Server)):
	case c.tls != nil && !c.proxied:
		c.shake()
	default:
		c.headTimer() // one that never says anything is treated like a slow head, but closed in silence
	}
}

// Drain closes idle connections and WebSockets, and has every other connection close after its response. idle is called when none is
// left. New connections must not come any more. Only for the reactor's goroutine.
func (s *Server) Drain(idle func()) {
	s.leaving = true
	s.Connections.Drain(idle)
}

// Fade has every connection close after its next response; those that are idle by then are closed after a while. WebSockets go on:
// Leave ends them. idle is called when no connection is left. New ones must not come any more. Only for the reactor's goroutine.
func (s *Server) Fade(while time.Duration, idle func()) {
	s.Reactor().After(while, s.Connections.Leave)
	s.Connections.Fade(while, idle)
}

// Leave closes what Fade lets go on for a while: idle connections, and WebSockets. Only for the reactor's goroutine.
func (s *Server) Leave() {
	s.leaving = true
	s.Connections.Leave()
}
