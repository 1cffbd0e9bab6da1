package http1

import (
	"bytes"

	"github.com/awaitd/awaitd/internal/exchange"
)

// BodyKind says how the body of a request is framed.
type BodyKind uint8

// Kinds of body.
const (
	NoBody      BodyKind = iota // none, or one of no bytes
	FixedBody                   // Content-Length
	ChunkedBody                 // Transfer-Encoding: chunked
)

// Head is what a request's head says about its connection, beyond the request itself. It holds no spans, so it stays valid when
// the buffer is gone, until the response has been framed.
type Head struct {
	Version   exchange.Version // HTTP10 or HTTP11
	Body      BodyKind
	KeepAlive bool // the client lets the connection live on after this exchange
	HEAD      bool // the method is HEAD
	Upgrade   bool // another protocol is asked for: Connection names Upgrade
}

// Parser reads one request head after the other. A head is a row of lines; each is taken when its line feed has come:
//
//	Parse ─ empty line? ─ request line ─ field line … ─ empty line ─ checks across fields ─ done
//
// Between two calls the parser remembers where the current line begins, up to where no line feed was found, and what the fields
// so far said about the connection; never a span, since the request handed to the next call may be another one. So a head
// that came in pieces is read a second time when its last line is there: each byte costs at most two readings, however it came.
//
// For each line the limits are checked first, then its end, then what it says: errors don't depend on how the bytes came.
type Parser struct {
	limits *Limits
	line   uint32 // where the current line begins; all before it is taken
	scan   uint32 // there is no line feed between line and scan
	facts
}

// facts are what the lines taken so far said.
type facts struct {
	contentLength int64
	authority     exchange.Span // of an absolute-form target
	hostField     uint32        // index of Host, plus 1
	fields        uint32        // number of header fields
	seen          seen
	version       exchange.Version
	emptyLines    uint8
	inFields      bool // the request line is taken
	isHEAD        bool
}

// Reset makes the parser ready for the first byte of a request, with limits that stay as they are. After an error, or a complete
// head, the parser has reset itself.
func (p *Parser) Reset(l *Limits) {
	p.limits = l
	p.rewind()
}

func (p *Parser) rewind() {
	p.line, p.scan = 0, 0
	p.facts = facts{contentLength: exchange.UnknownLength}
}

// Started tells whether Parse has seen a part of a head: more than nothing, or an empty line.
func (p *Parser) Started() bool { return p.inFields || p.scan > p.line }

// Parse looks at buf, which begins with the first byte of a request. n > 0 means that the head is complete and n bytes long: h
// is filled, and so is req, except for Scheme, ID, Client, Server and UnixPath, which are the caller's. Body is nil, and End
// says that there is none to come. Until n > 0, req holds nothing of use.
//
// n == 0 without an error means that more bytes are needed: call again with the same bytes and more behind them. The buffer
// may have moved, and req and h may be others.
func (p *Parser) Parse(buf []byte, req *exchange.Request, h *Head) (n int, err *Error) {
	resumed := p.inFields
	req.Buf = buf
	n, err = p.take(buf, req)
	if n > 0 && resumed {
		p.rewind()
		n, err = p.take(buf, req)
	}
	if n == 0 && err == nil {
		return 0, nil
	}
	if err == nil {
		err = p.finish(req, h)
	}
	p.rewind()
	if err != nil {
		return 0, err
	}
	return n, nil
}

// take reads the lines that are complete. It returns the length of the head when the empty line after it was among them.
func (p *Parser) take(buf []byte, req *exchange.Request) (int, *Error) {
	req.Fields = req.Fields[:0]
	if !p.inFields {
		if err := p.takeRequestLine(buf, req); err != nil || !p.inFields {
			return 0, err
		}
	}
	return p.takeFields(buf, req)
}

