package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// testdata/vectors.json holds frames as both languages must read and write them; tests/worker/test_vectors.py is the other half.

type vector struct {
	Name  string
	Hex   string
	Frame vectorFrame
}

// vectorFrame is a frame's content. Text is one byte for each character, as in latin-1.
type vectorFrame struct {
	Size, Stream  uint32
	Type          string
	Flags         uint8
	Aux           uint16
	Length        uint32
	Claim         uint32
	Kind          exchange.Kind
	Version       exchange.Version
	Scheme        exchange.Scheme
	ID            string
	ContentLength int64 `json:"content_length"`
	Method        string
	Path, Query   string
	Fields        [][2]string
	Credit        uint32
	Client        string
	ClientPort    uint16 `json:"client_port"`
	Server        string
	ServerPort    uint16 `json:"server_port"`
	Target        uint16
	Extra         [][2]any
	Body          string
	Offset, Count int64
	Token         string
	Subprotocol   string
	Streams       []uint32
	Phrase        string
}

var typeNames = map[string]Type{
	"OPEN": Open, "DATA": Data, "END": End, "RESET": Reset, "WINDOW": Window, "HEAD": Head, "INFORM": Inform, "FILE": File,
	"ACCEPT": Accept, "MESSAGE": Message, "CLOSE": Close, "COMMAND": Command, "REPLY": Reply, "PING": Ping,
	"PONG": Pong, "DEBUG": Debug, "BROADCAST": Broadcast,
}

func latin1(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

func TestBothLanguagesAgreeOnTheVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	seen := map[Type]bool{}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			raw, err := hex.DecodeString(v.Hex)
			if err != nil {
				t.Fatal(err)
			}
			h := headerOf(raw)
			want := Header{v.Frame.Size, v.Frame.Stream, typeNames[v.Frame.Type], v.Frame.Flags, v.Frame.Aux, v.Frame.Length}
			if h != want || int(h.Size) != len(raw) {
				t.Fatalf("header %+v of %d bytes, want %+v", h, len(raw), want)
			}
			seen[h.Type] = true
			if again := AppendFrame(nil, h, raw[HeaderSize:]); !bytes.Equal(again, raw) {
				t.Fatalf("written again it is\n%x, want\n%x", again, raw)
			}
			checkContent(t, Frame{Header: h, Payload: raw[HeaderSize:]}, raw, v.Frame)
		})
	}
	for name, typ := range typeNames {
		if !seen[typ] {
			t.Errorf("no vector has a %s", name)
		}
	}
}

// checkContent decodes what the server decodes, and encodes what it encodes.
func checkContent(t *testing.T, f Frame, raw []byte, want vectorFrame) {
	t.Helper()
	var s Scratch
	switch f.Type {
	case Open:
		checkOpen(t, raw, want)
	case Head, Inform:
		var r exchange.Response
		if err := s.Response(f, &r); err != nil {
			t.Fatal(err)
		}
		if r.Status != int(want.Aux) || !bytes.Equal(r.Body, latin1(want.Body)) || r.End != (want.Flags&EndStream != 0) ||
			r.Trailers != (want.Flags&HasTrailers != 0) || !bytes.Equal(r.Phrase.Of(r.Buf), latin1(want.Phrase)) {
			t.Fatalf("%+v", r)
		}
		checkFields(t, r.Buf, r.Fields, want.Fields)
	case End:
		buf, fields, err := s.Trailers(f)
		if err != nil {
			t.Fatal(err)
		}
		checkFields(t, buf, fields, want.Fields)
	case File:
		r, err := DecodeFile(f)
		token, _ := strconv.ParseUint(want.Token, 16, 64)
		if err != nil || r != (FileRequest{token, want.Offset, want.Count}) {
			t.Fatalf("%+v, %v", r, err)
		}
	case Broadcast:
		ids, message, err := Recipients(f)
		if err != nil || !bytes.Equal(message, latin1(want.Body)) || len(ids) != 4*len(want.Streams) {
			t.Fatalf("%x, %q, %v", ids, message, err)
		}
		for i, id := range want.Streams {
			if le.Uint32(ids[4*i:]) != id {
				t.Errorf("stream %d: %x", i, ids)
			}
		}
	case Data, Reset, Message, Close, Command, Reply, Debug:
		if !bytes.Equal(f.Payload[:f.Length], latin1(want.Body)) {
			t.Fatalf("%q", f.Payload[:f.Length])
		}
	}
}

