package web

import (
	"strings"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/proxyproto"
)

// Who the client is when proxies stand in between: by the header of the PROXY protocol, for a connection; by header fields, for a
// request; by the variables of a web server that packs its requests as uwsgi or SCGI have it.

// parse looks for a whole head in buf: of HTTP/1.1, or a packet.
func (x *httpExchange) parse(buf []byte) (int, *http1.Error) {
	if c := x.c; c.packets != 0 {
		return c.s.packets.Parse(c.packets, buf, &x.req, &x.head)
	}
	return x.parser.Parse(buf, &x.req, &x.head)
}

// begun says whether a part of the head has come.
func (x *httpExchange) begun() bool { return x.parser.Started() || x.c.packets != 0 && x.waits }

// unknownHead is what is known of a request whose head was refused or is not whole: a packet's says nothing of use.
func (c *httpConn) unknownHead(buf []byte) http1.Head {
	if c.packets != 0 {
		return http1.Head{Version: exchange.HTTP10}
	}
	return http1.Unread(buf)
}

// readProxy takes the PROXY protocol header off the connection's first bytes. It reports false when more bytes are needed.
func (c *httpConn) readProxy(buf []byte) bool {
	h, n, err := proxyproto.Parse(buf)
	switch {
	case err != nil:
		c.reject(err)
		return false
	case n == 0:
		if len(c.in) == 0 {
			c.in = c.Reactor().Append(nil, buf)
		}
		return true
	}
	c.proxied = false
	if !h.Local {
		c.Client, c.Server = h.Ends()
		c.unix = ""
	}
	if c.tls != nil {
		rest := append([]byte(nil), buf[n:]...)
		c.keep(nil)
		c.shakeBehind(rest)
		return false
	}
	c.keep(buf[n:])
	return true
}

// believe has the request's own fields say who its client is, if the peer is trusted to have written them.
func (x *httpExchange) believe() {
	trust := x.c.s.cfg.Trust
	if trust == nil {
		x.hint()
		return
	}
	if x.c.unix != "" {
		x.req.Client.Family = exchange.Unix
	}
	trust.Apply(&x.req)
	if x.req.Client.Family == exchange.Unix {
		x.req.Client.Family = exchange.NoAddress
	}
}

// hints is in how many requests of a run a header is looked for that nobody is trusted to send.
const hints = 1000

// hint says, once, that X-Forwarded-For is ignored: whoever puts a proxy in front will wonder.
func (x *httpExchange) hint() {
	s := x.c.s
	if s.hinted >= hints {
		return
	}
	s.hinted++
	const name = "x-forwarded-for"
	for _, f := range x.req.Fields {
		if f.Name.Len() == len(name) && strings.EqualFold(string(f.Name.Of(x.req.Buf)), name) {
			s.hinted = hints
			s.cfg.Log.Info("X-Forwarded-For is ignored; to trust this proxy: --forwarded-allow-ips "+x.c.address(), "id", exchangeID(x.req.ID))
		}
	}
}

// address is the peer as it would be trusted.
func (c *httpConn) address() string {
	if c.unix != "" {
		return "unix"
	}
	return c.Client.AddrPort().Addr().String()
}
