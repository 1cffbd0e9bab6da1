package http1

import (
	"bytes"

	"github.com/awaitd/awaitd/internal/exchange"
)

// versionLength is the length of "HTTP/1.1".
const versionLength = 8

// requestLine reads method SP request-target SP HTTP-version, each of the spaces exactly one (RFC 9112 §3).
func (p *Parser) requestLine(buf []byte, start, end int, req *exchange.Request) *Error {
	line := buf[start:end]
	space := 0
	for space < len(line) && class[line[space]]&tokenChar != 0 {
		space++
	}
	last := len(line) - versionLength - 1 // of the second space
	switch {
	case space == len(line):
		return ErrRequestLine
	case line[space] != ' ':
		return ErrMethod
	case space > maxMethod:
		return ErrMethodTooLong
	case last <= space || line[last] != ' ':
		return ErrRequestLine
	}
	if err := p.setVersion(line[last+1:]); err != nil {
		return err
	}
	method := line[:space]
	p.isHEAD = string(method) == "HEAD"
	if string(method) == "CONNECT" {
		return ErrConnect
	}
	req.Method = span(start, start+space)
	return p.target(buf, start+space+1, start+last, req)
}

// setVersion takes any minor version above 1 for 1.1, as RFC 9110 §2.5 says, and refuses other major versions.
func (p *Parser) setVersion(v []byte) *Error {
	switch string(v) {
	case "HTTP/1.1":
		p.version = exchange.HTTP11
		return nil
	case "HTTP/1.0":
		p.version = exchange.HTTP10
		return nil
	}
	major, minor := v[5]-'0', v[7]-'0'
	switch {
	case string(v[:5]) != "HTTP/" || v[6] != '.' || major > 9 || minor > 9:
		return ErrVersion
	case major != 1:
		return ErrVersionUnsupported
	}
	p.version = exchange.HTTP11
	return nil
}

// target reads the request target in one of the forms of RFC 9112 §3.2, all but the authority-form of CONNECT.
func (p *Parser) target(buf []byte, start, end int, req *exchange.Request) *Error {
	t := buf[start:end]
	switch {
	case len(t) == 0 || !validTarget(t):
		return ErrTarget
	case t[0] == '/':
		return setPath(buf, start, end, req)
	case t[0] == '*':
		if len(t) > 1 || string(req.Method.Of(buf)) != "OPTIONS" {
			return ErrTarget
		}
		return setPath(buf, start, end, req)
	}
	return p.absoluteForm(buf, start, end, req)
}

// absoluteForm reads http://authority/path?query. An empty path is "/".
func (p *Parser) absoluteForm(buf []byte, start, end int, req *exchange.Request) *Error {
	t := buf[start:end]
	colon := bytes.IndexByte(t, ':')
	if colon < 0 || !isFold(t[:colon], "http") && !isFold(t[:colon], "https") {
		return ErrTarget
	}
	if len(t) < colon+3 || t[colon+1] != '/' || t[colon+2] != '/' {
		return ErrTarget
	}
	slash := start + colon + 2
	path := slash + 1
	for path < end && buf[path] != '/' && buf[path] != '?' {
		path++
	}
	p.authority = span(slash+1, path)
	if !ValidHost(p.authority.Of(buf)) {
		return ErrTarget
	}
	if path < end && buf[path] == '/' {
		return setPath(buf, path, end, req)
	}
	req.Path = span(slash, slash+1) // the second "/" of "//" stands for the missing path
	req.Query = span(min(path+1, end), end)
	return tooLong(req)
}

func setPath(buf []byte, start, end int, req *exchange.Request) *Error {
	req.Path = span(start, end)
	req.Query = span(end, end)
	if i := bytes.IndexByte(buf[start:end], '?'); i >= 0 {
		req.Path = span(start, start+i)
		req.Query = span(start+i+1, end)
	}
	return tooLong(req)
}

func tooLong(req *exchange.Request) *Error {
	if req.Path.Len() > maxPart || req.Query.Len() > maxPart {
		return ErrTargetTooLong
	}
	return nil
}

func span(start, end int) exchange.Span {
	return exchange.Span{Start: uint32(start), End: uint32(end)}
}
