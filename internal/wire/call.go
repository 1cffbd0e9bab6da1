package wire

import (
	"bytes"
	"slices"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Streams that the worker opens, of kind client: OPEN decoded as hostile input, HEAD and END encoded.

// Opener is set in the id of a stream that the worker has opened.
const Opener = 1 << 31

// CodeBase is where the codes of RESET begin that tell how a request of a client failed; what they are is the client's business.
const CodeBase Code = 16

// Tags of the extra section that are about kind client.
const (
	extraAuthority = 6
	extraTimeouts  = 7
)

// Call is what a worker wants sent: the OPEN of a stream of kind client.
type Call struct {
	Text      string           // what the spans point into
	Fields    []exchange.Field // in their order, with their case
	Method    string
	Target    string // path and query
	Authority string // host:port to connect to
	Secure    bool
	Transport uint16    // which of those that the worker has described, from 1 on
	Timeouts  [4]uint32 // connect, read, write, pool, in milliseconds; 0 for none
	Credit    uint32    // bytes of the response that may be sent at first
	Body      []byte    // its first part; it is the caller's
	End       bool      // and all of it
}

// Call decodes an OPEN that a worker has sent. What it returns is a copy: it has nothing to do with the frame any more.
func (s *Scratch) Call(f Frame) (*Call, error) {
	const fixed = openFixed - HeaderSize
	if len(f.Payload) < fixed || f.Stream&Opener == 0 || f.Stream == pad {
		return nil, Violation("an OPEN of a worker is too short, or its stream is none of the worker's")
	}
	b := bytes.Clone(f.Payload)
	at := func(offset int) int { return offset - HeaderSize }
	if exchange.Kind(b[at(offKind)]) != exchange.Client {
		return nil, Violation("a worker opened a stream that is no client's")
	}
	count := int(le.Uint16(b[at(offFieldCount):]))
	method, path := int(b[at(offMethodLen)]), int(le.Uint16(b[at(offPathLen):]))
	query, extra := int(le.Uint16(b[at(offQueryLen):])), int(le.Uint16(b[at(offExtraLen):]))
	gap := method + path + query
	used, err := s.table(b[fixed:], count, gap)
	if err != nil {
		return nil, err
	}
	rest := b[fixed+used:]
	if uint64(extra)+uint64(f.Length) > uint64(len(rest)) || query != 0 {
		return nil, Violation("an OPEN frame's parts reach past the frame")
	}
	c := &Call{
		Text: string(s.buf), Fields: slices.Clone(s.fields), Secure: b[at(offScheme)] == byte(exchange.Secure),
		Transport: le.Uint16(b[at(offTarget):]), Credit: le.Uint32(b[at(offCredit):]),
		Body: rest[extra : extra+int(f.Length)], End: f.Flags&EndStream != 0,
	}
	table := count * fieldEntry
	c.Method, c.Target = c.Text[table:table+method], c.Text[table+method:table+gap]
	return c, c.extras(rest[:extra])
}

// extras reads the extra section.
func (c *Call) extras(b []byte) error {
	for len(b) > 0 {
		if len(b) < 4 || int(le.Uint16(b[2:])) > len(b)-4 {
			return Violation("an entry of the extra section reaches past it")
		}
		tag, value := le.Uint16(b), b[4:4+le.Uint16(b[2:])]
		b = b[4+len(value):]
		switch {
		case tag == extraAuthority:
			c.Authority = string(value)
		case tag == extraTimeouts && len(value) == 4*len(c.Timeouts):
			for i := range c.Timeouts {
				c.Timeouts[i] = le.Uint32(value[4*i:])
			}
		case tag == extraTimeouts:
			return Violation("timeouts are four")
		}
	}
	return nil
}

// Pair is a header or trailer field as two texts; other packages have such types of their own.
type Pair interface{ ~struct{ Name, Value string } }

type pair struct{ Name, Value string }

// fieldsSize is how many bytes fields take in a frame, or -1 if they don't fit one.
func fieldsSize[F Pair](fields []F) int {
	n := 0
	for _, f := range fields {
		p := pair(f)
		if len(p.Name) > maxLength || len(p.Value) > maxLength {
			return -1
		}
		n += fieldEntry + len(p.Name) + len(p.Value)
	}
	if len(fields) > maxFields {
		return -1
	}
	return n
}

const maxLength = 1<<16 - 1

func appendFields[F Pair](dst []byte, fields []F) []byte {
	for _, f := range fields {
		p := pair(f)
		dst = le.AppendUint16(dst, uint16(len(p.Name)))
		dst = le.AppendUint16(dst, uint16(len(p.Value)))
	}
	for _, f := range fields {
		p := pair(f)
		dst = append(dst, p.Name...)
		dst = append(dst, p.Value...)
	}
	return dst
}

// AppendHead appends the payload of a HEAD for a worker, without its body. It reports false if that is more than max bytes.
func AppendHead[F Pair](dst []byte, max int, version exchange.Version, phrase string, fields []F) ([]byte, bool) {
	n := fieldsSize(fields)
	if len(phrase) > maxPhrase {
		phrase = phrase[:maxPhrase]
	}
	if n < 0 || headFixed+n+len(phrase) > max {
		return dst, false
	}
	dst = le.AppendUint16(dst, uint16(len(fields)))
	dst = le.AppendUint16(dst, uint16(len(phrase)))
	dst = append(dst, byte(version), 0, 0, 0)
	dst = appendFields(dst, fields)
	return append(dst, phrase...), true
}

// AppendTrailers appends the payload of an END for a worker. It reports false if that is more than max bytes.
func AppendTrailers[F Pair](dst []byte, max int, fields []F) ([]byte, bool) {
	if n := fieldsSize(fields); n < 0 || n > max {
		return dst, false
	}
	return appendFields(dst, fields), true
}
