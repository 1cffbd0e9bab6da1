package web

import (
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/reactor"
)

// File sends a part of a file as the rest of the body.
func (x *httpExchange) File(f exchange.File) {
	c := x.c
	x.stream = nil
	size := reactor.FileSize(f)
	if size < 0 {
		c.Lose()
	}
	if c.Closed() {
		c.SendFile(nil, f, 0, "") // which closes it
		return
	}
	r := c.Reactor()
	out, take, tail := x.writer.Frame(r.Scratch[:0], int(size), true)
	r.Scratch = out[:0]
	x.written += int64(take)
	x.sending = true
	c.SendFile(out, f, int64(take), tail)
}

// fileSent ends an exchange whose file has left.
func (x *httpExchange) fileSent() {
	x.sending = false
	x.ended()
}
