package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// errMalformed is an answer that breaks the rules (RFC 9112); what it is about is wrapped around it.
var errMalformed = errors.New("malformed")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", errMalformed, fmt.Sprintf(format, a...))
}

// maxFields bounds the header fields of a response; a line may be as long as the reader's buffer.
const maxFields = 100

// response is the head of an answer, and how far its body has been read. Unlike bench/load's it comes in pieces: a stream is
// read slowly, and what is cut off must be seen to be.
type response struct {
	from    *bufio.Reader
	status  int
	closing bool
	chunked bool
	left    int64 // of the body, or of this chunk
	begun   bool  // a chunk was
}

// readResponse reads a head. Without a byte of it the error is io.EOF; interim responses are stepped over.
func readResponse(from *bufio.Reader) (*response, error) {
	if _, err := from.Peek(1); err != nil {
		return nil, err
	}
	for {
		r := &response{from: from, left: -1}
		if err := r.readHead(); err != nil {
			return nil, unexpected(err)
		}
		if r.status >= 200 {
			return r, nil
		}
	}
}

// unexpected turns an end into one in the middle.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *response) line() ([]byte, error) {
	line, err := r.from.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, malformed("a line of more than %d bytes", len(line))
	}
	if err != nil {
		return nil, err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return nil, malformed("line %.40q without CRLF", line)
	}
	return text, nil
}

func (r *response) readHead() error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if len(line) < 13 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || line[12] != ' ' {
		return malformed("status line %.40q", line)
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil || r.status < 100 {
		return malformed("status line %.40q", line)
	}
	for range maxFields {
		line, err := r.line()
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return r.framing()
		}
		if err := r.field(line); err != nil {
			return err
		}
	}
	return malformed("more than %d fields", maxFields)
}

func (r *response) field(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 {
		return malformed("field line %.40q", line)
	}
	value = bytes.Trim(value, " \t")
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		n, err := strconv.ParseUint(string(value), 10, 62)
		if err != nil || r.left >= 0 {
			return malformed("content-length %.40q", value)
		}
		r.left = int64(n)
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		if !bytes.EqualFold(value, []byte("chunked")) || r.chunked {
			return malformed("transfer-encoding %.40q", value)
		}
		r.chunked = true
	case bytes.EqualFold(name, []byte("connection")):
		r.closing = r.closing || bytes.EqualFold(value, []byte("close"))
	}
	return nil
}

// framing checks how the body is delimited (§6.3): by its length or in chunks, to whom speaks HTTP/1.1.
func (r *response) framing() error {
	switch {
	case r.status < 200:
		return nil
	case r.chunked == (r.left >= 0):
		return malformed("want content-length or chunks, not both and not neither")
	case r.chunked:
		r.left = 0
	}
	return nil
}

// Read reads the body, without its framing. io.EOF is its whole end.
func (r *response) Read(p []byte) (int, error) {
	if r.left == 0 {
		if !r.chunked {
			return 0, io.EOF
		}
		if err := r.nextChunk(); err != nil {
			return 0, err
		}
	}
	n, err := r.from.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	return n, unexpected(err)
}

// nextChunk reads the line of a chunk's size (§7.1); io.EOF is the last.
func (r *response) nextChunk() error {
	if r.begun {
		if err := r.blank(); err != nil {
			return err
		}
	}
	line, err := r.line()
	if err != nil {
		return unexpected(err)
	}
	n, err := strconv.ParseUint(string(line), 16, 62)
	if err != nil {
		return malformed("chunk size %.40q", line)
	}
	if r.begun, r.left = true, int64(n); n > 0 {
		return nil
	}
	if err := r.blank(); err != nil {
		return err
	}
	r.chunked = false
	return io.EOF
}

// blank reads an empty line.
func (r *response) blank() error {
	line, err := r.line()
	if err == nil && len(line) > 0 {
		err = malformed("%.40q after a chunk", line)
	}
	return unexpected(err)
}
