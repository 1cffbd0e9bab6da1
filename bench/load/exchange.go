//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// echoPool is how many random bytes echo bodies are cut from: large against a body, so that two rarely agree.
const echoPool = 1 << 20

// exchangeFlags is what the command line says about one request and its reply.
type exchangeFlags struct {
	addr, method, path, contentType, bodyFile, expectFile string
	fields, echo                                          int
	closing, reconnect, socket                            bool
	also                                                  []kind
}

// exchange knows what to send and what must come back.
type exchange struct {
	addr  syscall.SockaddrInet4
	kinds []kind
	body  []byte // fixed request body
	pool  []byte // echo bodies are slices of it
	echo  int

	closing   bool // each reply must end its connection, instead of must not
	reconnect bool // the server may end a connection, with a reply or between two requests

	socket bool // WebSockets: the head is their handshake, echo bodies are messages
	op     byte // of these
}

func newExchange(f exchangeFlags) (*exchange, error) {
	at, err := netip.ParseAddrPort(f.addr)
	if err != nil || !at.Addr().Is4() {
		return nil, fmt.Errorf("-addr: want an IPv4 host:port, got `%s`", f.addr)
	}
	x := &exchange{addr: syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}}
	x.echo, x.closing, x.reconnect = f.echo, f.closing, f.reconnect
	x.socket, x.op = f.socket, opText
	x.kinds = append([]kind{{path: f.path}}, f.also...)
	if len(x.kinds) > maxKinds || f.echo > 0 && len(f.also) > 0 {
		return nil, fmt.Errorf("-also: at most %d, and not with -echo", maxKinds-1)
	}
	if f.bodyFile != "" {
		if x.body, err = os.ReadFile(f.bodyFile); err != nil {
			return nil, err
		}
	}
	if f.socket {
		return x, x.prepare(f)
	}
	if f.echo > 0 {
		x.pool = make([]byte, echoPool+f.echo)
		if _, err := rand.Read(x.pool); err != nil {
			return nil, err
		}
	} else if f.expectFile == "" {
		return nil, errors.New("-expect or -echo is needed: a reply that isn't checked proves nothing")
	} else if x.kinds[0].expect, err = os.ReadFile(f.expectFile); err != nil {
		return nil, err
	}
	for i := range x.kinds {
		f.path = x.kinds[i].path
		x.kinds[i].head = head(f, max(len(x.body), f.echo))
	}
	return x, nil
}

// prepare makes what is said on WebSockets: printable, for what is no UTF-8 is no text.
func (x *exchange) prepare(f exchangeFlags) error {
	if f.echo <= 0 || f.echo > largest16 || len(f.also) > 0 {
		return fmt.Errorf("-socket: want -echo of at most %d, and no -also", largest16)
	}
	x.kinds[0].head = handshake(f)
	x.pool = make([]byte, echoPool+largest16)
	if _, err := rand.Read(x.pool); err != nil {
		return err
	}
	for i, c := range x.pool {
		x.pool[i] = ' ' + c%('~'-' '+1)
	}
	return nil
}

// say writes the message that a connection is to send, or before its first one the handshake.
func (x *exchange) say(k *conn) []byte {
	if !k.speaks {
		return append(k.out[:0], x.kinds[0].head...)
	}
	return appendMessage(k.out[:0], x.op, k.expect)
}

// head writes what wrk would: the request line, Host, more fields, and for a body its type and length.
func head(f exchangeFlags, length int) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", f.method, f.path, f.addr)
	for i := range f.fields {
		b = fmt.Appendf(b, "x-field-%02d: 0123456789abcdefgh%02d\r\n", i+1, i+1) // as wrk.lua
	}
	if f.contentType != "" {
		b = fmt.Appendf(b, "Content-Type: %s\r\n", f.contentType)
	}
	if length > 0 {
		b = append(b, "Content-Length: "+strconv.Itoa(length)+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

// next appends one request of a kind to out; expect is the body its reply must have.
func (x *exchange) next(out []byte, of uint8) (request, expect []byte) {
	k := &x.kinds[of]
	if x.socket {
		at := mrand.IntN(echoPool)
		return out, x.pool[at : at+x.echo]
	}
	out = append(out, k.head...)
	if x.echo == 0 {
		return append(out, x.body...), k.expect
	}
	at := mrand.IntN(echoPool)
	expect = x.pool[at : at+x.echo]
	return append(out, expect...), expect
}

// check says what is wrong with a reply, or nil.
func (x *exchange) check(r response, expect []byte) error {
	switch {
	case r.status != 200:
		return fmt.Errorf("status %d", r.status)
	case len(r.body) != len(expect):
		return fmt.Errorf("body of %d bytes, want %d", len(r.body), len(expect))
	case !bytes.Equal(r.body, expect):
		return errors.New("body has the right length and wrong bytes")
	case r.closing && !x.closing && !x.reconnect:
		return errors.New("the server ends a keep-alive connection")
	case x.closing && !r.closing:
		return errors.New("the server keeps a connection that it was said to end")
	}
	return nil
}
