package http1

import (
	"bytes"
	"fmt"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Continue is the interim response that a client with Expect: 100-continue waits for.
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

// allow is the Allow field that RFC 9110 §15.5.6 wants with a 405: the engine itself refuses CONNECT only.
const allow = "allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n"

// AppendInform appends an interim (1xx) response. HTTP/1.0 has none: for such a client dst comes back as it was, as it does,
// with an error, if r can't be sent. 101 is not among them: it ends HTTP on the connection.
func AppendInform(dst []byte, h *Head, r *exchange.Response) ([]byte, error) {
	if r.Status < 100 || r.Status > 199 || r.Status == 101 {
		return dst, fmt.Errorf("%w: %d is not an interim status", ErrResponseStatus, r.Status)
	}
	g := given{status: r.Status, length: exchange.UnknownLength}
	out, err := g.appendFields(appendStatusLine(dst, r.Status), r.Buf, r.Fields)
	if err != nil || h.Version != exchange.HTTP11 {
		return dst, err
	}
	return append(out, "\r\n"...), nil
}

// AppendUpgrade appends the response by which the connection goes over to another protocol (RFC 9110 §15.2.2). lines are Upgrade,
// Connection, and that protocol's fields, each with its CRLF; a tells which of them are the application's. What follows is no HTTP.
func AppendUpgrade(dst, lines []byte, a *exchange.Acceptance, o *HeadOptions) []byte {
	g := given{status: 101, length: exchange.UnknownLength}
	for _, f := range a.Fields {
		_, _ = g.note(f.Name.Of(a.Buf), f.Value.Of(a.Buf)) // for Date and Server; the others were judged with the lines
	}
	return g.appendOptions(append(appendStatusLine(dst, 101), lines...), o)
}

// Unread is what is known of a request whose head, which buf begins with, was refused or did not come to its end: whether the
// answer may have a body.
func Unread(buf []byte) Head {
	for len(buf) >= 2 && buf[0] == '\r' && buf[1] == '\n' {
		buf = buf[2:]
	}
	return Head{Version: exchange.HTTP11, HEAD: bytes.HasPrefix(buf, []byte("HEAD "))}
}

// AppendError appends a whole response of the server's own: text, or the reason phrase if it is empty, as text/plain. h is nil
// if the request had no readable head; the connection then has to close.
func AppendError(dst []byte, h *Head, status int, o *HeadOptions, text string) []byte {
	if h == nil {
		h = &Head{Version: exchange.HTTP11}
	}
	if text == "" {
		text = StatusText(status)
	}
	dst = appendStatus(dst, status, nil, o.CGI)
	if status == 405 {
		dst = append(dst, allow...)
	}
	dst = append(dst, "content-type: text/plain; charset=utf-8\r\n"...)
	dst = appendLength(dst, len(text)+len("\n"))
	dst = appendConnection(dst, h.Version, h.KeepAlive && !o.Close, o.Upgrade)
	dst = (&given{}).appendOptions(dst, o)
	if h.HEAD {
		return dst
	}
	dst = append(dst, text...)
	return append(dst, '\n')
}
