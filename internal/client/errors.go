package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Kind of a failure. Each is an exception class of httpx; the values are those of the wire, above CodeBase.
type Kind uint8

// Kinds of failures.
const (
	ConnectTimeout Kind = iota + 1
	ReadTimeout
	WriteTimeout
	PoolTimeout
	ConnectError
	ReadError
	WriteError
	ProxyError
	UnsupportedProtocol
	LocalProtocolError
	RemoteProtocolError
	Cancelled // by the caller
)

// Error is why a request failed. Its text says what happened, never what was sent.
type Error struct {
	Kind Kind
	Text string
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// of is Cancelled, if the caller has given up: what failed failed by that.
func (e *Error) of(ctx context.Context) *Error {
	if ctx.Err() != nil {
		return &Error{Cancelled, "cancelled"}
	}
	return e
}

func protocol(text string) *Error { return &Error{RemoteProtocolError, text} }

// failed makes an Error of what a connection says: late if its time was over.
func failed(err error, kind, late Kind) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case isTimeout(err):
		return &Error{late, "the time for it is over"}
	}
	return &Error{kind, plain(err)}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &n) && n.Timeout())
}

// plain is an error's text without what Go's packages say around it.
func plain(err error) string {
	var errno syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "name not found: " + dns.Name
		}
		return "looking up " + dns.Name + ": " + dns.Err
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "tls: "), "remote error: tls: ")
}
