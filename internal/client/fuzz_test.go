package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// script is a connection on which a server says something, whatever it is asked, in pieces of a size.
type script struct {
	net.Conn // none: no other method is called
	says     *bytes.Reader
	piece    int
}

func (s *script) Read(p []byte) (int, error)       { return s.says.Read(p[:min(len(p), max(s.piece, 1))]) }
func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// hear reads a response to its end.
func hear(method string, says []byte, piece int) (r *Response, body []byte, err error) {
	c := New(Settings{})
	c.open = 1
	conn := newHTTP1(c, &script{says: bytes.NewReader(says), piece: piece}, "")
	request := &Request{Method: method, Host: "example.org:80", Target: "/"}
	r, problem := conn.roundTrip(context.Background(), request, route{})
	if problem != nil {
		return nil, nil, problem
	}
	body, err = io.ReadAll(r)
	return r, body, err
}

func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 200\r\nX: a\r\n b\r\n\r\nuntil the end",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\n\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	} {
		f.Add("GET", []byte(seed))
		f.Add("HEAD", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, method string, says []byte) {
		if method != "HEAD" && method != "CONNECT" {
			method = "GET"
		}
		r, body, err := hear(method, says, len(says))
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("an error of another kind: %v", err)
		}
		again, slowly, late := hear(method, says, 1)
		if (r == nil) != (again == nil) || (err == nil) != (late == nil) || !bytes.Equal(body, slowly) {
			t.Fatalf("%q, %v at once; %q, %v byte by byte", body, err, slowly, late)
		}
		if r == nil {
			return
		}
		if r.Status < 101 || r.Status > 999 || len(body) > len(says) {
			t.Fatalf("status %d, %d bytes of %d", r.Status, len(body), len(says))
		}
		for _, field := range append(r.Fields, r.Trailers...) {
			if !isToken(field.Name) || !isValue(field.Value) {
				t.Fatalf("a field %q", field)
			}
		}
	})
}
