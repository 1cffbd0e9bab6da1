package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// span appends text to a request's buffer.
func span(req *exchange.Request, text string) exchange.Span {
	start := uint32(len(req.Buf))
	req.Buf = append(req.Buf, text...)
	return exchange.Span{Start: start, End: uint32(len(req.Buf))}
}

func testRequest() *exchange.Request {
	req := &exchange.Request{
		Kind: exchange.HTTP, Version: exchange.HTTP11, ContentLength: 5, ID: 0x0123456789abcdef,
		Client: exchange.Address{Family: exchange.IPv4, Port: 50123, IP: [16]byte{127, 0, 0, 1}},
		Server: exchange.Address{Family: exchange.IPv4, Port: 8000, IP: [16]byte{127, 0, 0, 1}},
	}
	req.Method = span(req, "POST")
	req.Path = span(req, "/a%20b")
	req.Query = span(req, "x=1&y=2")
	for _, f := range [][2]string{{"Host", "example.org"}, {"X-Two", "A"}, {"x-two", "B"}} {
		req.Fields = append(req.Fields, exchange.Field{Name: span(req, f[0]), Value: span(req, f[1])})
	}
	req.Body, req.End = []byte("hello"), true
	return req
}

func TestOpenHoldsTheWholeRequest(t *testing.T) {
	frame, taken, err := AppendOpen([]byte("before"), 4096, 9, testRequest(), 65536)
	if err != nil || taken != 5 {
		t.Fatal(taken, err)
	}
	frame = frame[len("before"):]
	h := headerOf(frame)
	if int(h.Size) != len(frame) || h.Size%8 != 0 || h.Stream != 9 || h.Type != Open || h.Flags != EndStream || h.Length != 5 {
		t.Fatalf("header %+v of %d bytes", h, len(frame))
	}
	want := "POST" + "/a%20b" + "x=1&y=2" + "hostexample.org" + "x-twoA" + "x-twoB" + "hello"
	if got := frame[openFixed+3*fieldEntry:]; !bytes.HasPrefix(got, []byte(want)) {
		t.Fatalf("bytes %q", got)
	}
}

