//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds a response head; maxBody a body. Both are far above what any row asks for.
const (
	maxHead = 64 << 10
	maxBody = 64 << 20
)

var errIncomplete = errors.New("incomplete")

// response is one parsed HTTP/1.1 reply. Its body is a slice of the input unless it was chunked.
type response struct {
	status  int
	closing bool
	body    []byte
}

// parseResponse reads one reply (RFC 9112 §6) from the start of b and returns how many bytes it took. errIncomplete asks
// for more input; any other error is a reply that a keep-alive client can't frame. It starts over each time: replies
// here mostly arrive in one piece.
func parseResponse(b []byte) (r response, n int, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) > maxHead {
			return r, 0, errors.New("response head is too long")
		}
		return r, 0, errIncomplete
	}
	line, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if r.status, err = parseStatus(line); err != nil {
		return r, 0, err
	}
	length, chunked, closing, err := parseFraming(rest)
	if err != nil {
		return r, 0, err
	}
	r.closing = closing
	body := b[end+4:]
	switch {
	case chunked:
		var used int
		r.body, used, err = parseChunks(body)
		return r, end + 4 + used, err
	case length < 0:
		return r, 0, errors.New("neither content-length nor chunked: can't tell where the body ends")
	case len(body) < length:
		return r, 0, errIncomplete
	}
	r.body = body[:length]
	return r, end + 4 + length, nil
}

// parseStatus takes the code out of `HTTP/1.1 200 OK`.
func parseStatus(line []byte) (int, error) {
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return 0, fmt.Errorf("status line %.40q", line)
	}
	code, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, fmt.Errorf("status line %.40q", line)
	}
	return code, nil
}

// parseFraming finds how the body is delimited; length is -1 without Content-Length.
func parseFraming(headers []byte) (length int, chunked, closing bool, err error) {
	length = -1
	for len(headers) > 0 {
		var line []byte
		line, headers, _ = bytes.Cut(headers, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return 0, false, false, fmt.Errorf("header line %.40q", line)
		}
		value = bytes.Trim(value, " \t")
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			length, err = strconv.Atoi(string(value))
			if err != nil || length < 0 || length > maxBody {
				return 0, false, false, fmt.Errorf("content-length %.40q", value)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")):
			closing = bytes.EqualFold(value, []byte("close"))
		}
	}
	return length, chunked, closing, nil
}

// parseChunks joins a chunked body without trailers (RFC 9112 §7.1).
func parseChunks(b []byte) (body []byte, n int, err error) {
	for {
		line, _, ok := bytes.Cut(b[n:], []byte("\r\n"))
		if !ok {
			return nil, 0, errIncomplete
		}
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 31)
		if err != nil || size > maxBody {
			return nil, 0, fmt.Errorf("chunk size %.40q", line)
		}
		n += len(line) + 2
		if len(b) < n+int(size)+2 {
			return nil, 0, errIncomplete
		}
		if string(b[n+int(size):n+int(size)+2]) != "\r\n" {
			return nil, 0, errors.New("chunk doesn't end in CRLF")
		}
		body = append(body, b[n:n+int(size)]...)
		n += int(size) + 2
		if size == 0 {
			return body, n, nil
		}
	}
}
