package cgi

import (
	"bytes"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

// The path. A request has one, percent-encoded as the client sent it, with the part that a mount point takes (SCRIPT_NAME) in front.
// CGI has three variables that tell of it, and web servers fill them in differently:
//
//	                                SCRIPT_NAME  PATH_INFO      REQUEST_URI
//	nginx, as it comes                           /app/caf\xc3\xa9  /app/caf%C3%A9?q
//	nginx with uwsgi_param          /app         /app/caf\xc3\xa9  /app/caf%C3%A9?q
//	Apache, lighttpd (RFC 3875)     /app         /caf\xc3\xa9      /app/caf%C3%A9?q
//	any, after a rewrite            /app         /tea           /app/caf%C3%A9?q
//
// PATH_INFO has the last word, since a rewrite changes it alone; it is decoded already. REQUEST_URI is how the client wrote it, and
// so is used where it means the same. nginx's SCGI sends no PATH_INFO, but DOCUMENT_URI, which is the same to it.

// setTarget sets path, query and root path.
func (p *Parser) setTarget(req *exchange.Request) *http1.Error {
	script := bytes.TrimRight(p.scriptName.Of(p.buf), "/")
	if len(script) > 0 && script[0] != '/' {
		return ErrScriptName
	}
	p.scriptName.End = p.scriptName.Start + uint32(len(script))
	req.RootPath = p.scriptName
	raw, query := p.splitURI()
	if p.query.End != 0 {
		query = p.query
	}
	if req.Query = query; !http1.ValidValue(query.Of(p.buf)) {
		return ErrQuery
	}
	var ok bool
	if req.Path, ok = p.path(raw); !ok {
		return ErrNoPath
	}
	path, method := req.Path.Len(), p.method.Len()
	switch {
	case method+path+query.Len()+len(" ? HTTP/1.1") > p.limits.Line:
		return http1.ErrLineTooLong
	case path > maxPart || query.Len() > maxPart:
		return http1.ErrTargetTooLong
	}
	return nil
}

// splitURI takes path and query from REQUEST_URI. The path is empty if it is none.
func (p *Parser) splitURI() (path, query exchange.Span) {
	text := p.uri.Of(p.buf)
	if len(text) == 0 || text[0] != '/' && string(text) != "*" {
		return exchange.Span{}, exchange.Span{}
	}
	path, query = p.uri, span(int(p.uri.End), int(p.uri.End))
	for i, c := range text {
		switch {
		case c <= ' ' || c == 0x7f || c == '#':
			return exchange.Span{}, exchange.Span{}
		case c == '?' && path.End == p.uri.End && query.Len() == 0:
			path.End = p.uri.Start + uint32(i)
			query.Start = path.End + 1
		}
	}
	return path, query
}

// path chooses the path: raw, from REQUEST_URI, if the other variables say the same.
func (p *Parser) path(raw exchange.Span) (exchange.Span, bool) {
	info := p.pathInfo
	if info.End == 0 {
		info = p.documentURI
	}
	if info.End == 0 {
		return raw, raw.Len() > 0
	}
	script, path, text := p.scriptName.Of(p.buf), info.Of(p.buf), raw.Of(p.buf)
	whole := isUnder(path, script)
	joins := len(script) == 0 || len(path) == 0 || path[0] == '/'
	switch {
	case joins && raw.Len() > 0 && unquotesTo(text, script, path):
		return raw, true
	case whole && raw.Len() > 0 && unquotesTo(text, nil, path):
		return raw, true
	case whole:
		return p.quote(nil, path), true
	}
	return p.quote(script, path), true
}

// isUnder says whether a path begins with root, as whole segments.
func isUnder(path, root []byte) bool {
	return bytes.HasPrefix(path, root) && (len(path) == len(root) || len(root) == 0 || path[len(root)] == '/')
}

// unquotesTo says whether raw, percent-decoded once, is a followed by b.
func unquotesTo(raw, a, b []byte) bool {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' && i+2 < len(raw) {
			if high, low := unhex(raw[i+1]), unhex(raw[i+2]); high|low < 16 {
				c = high<<4 | low
				i += 2
			}
		}
		if len(a) == 0 {
			a, b = b, nil
		}
		if len(a) == 0 || a[0] != c {
			return false
		}
		a = a[1:]
	}
	return len(a)+len(b) == 0
}

// unhex is the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch lower := c | 0x20; {
	case c-'0' <= 9:
		return c - '0'
	case lower-'a' < 6:
		return lower - 'a' + 10
	}
	return 255
}

// quote appends script and path to the buffer, percent-encoded, as one path with a slash in front. A rewrite may have lost the
// slash between them.
func (p *Parser) quote(script, path []byte) exchange.Span {
	start := len(p.buf)
	p.quotePart(script)
	switch {
	case len(path) > 0 && path[0] == '/':
	case len(path) == 0 && len(script) > 0:
	case len(script) == 0 && string(path) == "*": // OPTIONS of the server itself
	default:
		p.buf = append(p.buf, '/')
	}
	p.quotePart(path)
	return span(start, len(p.buf))
}

// quotePart appends a part of a path, percent-encoded but for what RFC 3986 lets stand in a path.
func (p *Parser) quotePart(part []byte) {
	const hex = "0123456789ABCDEF"
	for _, c := range part {
		if isPathChar(c) {
			p.buf = append(p.buf, c)
		} else {
			p.buf = append(p.buf, '%', hex[c>>4], hex[c&15])
		}
	}
}

// isPathChar says whether a path may hold c as it is: pchar (RFC 3986 §3.3), and "/".
func isPathChar(c byte) bool {
	if c|0x20-'a' < 26 || c-'0' < 10 {
		return true
	}
	switch c {
	case '-', '.', '_', '~', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', ':', '@', '/':
		return true
	}
	return false
}
