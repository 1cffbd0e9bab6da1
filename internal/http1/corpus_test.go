package http1

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

// corpusLimits are small, so that the files about limits are, too.
var corpusLimits = Limits{Line: 512, Fields: 24, FieldSize: 512, Head: 4096}

// request is one file of the corpus: testdata/requests/{valid,invalid}/NNN-name.http, with NNN-name.expect beside it.
type request struct {
	name   string
	raw    []byte
	expect string
}

func corpus(t testing.TB, kind string) (all []request) {
	files, err := filepath.Glob(filepath.Join("testdata", "requests", kind, "*.http"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus of %s requests: %v", kind, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		expect, err := os.ReadFile(strings.TrimSuffix(file, ".http") + ".expect")
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		all = append(all, request{name, raw, string(expect)})
	}
	return all
}

// outcome reads raw, cut into pieces at cuts, and tells what came of it in the form of an .expect file. The pieces of a head are
// given to Parse each time in another buffer and with another request, as a reactor may do.
func outcome(raw []byte, l *Limits, cuts ...int) string {
	r := reading{}
	r.parser.Reset(l)
	start := 0
	for _, cut := range append(cuts, len(raw)) {
		if r.feed(raw[start:cut]); r.err != nil {
			return r.String()
		}
		start = cut
	}
	return r.String()
}

type reading struct {
	parser  Parser
	body    BodyDecoder
	head    string // rendered, when complete
	content []byte
	pending []byte
	err     *Error
}

func (r *reading) feed(piece []byte) {
	r.pending = append(bytes.Clone(r.pending), piece...)
	if r.head == "" {
		var req exchange.Request
		var h Head
		n, err := r.parser.Parse(r.pending, &req, &h)
		if r.err = err; n == 0 {
			return
		}
		r.head = render(&req, &h)
		r.body.Reset(&h, req.ContentLength)
		r.pending = r.pending[n:]
	}
	for !r.body.Done() && len(r.pending) > 0 && r.err == nil {
		data, n, _, err := r.body.Next(r.pending)
		r.content = append(r.content, data...)
		r.pending, r.err = r.pending[n:], err
	}
}

func (r *reading) String() string {
	switch {
	case r.err != nil && r.head != "":
		return fmt.Sprintf("%d %s (body)\n", r.err.Status, r.err)
	case r.err != nil:
		return fmt.Sprintf("%d %s\n", r.err.Status, r.err)
	case r.head == "":
		return "incomplete\n"
	}
	s := r.head
	if r.body.Done() && !strings.Contains(s, "\nbody: none\n") {
		s += "content: " + quote(r.content) + "\n"
	}
	if len(r.pending) > 0 {
		s += "rest: " + quote(r.pending) + "\n"
	}
	return s
}

func quote(b []byte) string {
	return `"` + strings.NewReplacer("\\", `\\`, `"`, `\"`, "\r", `\r`, "\n", `\n`, "\t", `\t`).Replace(string(b)) + `"`
}

func render(req *exchange.Request, h *Head) string {
	var b strings.Builder
	of := func(s exchange.Span) []byte { return s.Of(req.Buf) }
	fmt.Fprintf(&b, "method: %s\npath: %s\nquery: %s\n", of(req.Method), of(req.Path), of(req.Query))
	fmt.Fprintf(&b, "version: %d.%d\n", req.Version/10, req.Version%10)
	fmt.Fprintf(&b, "keep-alive: %s\n", map[bool]string{true: "yes", false: "no"}[h.KeepAlive])
	switch h.Body {
	case NoBody:
		b.WriteString("body: none\n")
	case FixedBody:
		fmt.Fprintf(&b, "body: fixed %d\n", req.ContentLength)
	case ChunkedBody:
		b.WriteString("body: chunked\n")
	}
	if req.WantsContinue {
		b.WriteString("continue: yes\n")
	}
	for _, f := range req.Fields {
		fmt.Fprintf(&b, "field: %s: %s\n", of(f.Name), of(f.Value))
	}
	return b.String()
}

// every returns the cuts that leave pieces of n bytes.
func every(n, length int) (cuts []int) {
	for i := n; i < length; i += n {
		cuts = append(cuts, i)
	}
	return cuts
}

// spec: http 1
// spec: http 2
// spec: http 3
// spec: http 10
func TestCorpusIsReadAsExpected(t *testing.T) {
	for _, kind := range []string{"valid", "invalid"} {
		for _, c := range corpus(t, kind) {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				if got := outcome(c.raw, &corpusLimits); got != c.expect {
					t.Errorf("got\n%s\nwant\n%s", got, c.expect)
				}
			})
		}
	}
}

// spec: http 1
func TestOutcomeDoesNotDependOnHowTheBytesCome(t *testing.T) {
	for _, kind := range []string{"valid", "invalid"} {
		for _, c := range corpus(t, kind) {
			if got := outcome(c.raw, &corpusLimits, every(1, len(c.raw))...); got != c.expect {
				t.Errorf("%s, one byte at a time: got\n%s\nwant\n%s", c.name, got, c.expect)
			}
			for i := 1; i < len(c.raw); i += 1 + len(c.raw)/1000 {
				if got := outcome(c.raw, &corpusLimits, i); got != c.expect {
					t.Fatalf("%s, cut at %d: got\n%s\nwant\n%s", c.name, i, got, c.expect)
				}
			}
		}
	}
}

// A head that breaks off is never taken for a whole one.
// spec: http 1
func TestEveryPrefixOfAValidHeadIsIncomplete(t *testing.T) {
	for _, c := range corpus(t, "valid") {
		end := bytes.Index(c.raw, []byte("\r\n\r\n")) + 4
		for i := range end {
			if got := outcome(c.raw[:i], &corpusLimits); got != "incomplete\n" {
				t.Fatalf("%s, first %d bytes: got\n%s", c.name, i, got)
			}
		}
	}
}

func TestInvalidRequestsCoverEveryError(t *testing.T) {
	expected := ""
	for _, c := range corpus(t, "invalid") {
		expected += c.expect
	}
	for _, err := range []*Error{
		ErrBareLF, ErrBareCR, ErrRequestLine, ErrLineTooLong, ErrMethod, ErrMethodTooLong, ErrTarget, ErrVersion,
		ErrVersionUnsupported, ErrConnect, ErrFieldName, ErrFieldValue, ErrFieldFolded, ErrFieldTooLarge, ErrTooManyFields,
		ErrHeadTooLarge, ErrHost, ErrHostMissing, ErrHostRepeated, ErrContentLength, ErrContentLengthRepeated,
		ErrTransferEncoding, ErrTransferCoding, ErrTransferVersion, ErrFraming, ErrExpectation, ErrChunkSize,
		ErrChunkTooLarge, ErrChunkExtension, ErrChunkExtensions, ErrChunkEnd, ErrTrailer, ErrTrailersTooBig,
	} {
		if !strings.Contains(expected, fmt.Sprintf("%d %s", err.Status, err.Reason)) {
			t.Errorf("no request of the corpus is refused with %q", err.Reason)
		}
	}
}