func (p *Parser) takeRequestLine(buf []byte, req *exchange.Request) *Error {
	if err := p.skipEmptyLines(buf); err != nil || int(p.line) == len(buf) || buf[p.line] == '\r' {
		return err
	}
	start := int(p.line)
	end, err := p.endOfLine(buf, p.limits.Line, ErrLineTooLong)
	if end < 0 {
		return err
	}
	p.inFields = true
	return p.requestLine(buf, start, end, req)
}

// skipEmptyLines leaves p.line at the first byte of the request line, or at the end of buf or a CR if that byte is not there yet.
func (p *Parser) skipEmptyLines(buf []byte) *Error {
	for int(p.line) < len(buf) {
		rest := buf[p.line:]
		switch {
		case class[rest[0]]&tokenChar != 0:
			return nil
		case rest[0] == '\n':
			return ErrBareLF
		case rest[0] != '\r' || p.emptyLines == maxEmptyLines:
			return ErrRequestLine
		case len(rest) == 1:
			return nil
		case rest[1] != '\n':
			return ErrBareCR
		}
		p.emptyLines++
		p.line += 2
		p.scan = p.line
	}
	return nil
}

func (p *Parser) takeFields(buf []byte, req *exchange.Request) (int, *Error) {
	for {
		start := int(p.line)
		end, err := p.endOfLine(buf, p.limits.FieldSize, ErrFieldTooLarge)
		if end < 0 {
			return 0, err
		}
		if end == start {
			return end + 2, nil
		}
		if err := p.field(buf, start, end, req); err != nil {
			return 0, err
		}
	}
}

// endOfLine finds the end of the current line and goes on to the next one. It returns the index of the CR, or -1 if there is an
// error or the line is incomplete.
func (p *Parser) endOfLine(buf []byte, limit int, tooLong *Error) (int, *Error) {
	start := int(p.line)
	i := bytes.IndexByte(buf[p.scan:], '\n')
	end := int(p.scan) + i
	if i < 0 {
		end = len(buf)
	}
	cr := end > start && buf[end-1] == '\r'
	if cr {
		end--
	}
	if end-start > min(limit, p.limits.Head-start-2) {
		if p.limits.Head-start-2 < limit {
			return -1, ErrHeadTooLarge
		}
		return -1, tooLong
	}
	if i < 0 {
		p.scan = uint32(len(buf))
		return -1, nil
	}
	if !cr {
		return -1, ErrBareLF
	}
	p.line = uint32(end + 2)
	p.scan = p.line
	return end, nil
}

// finish checks what only the whole head can tell, and fills in what follows from it.
func (p *Parser) finish(req *exchange.Request, h *Head) *Error {
	switch {
	case p.hostField == 0 && p.version == exchange.HTTP11:
		return ErrHostMissing
	case p.seen&chunked != 0 && p.contentLength >= 0:
		return ErrFraming
	}
	if p.authority.End != 0 && p.hostField != 0 {
		req.Fields[p.hostField-1].Value = p.authority
	}
	*h = Head{
		Version: p.version, KeepAlive: p.keepAlive(), HEAD: p.isHEAD, Body: p.bodyKind(),
		Upgrade: p.seen&connectionUpgrade != 0,
	}
	req.Kind = exchange.HTTP
	req.Version = p.version
	req.Body = nil
	req.End = h.Body == NoBody
	req.WantsContinue = p.seen&wantsContinue != 0 && !req.End
	req.ContentLength = max(p.contentLength, 0)
	if h.Body == ChunkedBody {
		req.ContentLength = exchange.UnknownLength
	}
	return nil
}

func (p *Parser) bodyKind() BodyKind {
	switch {
	case p.seen&chunked != 0:
		return ChunkedBody
	case p.contentLength > 0:
		return FixedBody
	}
	return NoBody
}

// keepAlive is RFC 9112 §9.3: close wins; without it HTTP/1.1 stays, HTTP/1.0 only if asked to.
func (p *Parser) keepAlive() bool {
	if p.seen&connectionClose != 0 {
		return false
	}
	return p.version == exchange.HTTP11 || p.seen&connectionKeepAlive != 0
}
