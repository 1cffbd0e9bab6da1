package wire

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

type testField struct{ Name, Value string }

// callFrame is an OPEN as a worker writes it.
func callFrame(tb testing.TB) Frame {
	tb.Helper()
	b := make([]byte, openFixed)
	head := Header{Stream: Opener | 1<<20 | 7, Type: Open, Flags: EndStream, Length: 4}
	b[offKind], b[offScheme], b[offMethodLen] = byte(exchange.Client), byte(exchange.Secure), 4
	le.PutUint16(b[offPathLen:], 4)
	le.PutUint16(b[offFieldCount:], 1)
	le.PutUint32(b[offCredit:], 1000)
	le.PutUint16(b[offTarget:], 3)
	b = append(le.AppendUint16(le.AppendUint16(b, 1), 2), "POST/a?bXyz"...)
	extra := appendExtra(nil, extraAuthority, "h:1")
	extra = append(le.AppendUint16(le.AppendUint16(extra, extraTimeouts), 16), make([]byte, 16)...)
	le.PutUint32(extra[len(extra)-12:], 250)
	le.PutUint16(b[offExtraLen:], uint16(len(extra)))
	b = append(append(b, extra...), "body"...)
	head.Size = uint32(align(len(b)))
	return Frame{Header: head, Payload: append(b, make([]byte, int(head.Size)-len(b))...)[HeaderSize:]}
}

func TestCall(t *testing.T) {
	var s Scratch
	c, err := s.Call(callFrame(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Method != "POST" || c.Target != "/a?b" || c.Authority != "h:1" || !c.Secure || c.Transport != 3 || c.Credit != 1000 || !c.End {
		t.Errorf("%+v", c)
	}
	f := c.Fields[0]
	if c.Text[f.Name.Start:f.Name.End] != "X" || c.Text[f.Value.Start:f.Value.End] != "yz" || string(c.Body) != "body" {
		t.Errorf("%+v", c)
	}
	if c.Timeouts != [4]uint32{0, 250, 0, 0} {
		t.Errorf("timeouts %v", c.Timeouts)
	}
}

func TestCallsThatBreakARule(t *testing.T) {
	for name, breaks := range map[string]func(f *Frame){
		"too short":                  func(f *Frame) { f.Payload = f.Payload[:40] },
		"a stream of the server":     func(f *Frame) { f.Stream &^= Opener },
		"another kind":               func(f *Frame) { f.Payload[offKind-HeaderSize] = byte(exchange.HTTP) },
		"a query":                    func(f *Frame) { le.PutUint16(f.Payload[offQueryLen-HeaderSize:], 1) },
		"fields past the frame":      func(f *Frame) { le.PutUint16(f.Payload[offFieldCount-HeaderSize:], 900) },
		"extras past the frame":      func(f *Frame) { le.PutUint16(f.Payload[offExtraLen-HeaderSize:], 900) },
		"a body past the frame":      func(f *Frame) { f.Length = 1 << 30 },
		"an extra past its section":  func(f *Frame) { le.PutUint16(f.Payload[openFixed-HeaderSize+4+11+2:], 99) },
		"timeouts that are not four": func(f *Frame) { le.PutUint16(f.Payload[openFixed-HeaderSize+4+11+7+2:], 12) },
	} {
		var s Scratch
		f := callFrame(t)
		f.Payload = slices.Clone(f.Payload)
		breaks(&f)
		var v Violation
		if c, err := s.Call(f); !errors.As(err, &v) {
			t.Errorf("%s: %v, %+v", name, err, c)
		}
	}
}

func TestHeadsForAWorker(t *testing.T) {
	fields := []testField{{"X", "y"}, {"Long", string(bytes.Repeat([]byte("z"), 3000))}}
	b, ok := AppendHead(nil, 1<<16, exchange.HTTP11, "Fine", fields)
	if !ok {
		t.Fatal("it did not fit")
	}
	var s Scratch
	var r exchange.Response
	f := Frame{Header: Header{Type: Head, Aux: 200}, Payload: b}
	f.Payload[4] = 0 // which only a worker reads
	if err := s.Response(f, &r); err != nil || len(r.Fields) != 2 || string(r.Phrase.Of(r.Buf)) != "Fine" {
		t.Errorf("%v %+v", err, r)
	}
	if _, ok := AppendHead(nil, 100, exchange.HTTP11, "", fields); ok {
		t.Error("a head that is larger than it may be")
	}
	if _, ok := AppendTrailers(nil, 1<<20, []testField{{"X", string(make([]byte, 1<<16))}}); ok {
		t.Error("a field that is longer than it may be")
	}
}

func FuzzCall(f *testing.F) {
	frame := callFrame(f)
	f.Add(frame.Stream, frame.Length, frame.Payload)
	f.Fuzz(func(t *testing.T, stream, length uint32, payload []byte) {
		var s Scratch
		c, err := s.Call(Frame{Header: Header{Stream: stream, Type: Open, Length: length}, Payload: payload})
		if err != nil {
			return
		}
		if len(c.Text)+len(c.Body)+len(c.Authority) > len(payload) {
			t.Errorf("%d bytes of what had %d", len(c.Text)+len(c.Body), len(payload))
		}
		for _, field := range c.Fields {
			_, _ = c.Text[field.Name.Start:field.Name.End], c.Text[field.Value.Start:field.Value.End]
		}
	})
}
