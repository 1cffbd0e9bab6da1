package cgi

import (
	"bytes"
	"net/netip"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

// What each variable is for. Of those that come twice the last counts, as with uWSGI: a configuration includes the usual ones and
// then has its own. Header fields are the exception; all of them are kept.

// take takes one variable.
func (p *Parser) take(req *exchange.Request, name, value exchange.Span) *http1.Error {
	key := name.Of(p.buf)
	if len(key) == 0 || bytes.IndexByte(key, 0) >= 0 {
		return ErrVariable
	}
	if len(key) > len("HTTP_") && string(key[:len("HTTP_")]) == "HTTP_" {
		return p.takeField(req, name, value)
	}
	if bytes.IndexByte(value.Of(p.buf), 0) >= 0 {
		return ErrVariable
	}
	place, further := p.place(key)
	if place != nil {
		*place = value
	}
	switch string(key) {
	case "CONTENT_TYPE":
		p.contentType = exchange.Field{Name: name, Value: value}
	case "CONTENT_LENGTH":
		p.contentLength = exchange.Field{Name: name, Value: value}
	default:
		if further {
			req.Variables = append(req.Variables, exchange.Field{Name: name, Value: value})
		}
	}
	return nil
}

// place is where the value of a variable is kept, if it means something here; further says that the application gets it as it is.
// It does not get what it is told anyway, or what would pass for the server's own word.
func (p *Parser) place(name []byte) (place *exchange.Span, further bool) {
	switch string(name) {
	case "REQUEST_METHOD":
		return &p.method, false
	case "PATH_INFO":
		return &p.pathInfo, false
	case "SCRIPT_NAME":
		return &p.scriptName, false
	case "QUERY_STRING":
		return &p.query, false
	case "SERVER_PROTOCOL":
		return &p.protocol, false
	case "SERVER_NAME":
		return &p.serverName, false
	case "SERVER_PORT":
		return &p.serverPort, false
	case "REMOTE_ADDR":
		return &p.remoteAddr, false
	case "REMOTE_PORT":
		return &p.remotePort, false
	case "HTTPS":
		return &p.https, false
	case "SCGI":
		return &p.scgi, false
	case "REQUEST_SCHEME", "UWSGI_SCHEME":
		return &p.scheme, true
	case "REQUEST_URI":
		return &p.uri, true
	case "DOCUMENT_URI":
		return &p.documentURI, true
	case "RAW_URI", "SERVER_SOFTWARE", "HTTP_":
		return nil, false
	}
	return nil, !bytes.HasPrefix(name, []byte("wsgi."))
}

// takeField takes a header field. Those that say what the packet itself says better are dropped, and so is Proxy, which CGI
// programs take for a setting of theirs (httpoxy).
func (p *Parser) takeField(req *exchange.Request, name, value exchange.Span) *http1.Error {
	switch string(name.Of(p.buf)) {
	case "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_PROXY":
		return nil
	case "HTTP_HOST":
		switch {
		case value.Len() == 0:
			return nil // of a client that sent none: a variable is never quite absent
		case p.host.Name.End != 0:
			return http1.ErrHostRepeated
		case !http1.ValidHost(value.Of(p.buf)):
			return http1.ErrHost
		}
		p.host = exchange.Field{Name: name, Value: value}
	}
	name.Start += uint32(len("HTTP_"))
	return p.addField(req, exchange.Field{Name: name, Value: value})
}

// addField adds a header field whose name is still a variable's: hyphens have become underscores. They become hyphens again in
// the parser's own copy.
func (p *Parser) addField(req *exchange.Request, f exchange.Field) *http1.Error {
	name, value := f.Name.Of(p.buf), f.Value.Of(p.buf)
	for i, c := range name {
		if c == '_' {
			name[i] = '-'
		}
	}
	switch {
	case len(name)+len(": ")+len(value) > p.limits.FieldSize:
		return http1.ErrFieldTooLarge
	case !http1.ValidToken(name):
		return http1.ErrFieldName
	case !http1.ValidValue(value):
		return http1.ErrFieldValue
	}
	req.Fields = append(req.Fields, f)
	return nil
}

// version is that of the web server's client. What is not known passes for the usual one.
func version(protocol []byte) exchange.Version {
	switch string(protocol) {
	case "HTTP/1.0", "HTTP/0.9":
		return exchange.HTTP10
	case "HTTP/2.0", "HTTP/2":
		return exchange.HTTP2
	case "HTTP/3.0", "HTTP/3":
		return exchange.HTTP3
	}
	return exchange.HTTP11
}

// isSecure reads the variable HTTPS: nginx and Apache have "on", others "1".
func isSecure(https []byte) bool {
	return string(https) == "on" || string(https) == "ON" || string(https) == "1"
}

// port reads a port; an empty text is the usual one.
func port(text []byte, usual uint16) (uint16, bool) {
	if len(text) == 0 {
		return usual, true
	}
	n, ok := http1.ParseLength(text)
	return uint16(n), ok && n <= 65535
}

// address reads an address: of an IP address, or by its text. nginx has "unix:" for a client without one.
func (p *Parser) address(host exchange.Span, port uint16) (exchange.Address, exchange.Span) {
	text := host.Of(p.buf)
	if ip, ok := exchange.ParseIP(text); ok {
		return exchange.AddressFrom(netip.AddrPortFrom(ip, port)), exchange.Span{}
	}
	if len(text) == 0 || string(text) == "unix:" {
		return exchange.Address{}, exchange.Span{}
	}
	return exchange.Address{Port: port}, host
}