func TestABodyThatDoesNotFitIsTakenInPart(t *testing.T) {
	req := testRequest()
	req.Body = bytes.Repeat([]byte("x"), 10_000)
	frame, taken, err := AppendOpen(nil, 4096, 9, req, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(frame) > 4096 || taken >= 10_000 || taken < 3000 {
		t.Fatalf("%d bytes of frame, %d of body taken", len(frame), taken)
	}
	if headerOf(frame).Flags&EndStream != 0 {
		t.Fatal("the rest of the body would be lost")
	}
}

func TestAHeadThatDoesNotFitIsAnError(t *testing.T) {
	req := testRequest()
	req.Fields = append(req.Fields, exchange.Field{Name: req.Method, Value: span(req, string(make([]byte, 5000)))})
	if out, _, err := AppendOpen([]byte("kept"), 4096, 9, req, 0); !errors.Is(err, ErrTooLarge) || string(out) != "kept" {
		t.Fatalf("%q, %v", out, err)
	}
}

// headFrame builds a HEAD as a worker would.
func headFrame(status uint16, flags uint8, fields [][2]string, body string) Frame {
	p := le.AppendUint16(nil, uint16(len(fields)))
	p = append(p, make([]byte, headFixed-2)...)
	for _, f := range fields {
		p = le.AppendUint16(p, uint16(len(f[0])))
		p = le.AppendUint16(p, uint16(len(f[1])))
	}
	for _, f := range fields {
		p = append(append(p, f[0]...), f[1]...)
	}
	p = append(p, body...)
	return Frame{Header: Header{Type: Head, Aux: status, Flags: flags, Length: uint32(len(body))}, Payload: p}
}

func TestHeadComesOutAsTheWorkerWroteIt(t *testing.T) {
	f := headFrame(201, EndStream|HasTrailers, [][2]string{{"a", "1"}, {"", ""}, {"Set-Cookie", "x=y"}}, "body")
	var s Scratch
	var r exchange.Response
	if err := s.Response(f, &r); err != nil {
		t.Fatal(err)
	}
	if r.Status != 201 || !r.End || !r.Trailers || string(r.Body) != "body" || len(r.Fields) != 3 {
		t.Fatalf("%+v", r)
	}
	if last := r.Fields[2]; string(last.Name.Of(r.Buf)) != "Set-Cookie" || string(last.Value.Of(r.Buf)) != "x=y" {
		t.Fatalf("field %q", last.Name.Of(r.Buf))
	}
}

// phrased puts a reason phrase between the fields and the body of a HEAD.
func phrased(f Frame, phrase string, fields int) Frame {
	at := headFixed
	for i := range fields {
		entry := f.Payload[headFixed+i*fieldEntry:]
		at += fieldEntry + int(le.Uint16(entry)) + int(le.Uint16(entry[2:]))
	}
	f.Payload = append(append(bytes.Clone(f.Payload[:at]), phrase...), f.Payload[at:]...)
	le.PutUint16(f.Payload[offPhrase:], uint16(len(phrase)))
	return f
}

func TestAReasonPhraseIsCopiedOutOfTheRing(t *testing.T) {
	f := phrased(headFrame(404, EndStream, [][2]string{{"a", "1"}}, "body"), "Nicht da", 1)
	var s Scratch
	var r exchange.Response
	if err := s.Response(f, &r); err != nil {
		t.Fatal(err)
	}
	clear(f.Payload[:len(f.Payload)-len("body")])
	if string(r.Phrase.Of(r.Buf)) != "Nicht da" || string(r.Body) != "body" || string(r.Fields[0].Value.Of(r.Buf)) != "1" {
		t.Fatalf("%+v", r)
	}
	if err := s.Response(headFrame(200, 0, nil, ""), &r); err != nil || r.Phrase.Len() != 0 {
		t.Fatalf("the next response has its phrase %q, %v", r.Phrase.Of(r.Buf), err)
	}
}

func TestAReasonPhraseIsBounded(t *testing.T) {
	var s Scratch
	var r exchange.Response
	for n, good := range map[int]bool{maxPhrase: true, maxPhrase + 1: false, 1<<16 - 1: false} {
		f := phrased(headFrame(200, 0, nil, ""), string(bytes.Repeat([]byte("x"), n)), 0)
		if err := s.Response(f, &r); (err == nil) != good {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestEveryShorteningOfAHeadIsAViolation(t *testing.T) {
	whole := phrased(headFrame(200, 0, [][2]string{{"name", "value"}, {"b", "2"}}, "body"), "Fine", 2)
	var s Scratch
	var r exchange.Response
	for n := range whole.Payload {
		f := whole
		f.Payload = whole.Payload[:n]
		if err := s.Response(f, &r); err == nil {
			t.Fatalf("accepted %d of %d bytes", n, len(whole.Payload))
		}
	}
}

func TestFileRequestsAreChecked(t *testing.T) {
	payload := func(offset, count int64, token ...byte) []byte {
		p := le.AppendUint64(nil, uint64(offset))
		return append(le.AppendUint64(p, uint64(count)), token...)
	}
	token := []byte{7, 0, 0, 0, 0, 0, 0, 1}
	good := Frame{Header: Header{Type: File, Aux: 1, Length: 8}, Payload: payload(3, -1, token...)}
	r, err := DecodeFile(good)
	if err != nil || r != (FileRequest{Token: 1<<56 + 7, Offset: 3, Count: -1}) {
		t.Fatal(r, err)
	}
	for name, f := range map[string]Frame{
		"negative offset": {Header: Header{Aux: 1, Length: 8}, Payload: payload(-1, 0, token...)},
		"negative count":  {Header: Header{Aux: 1, Length: 8}, Payload: payload(0, -2, token...)},
		"no token":        {Header: Header{Aux: 1}, Payload: payload(0, 0)},
		"short token":     {Header: Header{Aux: 1, Length: 4}, Payload: payload(0, 0, token...)},
		"a path":          {Header: Header{Length: 11}, Payload: payload(0, 0, []byte("/etc/passwd")...)},
		"unknown kind":    {Header: Header{Aux: 2, Length: 8}, Payload: payload(0, 0, token...)},
		"too short":       {Header: Header{Aux: 1, Length: 8}, Payload: make([]byte, 23)},
	} {
		if _, err := DecodeFile(f); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzFromWorker feeds the server's side a ring full of a worker's bytes: it must refuse or decode, and never read outside.
func FuzzFromWorker(f *testing.F) {
	seed := AppendFrame(nil, Header{Stream: 1, Type: Window, Length: 9}, nil)
	head := headFrame(200, EndStream, [][2]string{{"content-length", "4"}}, "body")
	seed = AppendFrame(seed, Header{Stream: 2, Type: Head, Aux: 200, Flags: EndStream, Length: 4}, head.Payload)
	f.Add(seed, uint64(len(seed)))
	f.Add([]byte{8, 0, 0, 0, 255, 255, 255, 255}, uint64(8))
	f.Fuzz(func(t *testing.T, data []byte, tail uint64) {
		l, _ := newTestLink(t, MinRing)
		copy(l.In.data, data)
		l.In.ring.tail.Store(tail)
		var s Scratch
		var r exchange.Response
		for range MinRing/8 + 1 {
			frame, ok, err := l.In.Next()
			if err != nil || !ok {
				return
			}
			switch frame.Type {
			case Head, Inform:
				if s.Response(frame, &r) == nil {
					_ = r.Phrase.Of(r.Buf)
					for _, field := range r.Fields {
						_, _ = field.Name.Of(r.Buf), field.Value.Of(r.Buf)
					}
				}
			case End:
				_, _, _ = s.Trailers(frame)
			case File:
				_, _ = DecodeFile(frame)
			}
			l.Release()
		}
		t.Fatal("a ring gave more frames than it can hold")
	})
}
