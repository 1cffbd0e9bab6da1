package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// http2Conn is a connection of HTTP/2, which serves many requests at once.
type http2Conn struct {
	client *Client
	key    string
	h2     *http.ClientConn

	mu      sync.Mutex
	since   time.Time // it has had no request
	streams int
	retired bool
	over    bool
}

// http2Transport makes a connection of HTTP/2 of a socket.
func http2Transport(raw net.Conn) *http.Transport {
	give := func(context.Context, string, string) (net.Conn, error) { return raw, nil }
	t := &http.Transport{
		DialContext: give, DialTLSContext: give, DisableCompression: true, MaxResponseHeaderBytes: maxHead,
		Protocols: new(http.Protocols),
		HTTP2:     &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}, // a silent connection is asked
	}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

// newHTTP2 speaks HTTP/2 on a socket, and lets others have their share. One request's place is reserved.
func (c *Client) newHTTP2(ctx context.Context, raw net.Conn, way route) (conn, *Error) {
	scheme := "http"
	if way.secure {
		scheme = "https"
	}
	h2, err := http2Transport(raw).NewClientConn(ctx, scheme, way.host)
	if err == nil {
		err = h2.Reserve()
	}
	if err != nil {
		_ = raw.Close()
		return nil, failed(err, ConnectError, ConnectTimeout)
	}
	s := &http2Conn{client: c, key: way.key, h2: h2, streams: 1}
	c.mu.Lock()
	c.shared[s.key] = append(c.shared[s.key], s)
	c.mu.Unlock()
	return s, nil
}

// reserve takes a place for a request; false if there is none. The client's lock is held.
func (s *http2Conn) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired || s.h2.Reserve() != nil {
		return false
	}
	s.streams++
	return true
}

// retire has the connection end with its last request. The client's lock is held.
func (s *http2Conn) retire() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.finish(0)
}

// done counts a request out; a connection that takes no more ends with the last.
func (s *http2Conn) done() {
	s.client.mu.Lock()
	ended := s.finish(1)
	s.client.waiting.wake(s.key, false)
	s.client.mu.Unlock()
	if ended {
		s.client.leave()
	}
}

// finish takes n requests off, and reports whether the connection has ended with that. The client's lock is held.
func (s *http2Conn) finish(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams -= n
	if s.over || s.streams > 0 {
		return false
	}
	s.since = time.Now()
	if !s.retired && s.h2.Err() == nil && s.client.settings.MaxIdle != 0 {
		s.expireLater()
		return false
	}
	return s.end()
}

// end closes the connection. Both locks are held.
func (s *http2Conn) end() bool {
	s.over, s.retired = true, true
	list := s.client.shared[s.key]
	for i, other := range list {
		if other == s {
			s.client.shared[s.key] = append(list[:i:i], list[i+1:]...)
		}
	}
	if len(s.client.shared[s.key]) == 0 {
		delete(s.client.shared, s.key)
	}
	_ = s.h2.Close()
	return true
}

// expireLater ends the connection if it stays without a request. The lock is held.
func (s *http2Conn) expireLater() {
	if s.client.settings.IdleFor < 0 {
		return
	}
	time.AfterFunc(s.client.settings.IdleFor, func() {
		s.client.mu.Lock()
		s.mu.Lock()
		ended := s.streams == 0 && !s.over && time.Since(s.since) >= s.client.settings.IdleFor && s.end()
		s.mu.Unlock()
		s.client.mu.Unlock()
		if ended {
			s.client.leave()
		}
	})
}

// mayRepeat is for a server that says goodbye; the library repeats nothing on one connection.
func (s *http2Conn) mayRepeat(r *Request) bool {
	return r.replayable() && s.h2.Err() != nil
}

// hopByHop are fields that HTTP/2 has no place for (RFC 9113 §8.2.2), and Host, which it says otherwise.
var hopByHop = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "transfer-encoding": true, "upgrade": true, "host": true,
}

// roundTrip sends a request and waits for the head of its response.
func (s *http2Conn) roundTrip(ctx context.Context, r *Request, _ route) (*Response, *Error) {
	ctx, cancel := context.WithCancelCause(ctx)
	b := &http2Body{conn: s, cancel: cancel, timeouts: r.Timeouts}
	b.timer = time.AfterFunc(time.Hour, func() { cancel(&Error{ReadTimeout, "the time for it is over"}) })
	b.timer.Stop()
	request := s.request(ctx, r, b)
	if request.Body == nil {
		b.wait()
	}
	answer, err := s.h2.RoundTrip(request)
	b.timer.Stop()
	if err != nil {
		err := b.failure(ctx, err)
		cancel(err)
		s.done()
		return nil, err
	}
	b.ctx, b.in = ctx, answer.Body
	response := &Response{Status: answer.StatusCode, Version: 20, body: b}
	b.response, b.trailer = response, answer
	response.Fields = fieldsOf(answer.Header)
	return response, nil
}

