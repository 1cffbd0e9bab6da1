package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// understanding is what a server takes a request for. Two servers that take the same bytes differently can be played off against
// each other; so every difference from net/http has to be one of those below.
type understanding struct {
	refused string // why the head was refused, empty if it wasn't
	method  string
	path    string
	query   string
	version string
	host    string
	close   bool
	fields  string
	content string
	end     string // how the body ended: "whole", "incomplete" or why it was refused
}

func ours(raw []byte) (u understanding, refusal *Error) {
	var p Parser
	var req exchange.Request
	var h Head
	p.Reset(&usualLimits)
	n, err := p.Parse(raw, &req, &h)
	switch {
	case err != nil:
		return understanding{refused: err.Reason}, err
	case n == 0:
		return understanding{refused: "incomplete"}, nil
	}
	u = understanding{
		method: string(req.Method.Of(raw)), path: string(req.Path.Of(raw)), query: string(req.Query.Of(raw)),
		version: fmt.Sprintf("HTTP/%d.%d", req.Version/10, req.Version%10), close: !h.KeepAlive, end: "incomplete",
	}
	header := http.Header{}
	for _, f := range req.Fields {
		header.Add(string(f.Name.Of(raw)), string(f.Value.Of(raw)))
	}
	u.host = header.Get("Host")
	u.fields = comparable(header)
	var d BodyDecoder
	d.Reset(&h, req.ContentLength)
	for rest := raw[n:]; err == nil && !d.Done() && len(rest) > 0; {
		var data []byte
		data, n, _, err = d.Next(rest)
		rest = rest[n:]
		u.content += string(data)
	}
	if err != nil {
		u.end = err.Reason
	} else if d.Done() {
		u.end = "whole"
	}
	return u, err
}

func theirs(raw []byte) (u understanding) {
	req, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(raw), 64<<10))
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return understanding{refused: "incomplete"}
	}
	if err != nil {
		return understanding{refused: err.Error()}
	}
	path, query, _ := strings.Cut(req.RequestURI, "?")
	if req.URL.IsAbs() {
		_, path, _ = strings.Cut(path, "://")
		_, path, _ = strings.Cut(path, "/")
		path = "/" + path
	}
	u = understanding{
		method: req.Method, path: path, query: query, version: req.Proto, host: req.Host, close: req.Close,
		fields: comparable(req.Header), end: "whole",
	}
	body, err := io.ReadAll(req.Body)
	u.content = string(body)
	if err == io.ErrUnexpectedEOF {
		u.end = "incomplete"
	} else if err != nil {
		u.end = err.Error()
	}
	return u
}

// comparable renders the fields that net/http leaves in Request.Header.
func comparable(h http.Header) string {
	var b strings.Builder
	h = h.Clone()
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Pragma", "Cache-Control"} {
		h.Del(name)
	}
	_ = h.Write(&b)
	return b.String()
}

// difference is a request that we and net/http take differently, in one way.
type difference struct {
	raw          []byte
	what         string // the part of the understanding, or "head" if only one side accepts it
	ours, theirs understanding
	refusal      *Error // of ours
}

// explained are the differences from net/http that are meant, each with the reason. A difference that none of them covers fails
// the test.
var explained = []struct {
	reason string
	covers func(d *difference) bool
}{
	{
		"a bare LF ends a line there; RFC 9112 §2.2 allows it, but a front that disagrees makes it a way to smuggle requests",
		refusedFor(ErrBareLF),
	},
	{
		"folded lines are joined there; RFC 9112 §5.2 has a server refuse or join them",
		refusedFor(ErrFieldFolded),
	},
	{
		"a Transfer-Encoding whose value is on a folded line is seen to be empty before it is seen to be folded",
		func(d *difference) bool {
			folded := bytes.Contains(d.raw, []byte("\r\n ")) || bytes.Contains(d.raw, []byte("\r\n\t"))
			return refusedFor(ErrTransferEncoding)(d) && folded
		},
	},
	{
		"ReadRequest leaves Host to the server, which takes an empty one, and characters that no host has",
		refusedFor(ErrHost, ErrHostMissing),
	},
	{
		"Transfer-Encoding beats Content-Length there; RFC 9112 §6.3 allows it, but calls it a probable attack",
		refusedFor(ErrFraming),
	},
	{
		"Content-Length may be repeated there if all values agree; RFC 9110 §8.6 allows it, or a refusal",
		refusedFor(ErrContentLengthRepeated),
	},
	{
		"Transfer-Encoding is dropped there on HTTP/1.0, and the body is taken for the next request; RFC 9112 §6.1 calls it faulty",
		refusedFor(ErrTransferVersion),
	},
	{
		"ReadRequest takes HTTP/2.0 and any other version of two digits",
		refusedFor(ErrVersionUnsupported),
	},
	{
		"CONNECT is the handler's business there",
		refusedFor(ErrConnect),
	},
	{
		"Expect is the server's business there, not that of ReadRequest",
		refusedFor(ErrExpectation),
	},
	{
		"a method has no longest length there",
		refusedFor(ErrMethodTooLong),
	},
	{
		"net/url takes every scheme, user information, fragments, an asterisk for any method",
		refusedFor(ErrTarget),
	},
	{
		"ReadRequest leaves a space in a field name to the server",
		refusedFor(ErrFieldName),
	},
	{
		"extensions and trailers have other bounds there, and trailers may be folded and end with LF",
		func(d *difference) bool {
			return d.what == "body" && d.theirs.end == "whole" &&
				isOneOf(d.refusal, ErrChunkExtensions, ErrTrailersTooBig, ErrTrailer, ErrBareLF)
		},
	},
	{
		"white space between size and extension is refused there; RFC 9112 §7.1.1 has a recipient take it",
		func(d *difference) bool {
			return d.what == "body" && d.ours.end == "whole" && d.theirs.end == "invalid byte in chunk length" &&
				(bytes.Contains(d.raw, []byte(" ;")) || bytes.Contains(d.raw, []byte("\t;")))
		},
	},
	{
		"net/url refuses percent escapes that are none; here they are the application's to judge",
		theyRefuse("invalid URL escape"),
	},
	{
		"net/url parses the IPv6 address of an absolute form; here its characters are checked",
		theyRefuse("invalid host: ParseAddr"),
	},
	{
		"an empty line before the request line is skipped here (RFC 9112 §2.2), refused there",
		func(d *difference) bool {
			return theyRefuse("malformed HTTP request")(d) && bytes.HasPrefix(d.raw, []byte("\r\n"))
		},
	},
	{
		"a minor version above 1 is 1.1 here, kept as it is there",
		func(d *difference) bool {
			return d.what == "version" && d.ours.version == "HTTP/1.1" && d.theirs.version > "HTTP/1.1"
		},
	},
	{
		"an absolute form on HTTP/1.0 without Host gives a host there; here there is no field that it could replace",
		func(d *difference) bool { return d.what == "host" && d.ours.version == "HTTP/1.0" && d.ours.host == "" },
	},
}

