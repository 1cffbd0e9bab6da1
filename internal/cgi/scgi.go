package cgi

import (
	"bytes"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

// SCGI: the variables are a netstring, the first of them CONTENT_LENGTH, and one is SCGI with the value 1.
//
//	size ":" size bytes of variables "," body
//	variable: name NUL value NUL

// measureSCGI finds the bounds of the variables; n is 0 if the packet is not whole.
func measureSCGI(in []byte, limit int) (start, end, n int, err *http1.Error) {
	size, digits := 0, 0
	for ; digits < len(in) && in[digits]-'0' <= 9; digits++ {
		if digits > 0 && size == 0 {
			return 0, 0, 0, ErrNetstring // a leading zero
		}
		if size = size*10 + int(in[digits]-'0'); size > limit {
			return 0, 0, 0, http1.ErrHeadTooLarge
		}
	}
	switch {
	case digits == len(in):
		return 0, 0, 0, nil
	case digits == 0 || in[digits] != ':':
		return 0, 0, 0, ErrNetstring
	}
	start = digits + 1
	end = start + size
	switch {
	case len(in) <= end:
		return 0, 0, 0, nil
	case in[end] != ',':
		return 0, 0, 0, ErrNetstring
	}
	return start, end, end + 1, nil
}

// takeSCGI takes all variables of the packet.
func (p *Parser) takeSCGI(req *exchange.Request) *http1.Error {
	first := true
	for at := 0; at < len(p.buf); {
		name, ok := p.upToNUL(at)
		if !ok {
			return ErrPairs
		}
		value, ok := p.upToNUL(int(name.End) + 1)
		if !ok {
			return ErrPairs
		}
		at = int(value.End) + 1
		if first && string(name.Of(p.buf)) != "CONTENT_LENGTH" {
			return ErrFirst
		}
		first = false
		if err := p.take(req, name, value); err != nil {
			return err
		}
	}
	if string(p.scgi.Of(p.buf)) != "1" {
		return ErrFirst
	}
	return nil
}

// upToNUL reads what ends with a NUL.
func (p *Parser) upToNUL(at int) (s exchange.Span, ok bool) {
	i := bytes.IndexByte(p.buf[min(at, len(p.buf)):], 0)
	return span(at, at+i), i >= 0
}
