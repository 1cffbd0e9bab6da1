package wire

import (
	"github.com/awaitd/awaitd/internal/exchange"
)

// HEAD, INFORM, ACCEPT, END: field tables that come from a worker, decoded as hostile input. The table and the field bytes are copied
// into private memory before they are looked at; the body stays in the ring, since it is only passed on.

const (
	headFixed  = 8    // field count, length of the reason phrase and reserved bytes, after the header
	offPhrase  = 2    // of the phrase's length among them
	fieldEntry = 4    // one entry of a field table
	maxFields  = 4096 // most fields of a response: a bound for the scratch space, far above any real one
	maxPhrase  = 1024 // longest reason phrase: a client may have little room for a status line
)

// Scratch is the private memory that decoding needs; an endpoint keeps one and uses it again and again.
type Scratch struct {
	buf    []byte
	fields []exchange.Field
}

// Response decodes a HEAD or INFORM frame into r. r is valid until s or the frame is used again.
func (s *Scratch) Response(f Frame, r *exchange.Response) error {
	if len(f.Payload) < headFixed {
		return Violation("a HEAD frame is too short")
	}
	count := int(le.Uint16(f.Payload))
	used, err := s.table(f.Payload[headFixed:], count, 0)
	if err != nil {
		return err
	}
	rest := f.Payload[headFixed+used:]
	body, err := s.phrase(rest, int(le.Uint16(f.Payload[offPhrase:])), r)
	if err != nil {
		return err
	}
	if uint64(f.Length) > uint64(len(body)) {
		return Violation("a HEAD frame's body reaches past the frame")
	}
	r.Buf, r.Fields = s.buf, s.fields
	r.Status = int(f.Aux)
	r.Body = body[:f.Length]
	r.End = f.Flags&EndStream != 0
	r.Trailers = f.Flags&HasTrailers != 0
	return nil
}

// phrase copies a reason phrase of n bytes out of b behind the fields, and returns what follows it.
func (s *Scratch) phrase(b []byte, n int, r *exchange.Response) ([]byte, error) {
	r.Phrase = exchange.Span{}
	if n == 0 {
		return b, nil
	}
	if n > maxPhrase || n > len(b) {
		return nil, Violation("a reason phrase is too long, or reaches past its frame")
	}
	start := uint32(len(s.buf))
	s.buf = append(s.buf, b[:n]...)
	r.Phrase = exchange.Span{Start: start, End: start + uint32(n)}
	return b[n:], nil
}

// Trailers decodes the trailer fields of an END frame.
func (s *Scratch) Trailers(f Frame) ([]byte, []exchange.Field, error) {
	if uint64(f.Length) > uint64(len(f.Payload)) {
		return nil, nil, Violation("an END frame's trailers reach past the frame")
	}
	_, err := s.table(f.Payload[:f.Length], int(f.Aux), 0)
	return s.buf, s.fields, err
}

// Acceptance decodes an ACCEPT frame into a. a is valid until s or the frame is used again.
func (s *Scratch) Acceptance(f Frame, a *exchange.Acceptance) error {
	if len(f.Payload) < headFixed {
		return Violation("an ACCEPT frame is too short")
	}
	count := int(le.Uint16(f.Payload))
	if _, err := s.table(f.Payload[headFixed:], count, int(f.Aux)); err != nil {
		return err
	}
	start := uint32(count * fieldEntry)
	a.Buf, a.Fields = s.buf, s.fields
	a.Pings = f.Flags&WantsPings != 0
	a.Subprotocol = exchange.Span{Start: start, End: start + uint32(f.Aux)}
	return nil
}

// table copies a field table of count entries, what lies between (gap bytes), and its field bytes out of b, and returns how many
// bytes of b they take.
func (s *Scratch) table(b []byte, count, gap int) (int, error) {
	n := count * fieldEntry
	if count > maxFields || n > len(b) {
		return 0, Violation("a field table reaches past its frame")
	}
	s.buf = append(s.buf[:0], b[:n]...)
	total := gap
	for i := range count {
		total += int(le.Uint16(s.buf[i*fieldEntry:])) + int(le.Uint16(s.buf[i*fieldEntry+2:]))
	}
	if total > len(b)-n {
		return 0, Violation("field bytes reach past their frame")
	}
	s.buf = append(s.buf, b[n:n+total]...)
	s.fields = s.fields[:0]
	at := uint32(n + gap)
	for i := range count {
		name := at + uint32(le.Uint16(s.buf[i*fieldEntry:]))
		value := name + uint32(le.Uint16(s.buf[i*fieldEntry+2:]))
		s.fields = append(s.fields, exchange.Field{
			Name:  exchange.Span{Start: at, End: name},
			Value: exchange.Span{Start: name, End: value},
		})
		at = value
	}
	return n + total, nil
}
