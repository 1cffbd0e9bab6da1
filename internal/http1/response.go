package http1

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Errors of a response: the application's mistakes. What Begin, Trailers and AppendInform return wraps one of them.
var (
	ErrResponseStatus = errors.New("invalid response status")
	ErrResponsePhrase = errors.New("invalid reason phrase")
	ErrResponseName   = errors.New("invalid response field name")
	ErrResponseValue  = errors.New("invalid response field value")
	ErrResponseLength = errors.New("invalid Content-Length in the response")
)

// HeadOptions is what the server has to say in a response head, beyond the application. All lines are ready-made, in lower case
// and with CR LF.
type HeadOptions struct {
	Date   []byte // "date: …\r\n", left out if the application gave its own; nil for none
	Server []byte // "server: …\r\n", likewise
	Extra  []byte // more lines
	Close  bool   // the connection must end after this response
	CGI    bool   // the status goes into a field (RFC 3875 §6.3.3), not into a status line
	// Upgrade says that an Upgrade field is among Extra, so Connection has to name it (RFC 9110 §7.8).
	Upgrade bool
}

// framing says how the body of a response is marked off.
type framing uint8

const (
	bodyless   framing = iota // none goes out, whatever the application sends
	fixed                     // Content-Length
	chunks                    // Transfer-Encoding: chunked
	untilClose                // by the end of the connection
)

// ResponseWriter frames one response: Begin, then Frame for each part of the body, then Trailers if there are any. It copies no
// part of the body.
//
// Framing and the connection are the server's business: the application's Transfer-Encoding, Connection, Keep-Alive and
// Proxy-Connection are dropped, except that "Connection: close" is honoured and "upgrade" is kept. All other fields go out as given, in order.
type ResponseWriter struct {
	left      int64 // of the fixed length
	excess    int64
	framing   framing
	trailers  bool // trailers were announced: they bring the last chunk
	ended     bool
	keepAlive bool
}

// Begin appends the status line and the fields of r, not its body, and decides on the framing. A body that is whole gets a
// Content-Length if the application gave none. If r can't be sent, dst comes back as it was, with an error that wraps one of the
// ErrResponse values.
func (w *ResponseWriter) Begin(dst []byte, h *Head, r *exchange.Response, o *HeadOptions) ([]byte, error) {
	if r.Status < 200 || r.Status > 999 {
		return dst, fmt.Errorf("%w: %d is not a final status", ErrResponseStatus, r.Status)
	}
	g := given{status: r.Status, length: exchange.UnknownLength}
	out, err := appendFirstLine(dst, r, o.CGI)
	if err == nil {
		out, err = g.appendFields(out, r.Buf, r.Fields)
	}
	if err != nil {
		return dst, err
	}
	*w = ResponseWriter{}
	out = w.frameBody(out, h, r, g.length)
	w.keepAlive = h.KeepAlive && !o.Close && !g.close && w.framing != untilClose
	out = appendConnection(out, h.Version, w.keepAlive, g.upgrade)
	return g.appendOptions(out, o), nil
}

// appendFirstLine appends the status, after a look at the application's reason phrase.
func appendFirstLine(dst []byte, r *exchange.Response, cgi bool) ([]byte, error) {
	phrase := r.Phrase.Of(r.Buf)
	if !ValidValue(phrase) {
		return dst, fmt.Errorf("%w: %.80q has a control character", ErrResponsePhrase, phrase)
	}
	return appendStatus(dst, r.Status, phrase, cgi), nil
}

