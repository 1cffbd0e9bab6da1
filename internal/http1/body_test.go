package http1

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/exchange"
)

func decoder(kind BodyKind, length int64) *BodyDecoder {
	var d BodyDecoder
	d.Reset(&Head{Body: kind}, length)
	return &d
}

func TestNoBodyIsDoneAtOnceAndTakesNothing(t *testing.T) {
	d := decoder(NoBody, 0)
	data, n, done, err := d.Next([]byte("GET / HTTP/1.1"))
	if len(data) != 0 || n != 0 || !done || err != nil || !d.Done() || d.Remaining() != 0 {
		t.Errorf("%q, %d, %v, %v", data, n, done, err)
	}
}

func TestFixedBodyEndsAtItsLength(t *testing.T) {
	d := decoder(FixedBody, 5)
	data, n, done, _ := d.Next([]byte("hel"))
	if string(data) != "hel" || n != 3 || done || d.Remaining() != 2 || d.Received() != 3 {
		t.Errorf("%q, %d, %v, remaining %d", data, n, done, d.Remaining())
	}
	data, n, done, _ = d.Next([]byte("loGET /"))
	if string(data) != "lo" || n != 2 || !done || d.Remaining() != 0 || d.Received() != 5 {
		t.Errorf("%q, %d, %v, remaining %d", data, n, done, d.Remaining())
	}
}

// The caller holds the running count against the body limit, chunk by chunk.
func TestReceivedCountsTheBytesOfChunksWithoutTheirFraming(t *testing.T) {
	d := decoder(ChunkedBody, exchange.UnknownLength)
	in := []byte("3;x\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\nrest")
	var counts []int64
	for !d.Done() {
		if d.Remaining() != exchange.UnknownLength {
			t.Errorf("remaining is %d", d.Remaining())
		}
		_, n, _, err := d.Next(in)
		if err != nil {
			t.Fatal(err)
		}
		in = in[n:]
		counts = append(counts, d.Received())
	}
	if len(counts) != 2 || counts[0] != 3 || counts[1] != 7 || string(in) != "rest" || d.Remaining() != 0 {
		t.Errorf("counts %v, rest %q", counts, in)
	}
}

func TestNextReturnsPartsOfItsInput(t *testing.T) {
	in := []byte("3\r\nabc\r\n0\r\n\r\nnext")
	data, n, done, _ := decoder(ChunkedBody, exchange.UnknownLength).Next(in)
	if &data[0] != &in[3] || cap(data) != 3 || n != len(in)-4 || !done {
		t.Errorf("%q with capacity %d, %d consumed, done %v", data, cap(data), n, done)
	}
}

// spec: http 1
func TestChunkSizeIsReadUpToTheLargest(t *testing.T) {
	d := decoder(ChunkedBody, exchange.UnknownLength)
	data, n, _, err := d.Next([]byte("7fffffffffffffff\r\nabc"))
	if string(data) != "abc" || n != 21 || err != nil || d.left != math.MaxInt64-3 {
		t.Errorf("%q, %d, %v, left %d", data, n, err, d.left)
	}
}

// spec: http 1
func TestBoundsOfExtensionsAndTrailersHoldToTheByte(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     *Error
	}{
		{"extensions", "1" + strings.Repeat(";", maxChunkExtensions) + "\r\na\r\n0\r\n\r\n", nil},
		{"one more", "1" + strings.Repeat(";", maxChunkExtensions+1) + "\r\na\r\n0\r\n\r\n", ErrChunkExtensions},
		{"one more later", "1" + strings.Repeat(";", maxChunkExtensions) + "\r\na\r\n0;\r\n\r\n", ErrChunkExtensions},
		{"white space", "1" + strings.Repeat(" ", maxChunkExtensions+1), ErrChunkExtensions},
		{"trailers", "0\r\nX:" + strings.Repeat("t", maxTrailers-4) + "\r\n\r\n", nil},
		{"one byte more", "0\r\nX:" + strings.Repeat("t", maxTrailers-3) + "\r\n\r\n", ErrTrailersTooBig},
		{"name", "0\r\n" + strings.Repeat("t", maxTrailers+1), ErrTrailersTooBig},
		{"both", "0" + strings.Repeat(";", maxChunkExtensions) + "\r\nX:" + strings.Repeat("t", maxTrailers-4) + "\r\n\r\n", nil},
	} {
		d := decoder(ChunkedBody, exchange.UnknownLength)
		_, n, done, err := d.Next([]byte(c.in))
		if err != c.want || done != (c.want == nil) || done && n != len(c.in) {
			t.Errorf("%s: %d of %d bytes, done %v, %v", c.name, n, len(c.in), done, err)
		}
	}
}

// spec: http 1
func TestWhatCameBeforeAFaultIsStillReturned(t *testing.T) {
	d := decoder(ChunkedBody, exchange.UnknownLength)
	data, n, done, err := d.Next([]byte("3\r\nabcX\r\n"))
	if string(data) != "abc" || n != 6 || done || err != ErrChunkEnd {
		t.Errorf("%q, %d, %v, %v", data, n, done, err)
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	raw := []byte("5;x=y\r\nhello\r\n400\r\n" + string(bytes.Repeat([]byte("z"), 0x400)) + "\r\n0\r\nT: v\r\n\r\n")
	h := Head{Body: ChunkedBody}
	var d BodyDecoder
	if n := testing.AllocsPerRun(100, func() {
		d.Reset(&h, exchange.UnknownLength)
		for in := raw; !d.Done(); {
			_, n, _, err := d.Next(in)
			if err != nil {
				t.Fatal(err)
			}
			in = in[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