func refusedFor(errs ...*Error) func(*difference) bool {
	return func(d *difference) bool { return d.what == "head" && isOneOf(d.refusal, errs...) }
}

func theyRefuse(texts ...string) func(*difference) bool {
	return func(d *difference) bool {
		for _, s := range texts {
			if d.what == "head" && d.refusal == nil && strings.Contains(d.theirs.refused, s) {
				return true
			}
		}
		return false
	}
}

func isOneOf(err *Error, errs ...*Error) bool {
	for _, e := range errs {
		if err == e {
			return true
		}
	}
	return false
}

// compare returns the first way in which raw is taken differently, or nil.
func compare(raw []byte) *difference {
	d := difference{raw: raw, theirs: theirs(raw)}
	d.ours, d.refusal = ours(raw)
	o, t := &d.ours, &d.theirs
	switch {
	case (o.refused == "") != (t.refused == ""):
		d.what = "head"
	case o.refused != "":
		return nil
	case o.method != t.method:
		d.what = "method"
	case o.path != t.path || o.query != t.query:
		d.what = "target"
	case o.version != t.version:
		d.what = "version"
	case o.host != t.host:
		d.what = "host"
	case o.close != t.close:
		d.what = "close"
	case o.fields != t.fields:
		d.what = "fields"
	case (o.end == "whole") != (t.end == "whole") || o.content != t.content && o.end == "whole":
		d.what = "body"
	default:
		return nil
	}
	return &d
}

// spec: http 1
// spec: http 2
func TestEveryDifferenceFromNetHTTPIsExplained(t *testing.T) {
	used := make([]int, len(explained))
	check := func(raw []byte) {
		d := compare(raw)
		if d == nil {
			return
		}
		for i, e := range explained {
			if e.covers(d) {
				used[i]++
				return
			}
		}
		t.Errorf("%q differs in %s:\n  ours   %+v\n  theirs %+v", raw, d.what, d.ours, d.theirs)
	}
	random := rand.New(rand.NewPCG(9112, 9110))
	for _, kind := range []string{"valid", "invalid"} {
		for _, c := range corpus(t, kind) {
			check(c.raw)
			for range 60 {
				check(mutate(random, c.raw))
			}
		}
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("no request differs because %s", explained[i].reason)
		}
	}
}

// mutate changes one to three places of a request in a way that parsers disagree about.
func mutate(random *rand.Rand, raw []byte) []byte {
	pieces := []string{
		"\r", "\n", "\r\n", " ", "\t", ":", ",", ";", "\x00", "\x7f", "\xff", "0", "1", "A", "/", "?", "#", "@", "%", "*",
		"Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "Connection: close\r\n", "HTTP/1.0", "\r\n ",
	}
	out := bytes.Clone(raw)
	for range 1 + random.IntN(3) {
		i := random.IntN(len(out))
		piece := pieces[random.IntN(len(pieces))]
		switch random.IntN(4) {
		case 0:
			out = append(out[:i:i], out[i+1:]...)
		case 1:
			out[i] = piece[0]
		case 2:
			out = append(out[:i:i], append([]byte(piece), out[i:]...)...)
		case 3: // at the beginning of a line, where a field can be
			if j := bytes.IndexByte(out[i:], '\n'); j >= 0 {
				i += j + 1
				out = append(out[:i:i], append([]byte(piece), out[i:]...)...)
			}
		}
		if len(out) == 0 {
			return []byte("\r\n")
		}
	}
	return out
}
