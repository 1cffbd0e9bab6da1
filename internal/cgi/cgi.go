// Package cgi is the engine of the uwsgi protocol and of SCGI: it turns the packet in which a web server hands over a request, a
// row of CGI variables (RFC 3875 §4.1), into a request. The body follows the packet, unframed, CONTENT_LENGTH bytes of it; the
// response is http1's, as for a client of HTTP/1.0 that asks once.
//
// The package is sans-I/O: bytes in, a request out; no socket and no clock. It allocates nothing per request: a Parser copies
// the packet once and the request's spans point into the copy, behind which goes what the packet does not say by itself.
//
// It keeps two invariants. A packet is looked at only when it is whole, so the outcome doesn't depend on how it was split on
// its way, and what it may hold is bounded by its own first bytes. And what comes out of here is as good as what http1 lets
// through: names are tokens, values hold no control character, numbers are numbers. The web server is believed about who its
// client is; it is not believed to have checked what that client sent.
//
// Errors tell two things apart. What is no packet at all has status 0: there is nobody who would understand an answer. A packet
// that holds a bad request has the status that HTTP gives it: the web server passes that on to the client that it belongs to,
// where a closed connection would pass for a broken server.
package cgi

import (
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

// Protocol is how the variables are packed. The zero value is none of them.
type Protocol uint8

// Protocols.
const (
	UWSGI Protocol = 1 + iota
	SCGI
)

// Errors of the packet: it can't be answered.
var (
	ErrModifier  = &http1.Error{Reason: "not a uwsgi packet whose modifier1 is 0 or 30"}
	ErrRow       = &http1.Error{Reason: "a variable reaches beyond its uwsgi packet"}
	ErrNetstring = &http1.Error{Reason: "not a netstring"}
	ErrPairs     = &http1.Error{Reason: "SCGI variables are not pairs that end with NUL"}
	ErrFirst     = &http1.Error{Reason: "SCGI wants CONTENT_LENGTH first, and SCGI to be 1"}
)

// Errors of what a packet says.
var (
	ErrVariable   = &http1.Error{Status: 400, Reason: "a variable without a name, or with a NUL"}
	ErrNoMethod   = &http1.Error{Status: 400, Reason: "REQUEST_METHOD is missing"}
	ErrQuery      = &http1.Error{Status: 400, Reason: "control character in QUERY_STRING"}
	ErrNoPath     = &http1.Error{Status: 400, Reason: "PATH_INFO is missing, and REQUEST_URI is no path"}
	ErrScriptName = &http1.Error{Status: 400, Reason: "SCRIPT_NAME does not begin with a slash"}
	ErrPort       = &http1.Error{Status: 400, Reason: "REMOTE_PORT or SERVER_PORT is not a port"}
)

// maxMethod and maxPart are the longest method and the longest path or query that the wire carries.
const (
	maxMethod = 255
	maxPart   = 65535
)

// Parser turns packets into requests, one after the other; a reactor needs one. The spans of a request point into its buffer, so
// they are valid until the next packet.
type Parser struct {
	limits *http1.Limits
	buf    []byte
	facts
}

// facts are the variables that mean something to the server. A span that ends at 0 is one that did not come.
type facts struct {
	method, protocol, scheme, https  exchange.Span
	pathInfo, documentURI, uri       exchange.Span
	scriptName, query                exchange.Span
	remoteAddr, remotePort           exchange.Span
	serverName, serverPort, scgi     exchange.Span
	host, contentType, contentLength exchange.Field
}

// NewParser makes a parser with limits that stay as they are. Of a packet they bound what they bound of a head: Head its size,
// Line the method, path and query, Fields and FieldSize the variables that are header fields.
func NewParser(l *http1.Limits) *Parser { return &Parser{limits: l} }

// Parse looks at in, which begins with the first byte of a packet. n > 0 means that the packet is whole and n bytes long, the
// body behind it: h is filled, and so is req, except for Kind, ID and Window, which are the caller's.
//
// n == 0 without an error means that more bytes are needed: call again with the same bytes and more behind them.
func (p *Parser) Parse(proto Protocol, in []byte, req *exchange.Request, h *http1.Head) (n int, err *http1.Error) {
	var start, end int
	if proto == UWSGI {
		start, end, n, err = measureUWSGI(in, p.limits.Head)
	} else {
		start, end, n, err = measureSCGI(in, p.limits.Head)
	}
	if err != nil || n == 0 {
		return 0, err
	}
	p.buf = append(p.buf[:0], in[start:end]...)
	p.facts = facts{}
	req.Fields, req.Variables = req.Fields[:0], req.Variables[:0]
	if proto == UWSGI {
		err = p.takeUWSGI(req)
	} else {
		err = p.takeSCGI(req)
	}
	if err == nil {
		err = p.finish(req, h)
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// finish makes the request of what the variables said.
func (p *Parser) finish(req *exchange.Request, h *http1.Head) *http1.Error {
	method := p.method.Of(p.buf)
	switch {
	case len(method) == 0:
		return ErrNoMethod
	case !http1.ValidToken(method):
		return http1.ErrMethod
	case len(method) > maxMethod:
		return http1.ErrMethodTooLong
	case string(method) == "CONNECT":
		return http1.ErrConnect
	}
	req.Method = p.method
	*h = http1.Head{Version: exchange.HTTP10, HEAD: string(method) == "HEAD"}
	req.Version = version(p.protocol.Of(p.buf))
	req.Scheme = exchange.Plain
	if isSecure(p.https.Of(p.buf)) || string(p.scheme.Of(p.buf)) == "https" {
		req.Scheme = exchange.Secure
	}
	if err := p.describeBody(req, h); err != nil {
		return err
	}
	if err := p.setTarget(req); err != nil {
		return err
	}
	if len(req.Fields) > p.limits.Fields {
		return http1.ErrTooManyFields
	}
	err := p.setAddresses(req)
	req.Buf = p.buf
	return err
}

// describeBody adds the two fields of the body, and says how it is marked off: by its length alone.
func (p *Parser) describeBody(req *exchange.Request, h *http1.Head) *http1.Error {
	req.ContentLength = 0
	if text := p.contentLength.Value.Of(p.buf); len(text) > 0 {
		n, ok := http1.ParseLength(text)
		if !ok {
			return http1.ErrContentLength
		}
		if req.ContentLength = n; n > 0 {
			h.Body = http1.FixedBody
		}
	}
	req.Body, req.End, req.WantsContinue = nil, h.Body == http1.NoBody, false
	for _, f := range [...]exchange.Field{p.contentType, p.contentLength} {
		if f.Value.Len() == 0 {
			continue
		}
		if err := p.addField(req, f); err != nil {
			return err
		}
	}
	return nil
}

// setAddresses tells the client and the server. Where the web server has no name for itself, "localhost" stands in.
func (p *Parser) setAddresses(req *exchange.Request) *http1.Error {
	client, ok1 := port(p.remotePort.Of(p.buf), 0)
	server, ok2 := port(p.serverPort.Of(p.buf), [...]uint16{80, 443}[req.Scheme])
	if !ok1 || !ok2 {
		return ErrPort
	}
	if p.serverName.Len() == 0 {
		p.serverName = p.add("localhost")
	}
	req.Client, req.ClientName = p.address(p.remoteAddr, client)
	req.Server, req.ServerName = p.address(p.serverName, server)
	req.UnixPath = ""
	return nil
}

// add appends text to the buffer.
func (p *Parser) add(text string) exchange.Span {
	start := len(p.buf)
	p.buf = append(p.buf, text...)
	return span(start, len(p.buf))
}

func span(start, end int) exchange.Span {
	return exchange.Span{Start: uint32(start), End: uint32(end)}
}
