package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Ask asks the server at a path. The wait is bounded for an answer that the server has at once; a reload takes what it takes. After
// a stop it returns when the server is gone.
func Ask(path string, request Request) (*Response, error) {
	c, err := net.DialTimeout("unix", path, askTime)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	_ = c.SetWriteDeadline(time.Now().Add(askTime))
	// Whoever closes before it has read may have said why.
	if _, err := c.Write(append(line, '\n')); err != nil && !errors.Is(err, syscall.EPIPE) {
		return nil, err
	}
	if request.Command == CommandStatus || request.Command == CommandStacks {
		_ = c.SetReadDeadline(time.Now().Add(2 * askTime))
	}
	r := bufio.NewReader(io.LimitReader(c, maxResponse))
	var response Response
	if err := json.NewDecoder(r).Decode(&response); err != nil {
		return nil, silence(err)
	}
	if response.Failure != nil {
		return nil, response.Failure
	}
	if request.Command == CommandStop {
		_, _ = io.Copy(io.Discard, c) // until the process ends, and the connection with it
		awaitEnd(response.PID)
	}
	return &response, nil
}

// silence is what came instead of an answer.
func silence(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errors.New("the server does not answer")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return errors.New("the server closed the connection: it listens to its own user and to root, or it has ended")
	}
	return fmt.Errorf("not an answer of awaitd: %w", err)
}
