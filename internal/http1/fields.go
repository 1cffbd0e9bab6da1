package http1

import (
	"bytes"
	"math"

	"github.com/awaitd/awaitd/internal/exchange"
)

// seen is a set of facts that fields told.
type seen uint8

const (
	chunked seen = 1 << iota
	connectionClose
	connectionKeepAlive
	wantsContinue
	connectionUpgrade
)

// field reads one header field line, buf[start:end], which is not empty.
func (p *Parser) field(buf []byte, start, end int, req *exchange.Request) *Error {
	if int(p.fields) >= p.limits.Fields {
		return ErrTooManyFields
	}
	p.fields++
	colon := start
	for colon < end && class[buf[colon]]&tokenChar != 0 {
		colon++
	}
	if colon == start || colon == end || buf[colon] != ':' {
		return badName(buf[start:end])
	}
	from, to := trim(buf, colon+1, end)
	if !ValidValue(buf[from:to]) {
		return badValue(buf[from:to])
	}
	if colon-start > maxPart || to-from > maxPart {
		return ErrFieldTooLarge
	}
	req.Fields = append(req.Fields, exchange.Field{Name: span(start, colon), Value: span(from, to)})
	return p.note(buf[start:colon], buf[from:to], len(req.Fields))
}

func badName(line []byte) *Error {
	if line[0] == ' ' || line[0] == '\t' {
		return ErrFieldFolded
	}
	return ErrFieldName
}

func badValue(b []byte) *Error {
	if bytes.IndexByte(b, '\r') >= 0 {
		return ErrBareCR
	}
	return ErrFieldValue
}

// note takes in what a field says about the connection. Few lengths of names are of interest, so most fields cost one branch.
func (p *Parser) note(name, value []byte, number int) *Error {
	switch len(name) {
	case len("host"):
		if isFold(name, "host") {
			return p.noteHost(value, number)
		}
	case len("expect"):
		if isFold(name, "expect") {
			return p.noteExpect(value)
		}
	case len("connection"):
		if isFold(name, "connection") {
			p.seen |= connectionOptions(value)
		}
	case len("content-length"):
		if isFold(name, "content-length") {
			return p.noteContentLength(value)
		}
	case len("transfer-encoding"):
		if isFold(name, "transfer-encoding") {
			return p.noteTransferEncoding(value)
		}
	}
	return nil
}

func (p *Parser) noteHost(value []byte, number int) *Error {
	switch {
	case p.hostField != 0:
		return ErrHostRepeated
	case !ValidHost(value):
		return ErrHost
	}
	p.hostField = uint32(number)
	return nil
}

// noteExpect knows 100-continue; RFC 9110 §10.1.1 has a server ignore it on HTTP/1.0.
func (p *Parser) noteExpect(value []byte) *Error {
	if p.version == exchange.HTTP10 {
		return nil
	}
	if !isFold(value, "100-continue") {
		return ErrExpectation
	}
	p.seen |= wantsContinue
	return nil
}

func (p *Parser) noteContentLength(value []byte) *Error {
	if p.contentLength >= 0 {
		return ErrContentLengthRepeated
	}
	n, ok := ParseLength(value)
	if !ok {
		return ErrContentLength
	}
	p.contentLength = n
	return nil
}

// noteTransferEncoding accepts "chunked", once. Anything after chunked is malformed (RFC 9112 §6.1: it is applied once and
// last); anything before it is a coding that is not implemented.
func (p *Parser) noteTransferEncoding(value []byte) *Error {
	if p.version == exchange.HTTP10 {
		return ErrTransferVersion
	}
	for more := true; more; {
		var coding []byte
		coding, value, more = cutElement(value)
		switch {
		case len(coding) == 0 || p.seen&chunked != 0:
			return ErrTransferEncoding
		case !isFold(coding, "chunked"):
			return ErrTransferCoding
		}
		p.seen |= chunked
	}
	return nil
}

// connectionOptions reads the options of one Connection field that matter here.
func connectionOptions(value []byte) (s seen) {
	for more := true; more; {
		var option []byte
		option, value, more = cutElement(value)
		switch {
		case isFold(option, "close"):
			s |= connectionClose
		case isFold(option, "keep-alive"):
			s |= connectionKeepAlive
		case isFold(option, "upgrade"):
			s |= connectionUpgrade
		}
	}
	return s
}

// cutElement takes the first element off a comma-separated list; more says that a comma followed it.
func cutElement(list []byte) (element, rest []byte, more bool) {
	end := bytes.IndexByte(list, ',')
	if end < 0 {
		end = len(list)
	} else {
		rest, more = list[end+1:], true
	}
	from, to := trim(list, 0, end)
	return list[from:to], rest, more
}

// ParseLength reads a Content-Length: digits only, and no more than an int64 holds.
func ParseLength(b []byte) (n int64, ok bool) {
	for _, c := range b {
		d := int64(c) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}
