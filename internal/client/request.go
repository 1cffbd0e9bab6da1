package client

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// Field is one header or trailer field.
type Field struct{ Name, Value string }

// Timeouts are those of httpx; 0 is none. Connect is for each of connecting, a proxy's answer and the TLS handshake, Read and
// Write for each piece that is read or written, Pool for the wait for a connection.
type Timeouts struct{ Connect, Read, Write, Pool time.Duration }

// Request is what is to be sent.
type Request struct {
	Method string
	Secure bool   // https
	Host   string // host:port to connect to
	Target string // path and query, as they are to stand in the request line
	Fields []Field
	// First is the body, or its first part. Body is the rest, if there is any; each Read may wait. It is read by one goroutine,
	// and no more once the response was read to its end or closed.
	First []byte
	Body  io.Reader
	Timeouts
}

const maxTarget = 64 << 10

// check judges a request by what could break it out of its place in the protocol.
func (r *Request) check() error {
	switch {
	case !isToken(r.Method):
		return &Error{LocalProtocolError, "illegal method " + strconv.Quote(r.Method)}
	case r.Target == "" || len(r.Target) > maxTarget || strings.ContainsFunc(r.Target, isNoTarget):
		return &Error{LocalProtocolError, "illegal target of a request"}
	case r.Host == "" || strings.ContainsFunc(r.Host, isNoTarget):
		return &Error{UnsupportedProtocol, "illegal host of a request"}
	}
	for _, f := range r.Fields {
		if !isToken(f.Name) {
			return &Error{LocalProtocolError, "illegal header name " + strconv.Quote(f.Name)}
		}
		if !isValue(f.Value) {
			return &Error{LocalProtocolError, "illegal value of header " + f.Name} // which may be a secret
		}
	}
	_, err := r.framing()
	return err
}

// framing is how long the body is to be, by the fields: a length, or -1 for chunks. Two ways of saying it, or twice, would let the
// other side see another request behind this one.
func (r *Request) framing() (int64, error) {
	length, said := int64(-1), 0
	for _, f := range r.Fields {
		switch {
		case strings.EqualFold(f.Name, "content-length"):
			n, ok := parseLength(f.Value)
			if !ok || strings.Contains(f.Value, ",") {
				return 0, &Error{LocalProtocolError, "illegal Content-Length of a request"}
			}
			length = n
			said++
		case strings.EqualFold(f.Name, "transfer-encoding"):
			if !strings.EqualFold(f.Value, "chunked") {
				return 0, &Error{LocalProtocolError, "a Transfer-Encoding of a request that is not chunked"}
			}
			said++
		}
	}
	switch {
	case said > 1:
		return 0, &Error{LocalProtocolError, "the length of a request's body is said more than once"}
	case said == 0 && r.Body == nil && len(r.First) == 0:
		return 0, nil
	case length >= 0 && int64(len(r.First)) > length:
		return 0, &Error{LocalProtocolError, tooMuch}
	case length >= 0 && r.Body == nil && int64(len(r.First)) < length:
		return 0, &Error{LocalProtocolError, tooLittle}
	}
	return length, nil
}

const (
	tooMuch   = "the body is longer than its Content-Length"
	tooLittle = "the body is shorter than its Content-Length"
)

func isNoTarget(c rune) bool { return c <= ' ' || c == 0x7f }

// isToken is RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0:
			return false
		}
	}
	return s != ""
}

// isValue is RFC 9110 §5.5, as far as it keeps fields apart.
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// has says whether a request has a field, and its value.
func (r *Request) has(name string) (string, bool) { return find(r.Fields, name) }

func find(fields []Field, name string) (string, bool) {
	for i := range fields {
		if len(fields[i].Name) == len(name) && strings.EqualFold(fields[i].Name, name) {
			return fields[i].Value, true
		}
	}
	return "", false
}

// replayable says whether a request may be sent again (RFC 9110 §9.2.2), all of it being here.
func (r *Request) replayable() bool {
	switch r.Method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return r.Body == nil
	}
	return false
}

// Response is what came back. Its body is read by one goroutine.
type Response struct {
	Status   int
	Phrase   string
	Version  int // 10, 11, 20
	Fields   []Field
	Trailers []Field // known when Read has said io.EOF
	body     body
}

// body is the rest of a response on its connection.
type body interface {
	// read reads a part of the body; without wait only what is there, and that may be nothing. io.EOF may come with the last part.
	read(p []byte, wait bool) (int, error)
	close()
}

// Read reads a part of the body. Other than io.EOF its errors are *Errors. io.EOF may come with the last part.
func (r *Response) Read(p []byte) (int, error) { return r.body.read(p, true) }

// Available reads what of the body is there, without waiting.
func (r *Response) Available(p []byte) (int, error) { return r.body.read(p, false) }

// Close ends the exchange. After the end of the body it does nothing.
func (r *Response) Close() { r.body.close() }
