package forwarded

import (
	"bytes"

	"github.com/awaitd/awaitd/internal/exchange"
)

// list is a comma-separated list over all lines of one header, in the order of the lines (RFC 9110 §5.3). Empty elements count,
// other than RFC 9110 §5.6.1 has it: one stands for a hop whose address its proxy did not know.
type list struct {
	name   string // in lower case
	quotes bool   // commas in quoted strings separate nothing
	end    int    // index behind the last line; 0: there is none
	count  int    // elements, without regard to quotes
}

// note takes in field i, if it is a line of the list.
func (l *list) note(req *exchange.Request, i int) {
	f := req.Fields[i]
	if isFold(f.Name.Of(req.Buf), l.name) {
		l.end = i + 1
		l.count += 1 + bytes.Count(f.Value.Of(req.Buf), comma)
	}
}

var comma = []byte{','}

// pick returns the element that belongs to a hop of X-Forwarded-For, which has count elements, and the name of its header: if
// there are as many here, the one in the same place, else the last.
func (l *list) pick(req *exchange.Request, hop, count int) (s, name exchange.Span, ok bool) {
	if l.count != count {
		hop = 0
	}
	r := l.reader(req)
	for range hop + 1 {
		if s, ok = r.next(); !ok {
			return s, name, false
		}
	}
	return s, req.Fields[r.line].Name, true
}

func (l *list) reader(req *exchange.Request) reader {
	return reader{req: req, list: l, line: l.end}
}

// reader reads a list from its end.
type reader struct {
	req  *exchange.Request
	list *list
	line int           // index of the line that rest is of
	rest exchange.Span // what of the line was not read
	more bool          // there is an element in rest, maybe an empty one
}

// next returns the element on the left of the one before, without white space around it.
func (r *reader) next() (exchange.Span, bool) {
	buf := r.req.Buf
	for !r.more {
		if r.line == 0 {
			return exchange.Span{}, false
		}
		r.line--
		if f := r.req.Fields[r.line]; isFold(f.Name.Of(buf), r.list.name) {
			r.rest, r.more = f.Value, true
		}
	}
	s := r.rest
	at := r.list.lastComma(s.Of(buf))
	if r.more = at >= 0; r.more {
		r.rest.End = s.Start + uint32(at)
		s.Start = r.rest.End + 1
	}
	return trim(buf, s), true
}

// lastComma returns the index of the last comma that separates elements, or -1. From the end of a line, too, every quote is known
// for what it is: one that closes and one that opens, in turn, but for those with an odd number of backslashes before them.
func (l *list) lastComma(b []byte) int {
	if !l.quotes {
		return bytes.LastIndexByte(b, ',')
	}
	quoted := false
	for i := len(b) - 1; i >= 0; i-- {
		switch {
		case b[i] == '"' && !isEscaped(b, i):
			quoted = !quoted
		case b[i] == ',' && !quoted:
			return i
		}
	}
	return -1
}

func isEscaped(b []byte, i int) bool {
	before := i
	for before > 0 && b[before-1] == '\\' {
		before--
	}
	return (i-before)%2 != 0
}

// trim returns s without the optional white space around it.
func trim(buf []byte, s exchange.Span) exchange.Span {
	s.Start = skipSpace(buf, s.Start, s.End)
	for s.End > s.Start && isSpace(buf[s.End-1]) {
		s.End--
	}
	return s
}

func skipSpace(buf []byte, at, end uint32) uint32 {
	for at < end && isSpace(buf[at]) {
		at++
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
