package websocket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
)

// masked is a client's frame.
func masked(first byte, payload []byte, key [4]byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskBit|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, maskBit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskBit|127), uint64(n))
	}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

var someKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame is a client's frame with a key that doesn't matter.
func frame(first byte, payload string) []byte { return masked(first, []byte(payload), someKey) }

// packed compresses as a client does, with the standard library's compressor.
func packed(payload string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.DefaultCompression)
	_, _ = io.WriteString(w, payload)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), marker)
}

// outcome is what a Reader makes of bytes that come in pieces: messages whole, control frames, and the violation at the end.
func outcome(t testing.TB, e *Engine, d Deflate, in []byte, piece, credit int) []string {
	t.Helper()
	var r Reader
	var out []string
	var message []byte
	r.Reset(e, d)
	buf, fed := []byte(nil), 0
	for {
		n, ev, v := r.Next(buf, credit)
		if n > len(buf) || len(ev.Payload) > max(credit, maxControl) {
			t.Fatalf("%d bytes of %d, %d with credit %d", n, len(buf), len(ev.Payload), credit)
		}
		switch {
		case v != nil:
			return append(out, fmt.Sprint(v.Code, " ", v.Reason))
		case ev.Kind == Part:
			if message = append(message, ev.Payload...); !ev.More {
				out = append(out, fmt.Sprintf("%d %q", ev.Message, message))
				message = message[:0]
			}
		case ev.Kind >= Ping:
			out = append(out, fmt.Sprintf("%s %d %q", [...]string{"ping", "pong", "closed"}[ev.Kind-Ping], ev.Code, ev.Payload))
		}
		buf = buf[n:]
		if ev.Kind == Starved {
			if fed == len(in) {
				break
			}
			next := in[fed:min(fed+piece, len(in))]
			fed += len(next)
			buf = append(append([]byte(nil), buf...), next...)
		}
	}
	if len(message) > 0 {
		out = append(out, fmt.Sprintf("begun %q", message))
	}
	return out
}

var (
	plain  = Deflate{}
	fresh  = Deflate{On: true, ServerBits: 15, ClientBits: 15}
	kept   = Deflate{On: true, ServerBits: 15, ClientBits: 15, ServerTakeover: true, ClientTakeover: true}
	narrow = Deflate{On: true, ServerBits: 9, ClientBits: 15}
)

// echo passes in through a Reader and back through a Writer, as the smallest server would.
type echo struct {
	Reader
	Writer
	out []byte
}

func newEcho(e *Engine, d Deflate) *echo {
	c := &echo{}
	c.Reader.Reset(e, d)
	c.Writer.Reset(e, d)
	return c
}

// feed takes in and returns what is left of it. over says that the connection is to end.
func (c *echo) feed(in []byte, credit int) (rest []byte, over bool) {
	for {
		n, ev, v := c.Next(in, credit)
		in = in[n:]
		if v != nil {
			c.out = AppendClose(c.out, v.Code, []byte(v.Reason))
			return nil, true
		}
		switch ev.Kind {
		case Starved:
			return in, false
		case Part:
			c.out = c.Append(c.out, ev.Payload, ev.Message, ev.More)
		case Ping:
			c.out = AppendPong(c.out, ev.Payload)
		case Closed:
			c.out = AppendClose(c.out, ev.Code, nil)
			return nil, true
		case Blocked, Working, Pong:
		}
	}
}