func checkFields(t *testing.T, buf []byte, got []exchange.Field, want [][2]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d fields, want %d", len(got), len(want))
	}
	for i, f := range got {
		if !bytes.Equal(f.Name.Of(buf), latin1(want[i][0])) || !bytes.Equal(f.Value.Of(buf), latin1(want[i][1])) {
			t.Errorf("field %d: %q: %q", i, f.Name.Of(buf), f.Value.Of(buf))
		}
	}
}

// checkOpen encodes the request that the vector describes. Extras that the server does not send yet are put in by the test.
func checkOpen(t *testing.T, raw []byte, want vectorFrame) {
	t.Helper()
	req := &exchange.Request{
		Kind: want.Kind, Target: want.Target, Version: want.Version, Scheme: want.Scheme, ContentLength: want.ContentLength,
		Body: latin1(want.Body), End: want.Flags&EndStream != 0, WantsContinue: want.Flags&WantsContinue != 0,
		Client: address(t, want.Client, want.ClientPort), Server: address(t, want.Server, want.ServerPort),
	}
	if _, err := fmt.Sscanf(want.ID, "%016x", &req.ID); err != nil {
		t.Fatal(err)
	}
	add := func(s string) exchange.Span { return span(req, string(latin1(s))) }
	req.Method, req.Path, req.Query = add(want.Method), add(want.Path), add(want.Query)
	for _, f := range want.Fields {
		req.Fields = append(req.Fields, exchange.Field{Name: add(f[0]), Value: add(f[1])})
	}
	var others []byte
	for _, extra := range want.Extra {
		switch tag, value := uint16(extra[0].(float64)), extra[1].(string); tag {
		case extraUnixPath:
			req.UnixPath = string(latin1(value))
		case extraRootPath:
			req.RootPath = add(value)
		case extraClientText:
			req.ClientName = add(value)
		case extraServerText:
			req.ServerName = add(value)
		case extraTLS:
			req.TLS = latin1(value)
		case extraVariables:
			addVariables(req, value)
		default:
			others = appendExtra(others, tag, latin1(value))
		}
	}
	got, taken, err := AppendOpen(nil, 1<<20, want.Stream, req, want.Credit)
	if err != nil || taken != len(req.Body) {
		t.Fatal(taken, err)
	}
	le.PutUint32(got[offClaim:], want.Claim)
	if len(others) > 0 {
		got = insertExtras(got, others, len(req.Body))
	}
	if !bytes.Equal(got, raw) {
		t.Fatalf("encoded\n%x, want\n%x", got, raw)
	}
}

// addVariables adds variables as the wire has them.
func addVariables(req *exchange.Request, rows string) {
	add := func(b []byte) exchange.Span { return span(req, string(b)) }
	for b := latin1(rows); len(b) > 0; {
		name := 4 + int(le.Uint16(b))
		end := name + int(le.Uint16(b[2:]))
		req.Variables = append(req.Variables, exchange.Field{Name: add(b[4:name]), Value: add(b[name:end])})
		b = b[end:]
	}
}

// insertExtras puts more extras between those of an encoded OPEN and its body.
func insertExtras(frame, extras []byte, body int) []byte {
	end := openFixed + int(le.Uint16(frame[offExtraLen:])) + int(frame[offMethodLen]) + int(le.Uint16(frame[offPathLen:])) +
		int(le.Uint16(frame[offQueryLen:]))
	for i := range int(le.Uint16(frame[offFieldCount:])) {
		entry := frame[openFixed+i*fieldEntry:]
		end += fieldEntry + int(le.Uint16(entry)) + int(le.Uint16(entry[2:]))
	}
	out := append(append(bytes.Clone(frame[:end]), extras...), frame[end:end+body]...)
	out = append(out, make([]byte, align(len(out))-len(out))...)
	le.PutUint16(out[offExtraLen:], le.Uint16(frame[offExtraLen:])+uint16(len(extras)))
	le.PutUint32(out, uint32(len(out)))
	return out
}

func address(t *testing.T, text string, port uint16) exchange.Address {
	t.Helper()
	switch {
	case text == "":
		return exchange.Address{Port: port}
	case text == "unix":
		return exchange.Address{Family: exchange.Unix}
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return exchange.AddressFrom(netip.AddrPortFrom(ip, port))
}
