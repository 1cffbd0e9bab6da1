package client

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"time"
)

// route is where the connection for a request leads.
type route struct {
	key     string // connections with the same may serve each other's requests
	host    string // host:port of the origin
	secure  bool
	proxy   *Proxy
	forward bool // the proxy is sent the request itself
}

// route finds the way to a request's origin.
func (c *Client) route(r *Request) route {
	way := route{host: r.Host, secure: r.Secure}
	if c.settings.Proxy != nil && c.settings.Unix == "" {
		way.proxy = c.settings.Proxy(r.Secure, r.Host)
	}
	scheme := "http "
	if r.Secure {
		scheme = "https "
	}
	switch {
	case way.proxy == nil:
		way.key = scheme + r.Host
	case !r.Secure && way.proxy.forwards():
		way.forward = true
		way.key = "proxy " + way.proxy.Host
	default:
		way.key = scheme + r.Host + " by " + way.proxy.Host
	}
	return way
}

// dialer makes connections.
type dialer struct {
	settings *Settings
	net      net.Dialer
	secure   *tls.Config
}

func newDialer(s *Settings) dialer {
	d := dialer{settings: s, secure: s.TLS}
	if d.secure == nil {
		d.secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	d.secure = d.secure.Clone()
	d.secure.NextProtos = nil
	if s.HTTP2 {
		d.secure.NextProtos = append(d.secure.NextProtos, "h2")
	}
	if s.HTTP1 {
		d.secure.NextProtos = append(d.secure.NextProtos, "http/1.1")
	}
	if d.secure.ClientSessionCache == nil {
		d.secure.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if ip := net.ParseIP(s.LocalAddress); ip != nil {
		d.net.LocalAddr = &net.TCPAddr{IP: ip}
	}
	if s.Deny != nil {
		d.net.Control = func(_, address string, _ syscall.RawConn) error { return s.Deny(address) }
	}
	return d
}

// connect makes a connection for a request, which is counted already.
func (c *Client) connect(ctx context.Context, way route, t *Timeouts) (conn, error) {
	made, err := c.dial(ctx, way, t)
	c.dialed(way.key)
	if err != nil {
		c.leave()
		return nil, err.of(ctx)
	}
	return made, nil
}

// Pauses between attempts to connect, as httpx has them: none, half a second, and twice as much each time.
const firstPause = 500 * time.Millisecond

func (c *Client) dial(ctx context.Context, way route, t *Timeouts) (conn, *Error) {
	pause := time.Duration(0)
	for left := c.settings.Retries; ; left-- {
		raw, err := c.dialer.dial(ctx, way, t.Connect)
		if err == nil {
			return c.upon(ctx, raw, way)
		}
		if left <= 0 || ctx.Err() != nil || err.Kind != ConnectError && err.Kind != ConnectTimeout {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = max(2*pause, firstPause)
	}
}

// upon makes a connection of a socket: of the protocol that both ends speak.
func (c *Client) upon(ctx context.Context, raw net.Conn, way route) (conn, *Error) {
	h2 := !c.settings.HTTP1 && !way.secure
	if s, ok := raw.(*tls.Conn); ok && way.secure {
		h2 = s.ConnectionState().NegotiatedProtocol == "h2"
	}
	if h2 && !way.forward {
		return c.newHTTP2(ctx, raw, way)
	}
	return newHTTP1(c, raw, way.key), nil
}

// dial makes a socket that leads to the origin, or to a proxy that is sent requests.
func (d *dialer) dial(ctx context.Context, way route, limit time.Duration) (net.Conn, *Error) {
	raw, err := d.reach(ctx, way, limit)
	if err != nil || !way.secure {
		return raw, err
	}
	return d.shake(ctx, raw, way.host, d.secure, limit)
}

// reach makes a socket to the origin, through a proxy if need be.
func (d *dialer) reach(ctx context.Context, way route, limit time.Duration) (net.Conn, *Error) {
	if d.settings.Unix != "" {
		return d.plain(ctx, "unix", d.settings.Unix, limit)
	}
	if way.proxy == nil {
		return d.plain(ctx, "tcp", way.host, limit)
	}
	if err := d.denyName(way.host); err != nil {
		return nil, err
	}
	raw, err := d.plain(ctx, "tcp", way.proxy.Host, limit)
	if err == nil && way.proxy.Scheme == "https" {
		config := way.proxy.TLS
		if config == nil {
			config = d.secure
		}
		config = config.Clone()
		config.NextProtos = []string{"http/1.1"}
		raw, err = d.shake(ctx, raw, way.proxy.Host, config, limit)
	}
	if err != nil || way.forward {
		return raw, err
	}
	if err = way.proxy.tunnel(ctx, raw, way.host, limit); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return raw, nil
}

// denyName asks about an origin that a proxy will connect to: what its name means is the proxy's business.
func (d *dialer) denyName(host string) *Error {
	name, _, err := net.SplitHostPort(host)
	if d.settings.Deny == nil || err != nil || net.ParseIP(name) == nil {
		return nil
	}
	if err := d.settings.Deny(host); err != nil {
		return &Error{ConnectError, err.Error()}
	}
	return nil
}

func (d *dialer) plain(ctx context.Context, network, address string, limit time.Duration) (net.Conn, *Error) {
	if limit > 0 {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = limited
	}
	raw, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, failed(err, ConnectError, ConnectTimeout)
	}
	return raw, nil
}

// shake does the TLS handshake.
func (d *dialer) shake(ctx context.Context, raw net.Conn, host string, config *tls.Config, limit time.Duration) (net.Conn, *Error) {
	if limit > 0 {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = limited
	}
	if config.ServerName == "" {
		config = config.Clone()
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = host
		}
		config.ServerName = name
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, failed(err, ConnectError, ConnectTimeout)
	}
	return secure, nil
}
