package web

import (
	"crypto/tls"
	"errors"
	"log/slog"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// shake has TLS come before HTTP.
func (c *httpConn) shake() { c.shakeBehind(nil) }

// shakeBehind does so behind something else that the client has sent; received is what came with that.
func (c *httpConn) shakeBehind(received []byte) {
	c.Secure(c.tls, received, c.s.cfg.HeaderTimeout, func(err error) {
		if err == nil {
			c.headTimer()
			return
		}
		if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && isRequest(e.RecordHeader) {
			c.Plain()
			c.answerPlain()
			return
		}
		c.s.cfg.Refusals.Note(telemetry.HandshakeFailed, c.Reactor().Now(), slog.String("reason", err.Error()), c.peer())
	})
}

// errPlain answers a client that speaks HTTP without TLS.
var errPlain = &http1.Error{Status: 400, Reason: "HTTP without TLS came to a port for HTTPS"}

// answerPlain tells it.
func (c *httpConn) answerPlain() {
	c.s.cfg.Refusals.Note(telemetry.Malformed, c.Reactor().Now(), slog.Int("status", errPlain.Status),
		slog.String("reason", errPlain.Reason), c.peer())
	o := c.ownOptions(errPlain.Status, true)
	out := http1.AppendError(c.Reactor().Scratch[:0], &http1.Head{Version: exchange.HTTP10}, errPlain.Status, &o, errPlain.Reason)
	c.Reactor().Scratch = out[:0]
	c.Send(out, nil, "")
	c.Shut(true)
}

// isRequest says whether five bytes may be the beginning of a request without TLS.
func isRequest(b [5]byte) bool {
	for i, x := range b {
		if letter := 'A' <= x && x <= 'Z'; !letter && (i < 3 || x != ' ' && x != '/' && x != '*') {
			return false
		}
	}
	return true
}
