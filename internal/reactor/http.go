package reactor

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/awaitd/awaitd/internal/cgi"
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/forwarded"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// HTTPConfig is how HTTP/1.1 is spoken; the same for all reactors. It does not change once connections exist.
type HTTPConfig struct {
	Limits        http1.Limits
	BodyLimit     int64         // largest request body, 0 for none (413)
	HeaderTimeout time.Duration // from a head's first byte to its last (408), 0 for none
	BodyTimeout   time.Duration // the longest wait for the next part of a body (408), 0 for none
	SendTimeout   time.Duration // the longest a client may take none of what waits for it, 0 for none
	KeepAlive     time.Duration // how long an idle connection is kept; 0: none is
	BufferLimit   int           // bytes of buffers on one reactor, 0 for no limit
	Server        []byte        // "server: awaitd\r\n", or nothing
	Date          bool
	Extra         []byte           // header lines for every response, each with its CRLF
	Trust         *forwarded.Trust // whose word counts for who the client is; nil for nobody's
	Access        *telemetry.AccessLog
	Log           *slog.Logger
	Refusals      *telemetry.Refusals
}

// HTTP speaks HTTP/1.1, and uwsgi and SCGI with web servers in front, on one reactor: it owns all its connections, whatever listener they came from, and hands their requests
// to an application.
type HTTP struct {
	r        *Reactor
	cfg      *HTTPConfig
	app      exchange.Application
	packets  *cgi.Parser
	spare    []*httpExchange
	date     []byte // "date: Mon, 23 Nov 2026 13:15:26 GMT\r\n"
	dateAt   int64
	ids      idSource
	live     int // open connections
	hinted   int // see httpExchange.hint
	draining bool
	idle     func() // called once, when draining and no connection is left
}

// NewHTTP makes the HTTP/1.1 side of a reactor, before it runs.
func NewHTTP(r *Reactor, cfg *HTTPConfig, app exchange.Application) *HTTP {
	r.stall = cfg.SendTimeout
	return &HTTP{r: r, cfg: cfg, app: app, packets: cgi.NewParser(&cfg.Limits), ids: idSource(rand.Uint64())}
}

// Door is one listening socket as HTTP sees it.
type Door struct {
	FD       int
	Server   exchange.Address // what was bound; without a family if each connection has its own
	UnixPath string
	Proxies  *forwarded.Trust // who begins with a PROXY protocol header; nil for nobody
	Packets  cgi.Protocol     // how a web server in front packs its requests; 0 if HTTP is spoken here
}

// Serve accepts connections from a listening socket. Only for the reactor's goroutine. The returned function ends it.
func (h *HTTP) Serve(d Door) (stop func(), err error) {
	return h.r.listen(d.FD, &door{h: h, Door: d}, func(err error) {
		h.cfg.Log.Error("can't accept connections; trying again soon", "error", err)
	})
}

// door makes connections of accepted sockets.
type door struct {
	Door
	h *HTTP
}

// keepExchanges bounds the stock of exchange objects; more are left to the garbage collector.
const keepExchanges = 256

// borrow takes an exchange object for a connection that has begun to receive a head.
func (s *HTTP) borrow(c *httpConn) *httpExchange {
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
func (s *HTTP) giveBack(x *httpExchange) {
	x.clear()
	if len(s.spare) < keepExchanges {
		s.spare = append(s.spare, x)
	}
}

// Windows: how much of a response may be on its way for one stream.
const (
	// fullWindow keeps a fast client busy over a few turns of both loops, and thousands of slow ones can be borne. It is what one
	// frame of the usual ring carries.
	fullWindow = 64<<10 - 16
	// narrowWindow is for when buffers are short: most answers still fit, and many more slow clients can be borne.
	narrowWindow = 4 << 10
)

// window is how much may be on its way for a stream just now.
func (h *HTTP) window() int {
	if limit := h.cfg.BufferLimit; limit > 0 && h.r.pieces.lent > limit/2 {
		return narrowWindow
	}
	return fullWindow
}

// full says whether no more input may be kept.
func (h *HTTP) full() bool { return h.cfg.BufferLimit > 0 && h.r.pieces.lent > h.cfg.BufferLimit }

// dateLine returns the Date field for now; it is made once a second.
func (s *HTTP) dateLine(now time.Time) []byte {
	if at := now.Unix(); at != s.dateAt {
		s.dateAt = at
		s.date = now.UTC().AppendFormat(append(s.date[:0], "date: "...), "Mon, 02 Jan 2006 15:04:05 GMT\r\n")
	}
	return s.date
}

// idSource makes the ids of exchanges: distinct, and not to be guessed from one another (splitmix64 over a random start).
type idSource uint64

func (s *idSource) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// accept makes a connection of a socket.
func (d *door) accept(fd int, client exchange.Address) {
	h := d.h
	c := &httpConn{h: h, unix: d.UnixPath, packets: d.Packets, proxied: d.Proxies != nil && d.Proxies.Has(client)}
	c.client, c.server = client, d.Server
	if d.UnixPath != "" {
		c.client = exchange.Address{}
	} else {
		noDelay(fd)
		if d.Server.Family == exchange.NoAddress {
			c.server = localAddress(fd)
		}
	}
	if err := c.open(h.r, fd, c); err != nil {
		h.cfg.Log.Error("can't watch a connection", "error", err)
		closeSocket(fd)
		return
	}
	h.live++
	if h.cfg.HeaderTimeout > 0 {
		// A connection that never says anything is treated like a slow head, but closed in silence.
		h.r.wheel.set(&c.timer, h.r.now.Add(h.cfg.HeaderTimeout))
	}
}

// Drain closes idle connections and has every other one close after its response. idle is called when none is left. New
// connections must not come any more. Only for the reactor's goroutine.
func (h *HTTP) Drain(idle func()) {
	h.draining, h.idle = true, idle
	h.leaveIdle()
	h.checkIdle()
}

// Fade has every connection close after its next response; those that are idle by then are closed after a while. idle is called
// when none is left. New connections must not come any more. Only for the reactor's goroutine.
func (h *HTTP) Fade(while time.Duration, idle func()) {
	h.draining, h.idle = true, idle
	h.r.After(while, h.leaveIdle)
	h.checkIdle()
}

// leaveIdle closes idle connections.
func (h *HTTP) leaveIdle() {
	h.each(func(c *httpConn) {
		if c.x == nil && !c.closing {
			c.leave()
		}
	})
}

// Abort closes every connection at once. Only for the reactor's goroutine.
func (h *HTTP) Abort() {
	h.each(func(c *httpConn) { c.lose() })
}

// each calls f for every connection; f may close it.
func (h *HTTP) each(f func(*httpConn)) {
	for i := range h.r.slots {
		if c, ok := h.r.slots[i].h.(*conn); ok {
			if hc, ok := c.proto.(*httpConn); ok && hc.h == h {
				f(hc)
			}
		}
	}
}

// gone counts a closed connection.
func (h *HTTP) gone() {
	h.live--
	h.checkIdle()
}

func (h *HTTP) checkIdle() {
	if h.draining && h.live == 0 && h.idle != nil {
		idle := h.idle
		h.idle = nil
		idle()
	}
}
