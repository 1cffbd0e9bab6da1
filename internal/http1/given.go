package http1

import (
	"fmt"

	"github.com/awaitd/awaitd/internal/exchange"
)

// trailerSection stands for a status where there is none: in trailers no field about framing survives.
const trailerSection = 0

// given collects what the application's own fields say about matters that the server takes care of.
type given struct {
	status  int
	length  int64 // Content-Length, or exchange.UnknownLength
	close   bool  // Connection: close
	upgrade bool  // Connection: upgrade, which RFC 9110 §7.8 wants beside Upgrade
	date    bool
	server  bool
}

// appendFields checks the fields and appends those that go out.
func (g *given) appendFields(dst, buf []byte, fields []exchange.Field) ([]byte, error) {
	for i := range fields {
		name, value := fields[i].Name.Of(buf), fields[i].Value.Of(buf)
		if !ValidToken(name) {
			return dst, fmt.Errorf("%w: %.80q", ErrResponseName, name)
		}
		if !ValidValue(value) {
			return dst, fmt.Errorf("%w: %.80q has a control character", ErrResponseValue, name)
		}
		keep, err := g.note(name, value)
		if err != nil {
			return dst, err
		}
		if !keep {
			continue
		}
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		dst = append(dst, value...)
		dst = append(dst, "\r\n"...)
	}
	return dst, nil
}

// note takes in a field and tells whether it goes out.
func (g *given) note(name, value []byte) (keep bool, err error) {
	switch len(name) {
	case len("date"):
		g.date = g.date || isFold(name, "date")
	case len("server"):
		g.server = g.server || isFold(name, "server")
	case len("connection"): // and len("keep-alive")
		if isFold(name, "connection") {
			options := connectionOptions(value)
			g.close = g.close || options&connectionClose != 0
			g.upgrade = g.upgrade || options&connectionUpgrade != 0
			return false, nil
		}
		return !isFold(name, "keep-alive"), nil
	case len("content-length"):
		if isFold(name, "content-length") {
			return g.noteLength(value)
		}
	case len("proxy-connection"):
		return !isFold(name, "proxy-connection"), nil
	case len("transfer-encoding"):
		return !isFold(name, "transfer-encoding"), nil
	}
	return true, nil
}

// noteLength checks a Content-Length. It goes out once, and not where RFC 9110 §8.6 forbids it (1xx, 204) or only one value is
// right (205, which gets it from frameBody).
func (g *given) noteLength(value []byte) (keep bool, err error) {
	n, ok := ParseLength(value)
	if !ok {
		return false, fmt.Errorf("%w: %.80q", ErrResponseLength, value)
	}
	if g.length >= 0 && g.length != n {
		return false, fmt.Errorf("%w: both %d and %d", ErrResponseLength, g.length, n)
	}
	first := g.length < 0
	g.length = n
	return first && g.status >= 200 && g.status != 204 && g.status != 205, nil
}

// appendOptions appends the server's own fields and the empty line.
func (g *given) appendOptions(dst []byte, o *HeadOptions) []byte {
	if !g.date {
		dst = append(dst, o.Date...)
	}
	if !g.server {
		dst = append(dst, o.Server...)
	}
	dst = append(dst, o.Extra...)
	return append(dst, "\r\n"...)
}
