package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// read reads one answer, in the smallest pieces there are.
func read(text string) (status int, body string, err error) {
	r, err := readResponse(bufio.NewReader(iotest.OneByteReader(strings.NewReader(text))))
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(r)
	return r.status, string(b), err
}

func TestResponsesAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":                                           "hello",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                                                "",
		"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n": "abc0123456789",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx":                  "x",
	} {
		if status, body, err := read(text); status != 200 || body != want || err != nil {
			t.Errorf("%q: %d %q %v", text, status, body, err)
		}
	}
}

func TestWhatIsWrongWithAResponseIsSeen(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\n"
	chunked := head + "Transfer-Encoding: chunked\r\n\r\n"
	for text, want := range map[string]error{
		"":                                       io.EOF,
		"H":                                      io.ErrUnexpectedEOF,
		head:                                     io.ErrUnexpectedEOF,
		head + "Content-Length: 5\r\n\r\nhell":   io.ErrUnexpectedEOF,
		chunked:                                  io.ErrUnexpectedEOF,
		chunked + "3\r\nab":                      io.ErrUnexpectedEOF,
		chunked + "3\r\nabc":                     io.ErrUnexpectedEOF,
		chunked + "3\r\nabc\r\n":                 io.ErrUnexpectedEOF,
		chunked + "3\r\nabc\r\n0\r\n":            io.ErrUnexpectedEOF,
		chunked + "3\r\nabcd\r\n0\r\n\r\n":       errMalformed,
		chunked + "x\r\n":                        errMalformed,
		chunked + "0\r\nx: y\r\n\r\n":            errMalformed,
		head + "\r\n":                            errMalformed,
		head + "Content-Length: x\r\n\r\n":       errMalformed,
		head + "nothing\r\n\r\n":                 errMalformed,
		head + "Content-Length: 0\n\r\n":         errMalformed,
		"HTTP/1.0 200 OK\r\n\r\n":                errMalformed,
		"HTTP/1.1 2x0 OK\r\n\r\n":                errMalformed,
		"<html>a page about an error</html>\r\n": errMalformed,
		head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": errMalformed,
		head + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx":         errMalformed,
		head + "x: " + strings.Repeat("y", 5000) + "\r\n\r\n":            errMalformed,
		head + strings.Repeat("x: y\r\n", 101) + "\r\n":                  errMalformed,
	} {
		if _, _, err := read(text); !errors.Is(err, want) {
			t.Errorf("%.80q: %v, want %v", text, err, want)
		}
	}
}
