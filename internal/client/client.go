// Package client is an HTTP client with the manners of httpx: its limits, its four timeouts, and a failure for each of its
// exceptions. Header fields are sent, and given back, as they are: in their order, with their case, none added but what the
// protocol needs. Redirects, cookies, authentication and content codings are the caller's business.
//
// A Client has a pool of connections. Do takes one, sends the request and reads the head of the response; reading the body to its
// end, or Close, gives the connection back or ends it. HTTP/1.1 is spoken here; HTTP/2 by net/http.
package client

import (
	"context"
	"crypto/tls"
	"sync"
	"time"
)

// Settings of a Client. The zero value verifies certificates, speaks HTTP/1.1, and has no limits.
type Settings struct {
	TLS   *tls.Config // for https; nil: the usual one
	HTTP1 bool        // it speaks HTTP/1.1; if neither is set, it does
	HTTP2 bool        // over TLS by ALPN; with HTTP1 unset, without TLS as well

	MaxConnections int           // over all origins; 0: no limit
	MaxIdle        int           // of them, idle ones; 0: none, negative: no limit
	IdleFor        time.Duration // how long a connection may be idle; negative: for ever

	Retries      int                                   // how often a connection that failed is tried again
	Proxy        func(secure bool, host string) *Proxy // for host:port; nil: none, and so may it return
	Unix         string                                // the unix socket that every connection goes to
	LocalAddress string                                // an IP address to connect from
	Deny         func(address string) error            // asked about each IP address before a connection is made to it
}

// Client sends requests. All of its methods are safe for use by several goroutines.
type Client struct {
	settings Settings
	dialer   dialer

	mu      sync.Mutex
	idle    idleList
	shared  map[string][]*http2Conn // by key: connections that take several requests
	dialing map[string]bool         // by key: a connection is being made that several may share
	open    int                     // connections, with those that are being made
	waiting waiterList
	sweeper *time.Timer
	closed  bool
}

// New makes a client.
func New(s Settings) *Client {
	if !s.HTTP1 && !s.HTTP2 {
		s.HTTP1 = true
	}
	c := &Client{settings: s, shared: map[string][]*http2Conn{}, dialing: map[string]bool{}}
	c.dialer = newDialer(&c.settings)
	return c
}

// Close ends idle connections now, and the others when their request is over.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	drop := c.idle.takeAll()
	c.open -= len(drop)
	for _, list := range c.shared {
		for _, s := range list {
			s.retire()
		}
	}
	c.mu.Unlock()
	for _, conn := range drop {
		conn.hangUp()
	}
}

// Do sends a request and returns the head of its response. The error, if there is one, is an *Error. ctx cancels all of it, the
// reading of the body too.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	way := c.route(r)
	for again := false; ; again = true {
		conn, err := c.acquire(ctx, way, &r.Timeouts)
		if err != nil {
			return nil, err
		}
		response, problem := conn.roundTrip(ctx, r, way)
		if problem == nil {
			return response, nil
		}
		if again || !conn.mayRepeat(r) || ctx.Err() != nil {
			return nil, problem.of(ctx)
		}
	}
}

// conn is a connection that a request can be sent on.
type conn interface {
	roundTrip(ctx context.Context, r *Request, way route) (*Response, *Error)
	// mayRepeat says, of a request that has failed, whether another connection may be tried: this one was kept from an earlier
	// request, and ended without a byte of response, as a server does that has closed it meanwhile.
	mayRepeat(r *Request) bool
}