// frameBody decides how the body is framed (RFC 9112 §6.3) and appends the field that says so, unless the application gave it.
func (w *ResponseWriter) frameBody(dst []byte, h *Head, r *exchange.Response, length int64) []byte {
	trailers := r.Trailers && h.Version == exchange.HTTP11
	whole := r.End && !trailers
	switch {
	case r.Status == 205:
		return append(dst, "content-length: 0\r\n"...)
	case r.Status == 204 || r.Status == 304:
		return dst
	case h.HEAD:
		if whole && length < 0 && len(r.Body) > 0 {
			return appendLength(dst, len(r.Body))
		}
		return dst // an empty body says nothing about the length that GET would have
	case length >= 0:
		w.framing, w.left = fixed, length
		return dst
	case whole:
		w.framing, w.left = fixed, int64(len(r.Body))
		return appendLength(dst, len(r.Body))
	case h.Version == exchange.HTTP11:
		w.framing, w.trailers = chunks, trailers
		return append(dst, "transfer-encoding: chunked\r\n"...)
	}
	w.framing = untilClose
	return dst
}

func appendLength(dst []byte, n int) []byte {
	dst = append(dst, "content-length: "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, "\r\n"...)
}

// appendConnection says what is not the version's own way, and upgrade, in one field.
func appendConnection(dst []byte, v exchange.Version, keepAlive, upgrade bool) []byte {
	option := ""
	switch {
	case !keepAlive && v == exchange.HTTP11:
		option = "close"
	case keepAlive && v == exchange.HTTP10:
		option = "keep-alive"
	}
	switch {
	case upgrade && option != "":
		dst = append(append(dst, "connection: "...), option...)
		return append(dst, ", upgrade\r\n"...)
	case upgrade:
		return append(dst, "connection: upgrade\r\n"...)
	case option != "":
		dst = append(append(dst, "connection: "...), option...)
		return append(dst, "\r\n"...)
	}
	return dst
}

// Frame says how the next n bytes of the body go on the wire: prefix, which is dst with something appended; then take of the n
// bytes; then suffix. It takes less than n of what exceeds the application's Content-Length, and nothing of a body that must not
// be sent. end marks the last part; if trailers were announced, Trailers has to follow it.
func (w *ResponseWriter) Frame(dst []byte, n int, end bool) (prefix []byte, take int, suffix string) {
	if w.ended {
		return dst, 0, ""
	}
	switch w.framing {
	case fixed:
		take = int(min(int64(n), w.left))
		w.left -= int64(take)
		w.excess += int64(n - take)
	case untilClose:
		take = n
	case chunks:
		return w.chunk(dst, n, end)
	}
	w.ended = end
	return dst, take, ""
}

func (w *ResponseWriter) chunk(dst []byte, n int, end bool) ([]byte, int, string) {
	last := end && !w.trailers
	w.ended = last
	switch {
	case n > 0 && last:
		return appendSize(dst, n), n, "\r\n0\r\n\r\n"
	case n > 0:
		return appendSize(dst, n), n, "\r\n"
	case last:
		return dst, 0, "0\r\n\r\n"
	}
	return dst, 0, ""
}

func appendSize(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

// Trailers ends a chunked body with trailer fields, of which there may be none; fields that belong to the framing are left out.
// Where the framing has no place for trailers, they are dropped. If one is invalid, dst comes back as it was, with an error.
func (w *ResponseWriter) Trailers(dst, buf []byte, fields []exchange.Field) ([]byte, error) {
	if w.framing != chunks || w.ended {
		w.ended = true
		return dst, nil
	}
	g := given{status: trailerSection, length: exchange.UnknownLength}
	out, err := g.appendFields(append(dst, "0\r\n"...), buf, fields)
	if err != nil {
		return dst, err
	}
	w.ended = true
	return append(out, "\r\n"...), nil
}

// KeepAlive tells whether the connection may carry another exchange after this response, provided that the response was sent to
// its end and the request read to its end.
func (w *ResponseWriter) KeepAlive() bool { return w.keepAlive }

// Framed tells whether the body's own framing shows where it ends, so that the end of the connection before that is no end of it.
func (w *ResponseWriter) Framed() bool { return w.framing != untilClose }

// Excess returns how many bytes beyond the application's Content-Length were dropped so far.
func (w *ResponseWriter) Excess() int64 { return w.excess }

// Missing returns how many bytes of the application's Content-Length have not been framed. If there are any after the end, the
// connection has to be aborted: the client waits for them.
func (w *ResponseWriter) Missing() int64 { return w.left }