// fieldsOf makes fields, in lower case as they came, of a header; their order is lost but for those of one name.
func fieldsOf(h http.Header) []Field {
	fields := make([]Field, 0, len(h))
	for name, values := range h {
		for _, value := range values {
			fields = append(fields, Field{strings.ToLower(name), value})
		}
	}
	return fields
}

func (s *http2Conn) request(ctx context.Context, r *Request, b *http2Body) *http.Request {
	scheme := "http"
	if r.Secure {
		scheme = "https"
	}
	path, query, _ := strings.Cut(r.Target, "?")
	request := &http.Request{
		Method: r.Method, Host: r.Host, Header: http.Header{}, ContentLength: -1,
		URL: &url.URL{Scheme: scheme, Host: r.Host, Opaque: r.Target},
	}
	if strings.HasPrefix(r.Target, "/") {
		request.URL = &url.URL{Scheme: scheme, Host: r.Host, Path: path, RawPath: path, RawQuery: query}
		if decoded, err := url.PathUnescape(path); err == nil {
			request.URL.Path = decoded
		}
	}
	for _, f := range r.Fields {
		name := strings.ToLower(f.Name)
		switch {
		case name == "host":
			request.Host = f.Value
		case name == "content-length":
			if n, ok := parseLength(f.Value); ok {
				request.ContentLength = n
			}
		case !hopByHop[name]:
			request.Header[http.CanonicalHeaderKey(name)] = append(request.Header[http.CanonicalHeaderKey(name)], f.Value)
		}
	}
	if _, ok := request.Header["User-Agent"]; !ok {
		request.Header["User-Agent"] = nil // none, rather than the library's
	}
	if r.Body == nil && len(r.First) == 0 {
		request.ContentLength = 0
		return request.WithContext(ctx)
	}
	request.Body = &http2Sender{body: b, first: r.First, rest: r.Body}
	return request.WithContext(ctx)
}

// http2Sender is the body of a request, which the library reads.
type http2Sender struct {
	body  *http2Body
	first []byte
	rest  io.Reader
	ended atomic.Bool
}

// Read reads a part, and starts the wait for the response behind the last.
func (s *http2Sender) Read(p []byte) (int, error) {
	if len(s.first) > 0 {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	if s.rest != nil {
		n, err := s.rest.Read(p)
		if err != nil {
			s.rest = nil
		}
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
	}
	if !s.ended.Swap(true) {
		s.body.wait()
	}
	return 0, io.EOF
}

// Close does nothing: who gave the body ends it.
func (s *http2Sender) Close() error { return nil }

// http2Body is the body of a response on its stream. A read past its time cancels the stream.
type http2Body struct {
	conn     *http2Conn
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	timeouts Timeouts
	in       io.ReadCloser
	response *Response
	trailer  *http.Response
	over     error
}

// wait starts the time in which something must come.
func (b *http2Body) wait() {
	if b.timeouts.Read > 0 {
		b.timer.Reset(b.timeouts.Read)
	}
}

func (b *http2Body) read(p []byte, wait bool) (int, error) {
	if b.over != nil {
		return 0, b.over
	}
	if !wait && b.trailer.ContentLength != 0 {
		return 0, nil // the library can't say what is there
	}
	b.wait()
	n, err := b.in.Read(p)
	b.timer.Stop()
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.response.Trailers = fieldsOf(b.trailer.Trailer)
		b.over = io.EOF
	default:
		b.over = b.failure(b.ctx, err)
	}
	b.cancel(nil)
	b.conn.done()
	return n, b.over
}

func (b *http2Body) close() {
	if b.over != nil {
		return
	}
	b.over = &Error{Cancelled, "closed"}
	b.cancel(nil)
	_ = b.in.Close()
	b.conn.done()
}

// failure makes an Error of what the library says.
func (b *http2Body) failure(ctx context.Context, err error) *Error {
	var e *Error
	if errors.As(context.Cause(ctx), &e) || errors.As(err, &e) {
		return e
	}
	switch text := err.Error(); { // the library has no types for them
	case ctx.Err() != nil:
		return &Error{Cancelled, "cancelled"}
	case strings.Contains(text, "stream error"), strings.Contains(text, "connection error"), strings.Contains(text, "GOAWAY"):
		return protocol(strings.TrimPrefix(text, "http2: "))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return protocol("the server has closed the connection")
	}
	if isTimeout(err) {
		return &Error{ReadTimeout, "the time for it is over"}
	}
	return &Error{ReadError, strings.TrimPrefix(plain(err), "http2: ")}
}
