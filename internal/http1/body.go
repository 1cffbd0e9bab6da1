package http1

import (
	"math"

	"github.com/awaitd/awaitd/internal/exchange"
)

// BodyDecoder takes the framing off a request body. A chunked body (RFC 9112 §7.1) is
//
//	size [extensions] CR LF  data CR LF  …  "0" [extensions] CR LF  [trailer CR LF …]  CR LF
//
// and is read by a machine that needs no look-back, so its state between two calls is a few numbers. Data is passed on as it
// comes. Extensions and trailer fields are checked, bounded and dropped.
type BodyDecoder struct {
	left     int64 // bytes of the body, or of the current chunk, still to come
	received int64
	overhead int32 // bytes of extensions so far; once in the trailers, of these
	state    bodyState
	digits   uint8 // of the current chunk size
}

// bodyState says what a decoder expects next.
type bodyState uint8

const (
	fixedData bodyState = iota
	chunkSize
	chunkSpace     // white space after the size: only before an extension
	chunkExtension // up to CR
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // the first byte of a trailer field, or the last CR
	trailerName
	trailerValue
	trailerLF
	finalLF
	bodyDone
)

// Reset makes the decoder ready for the body that h and contentLength, the request's, announce. Without a body it is done.
func (d *BodyDecoder) Reset(h *Head, contentLength int64) {
	*d = BodyDecoder{state: bodyDone}
	switch h.Body {
	case FixedBody:
		d.left, d.state = contentLength, fixedData
	case ChunkedBody:
		d.state = chunkSize
	}
}

// Done tells whether the whole body has been read.
func (d *BodyDecoder) Done() bool { return d.state == bodyDone }

// Received returns the number of body bytes that Next has returned so far.
func (d *BodyDecoder) Received() int64 { return d.received }

// Remaining returns how many body bytes are still to come, or exchange.UnknownLength while a chunked body is not done.
func (d *BodyDecoder) Remaining() int64 {
	switch d.state {
	case fixedData:
		return d.left
	case bodyDone:
		return 0
	}
	return exchange.UnknownLength
}

// Next decodes from in. It returns the next run of body bytes, a part of in; how many bytes of in it has consumed, framing on
// both sides of that run included; and whether the body is complete. If it isn't and n < len(in), call again with the rest;
// if n == len(in), more input is needed. With an error, data is what came before it; the decoder is of no use any more.
func (d *BodyDecoder) Next(in []byte) (data []byte, n int, done bool, err *Error) {
	if d.state == fixedData {
		data = d.takeData(in)
		if d.left == 0 {
			d.state = bodyDone
		}
		return data, len(data), d.Done(), nil
	}
	for n < len(in) && d.state != bodyDone {
		if d.state != chunkData {
			if err = d.step(in[n]); err != nil {
				break
			}
			n++
			continue
		}
		if data != nil {
			break
		}
		data = d.takeData(in[n:])
		n += len(data)
		if d.left == 0 {
			d.state = chunkDataCR
		}
	}
	return data, n, d.Done(), err
}

func (d *BodyDecoder) takeData(in []byte) []byte {
	n := min(int64(len(in)), d.left)
	d.left -= n
	d.received += n
	return in[:n:n]
}

// step takes one byte of the framing.
func (d *BodyDecoder) step(c byte) *Error {
	switch d.state {
	case chunkSize, chunkSpace:
		return d.stepSize(c)
	case chunkExtension:
		return d.stepExtension(c)
	case chunkSizeLF:
		return d.stepSizeLF(c)
	case chunkDataCR:
		return d.expect(c, '\r', chunkDataLF, ErrChunkEnd)
	case chunkDataLF:
		d.digits = 0
		return d.expect(c, '\n', chunkSize, ErrChunkEnd)
	case finalLF:
		return d.expect(c, '\n', bodyDone, ErrBareCR)
	}
	return d.stepTrailer(c)
}

func (d *BodyDecoder) expect(c, want byte, next bodyState, err *Error) *Error {
	if c != want {
		return err
	}
	d.state = next
	return nil
}

func (d *BodyDecoder) stepSize(c byte) *Error {
	if d.state == chunkSize && class[c]&hexChar != 0 {
		return d.addDigit(c)
	}
	switch {
	case d.digits == 0:
		return ErrChunkSize
	case c == ';':
		d.state = chunkExtension
		return d.addOverhead(maxChunkExtensions, ErrChunkExtensions)
	case c == ' ' || c == '\t':
		d.state = chunkSpace
		return d.addOverhead(maxChunkExtensions, ErrChunkExtensions)
	case c == '\n':
		return ErrBareLF
	case c != '\r' || d.state == chunkSpace:
		return ErrChunkSize
	}
	d.state = chunkSizeLF
	return nil
}

func (d *BodyDecoder) addDigit(c byte) *Error {
	if d.digits == maxChunkDigits || d.left > math.MaxInt64>>4 {
		return ErrChunkTooLarge
	}
	d.digits++
	v := c - '0'
	if v > 9 {
		v = (c | 0x20) - 'a' + 10
	}
	d.left = d.left<<4 | int64(v)
	return nil
}

func (d *BodyDecoder) stepExtension(c byte) *Error {
	switch {
	case c == '\r':
		d.state = chunkSizeLF
		return nil
	case c == '\n':
		return ErrBareLF
	case class[c]&valueChar == 0:
		return ErrChunkExtension
	}
	return d.addOverhead(maxChunkExtensions, ErrChunkExtensions)
}

func (d *BodyDecoder) stepSizeLF(c byte) *Error {
	if c != '\n' {
		return ErrBareCR
	}
	d.state = chunkData
	if d.left == 0 {
		d.state = trailerStart
		d.overhead = 0
	}
	return nil
}

// stepTrailer reads trailer fields by the rules of header fields: a token, a colon, a value without control characters.
func (d *BodyDecoder) stepTrailer(c byte) *Error {
	switch d.state {
	case trailerStart:
		if c == '\r' {
			d.state = finalLF
			return nil
		}
		d.state = trailerName
		if class[c]&tokenChar == 0 {
			return trailerError(c)
		}
	case trailerName:
		if c == ':' {
			d.state = trailerValue
		} else if class[c]&tokenChar == 0 {
			return trailerError(c)
		}
	case trailerValue:
		if c == '\r' {
			d.state = trailerLF
		} else if class[c]&valueChar == 0 {
			return trailerError(c)
		}
	case trailerLF:
		if c != '\n' {
			return ErrBareCR
		}
		d.state = trailerStart
	}
	return d.addOverhead(maxTrailers, ErrTrailersTooBig)
}

func trailerError(c byte) *Error {
	if c == '\n' {
		return ErrBareLF
	}
	return ErrTrailer
}

func (d *BodyDecoder) addOverhead(limit int32, err *Error) *Error {
	if d.overhead >= limit {
		return err
	}
	d.overhead++
	return nil
}
