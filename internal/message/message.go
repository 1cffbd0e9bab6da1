// Package message is how the server and a process of Python's tell each other things beside the rings: JSON objects over a unix
// stream socket, each behind its length, with descriptors by SCM_RIGHTS (docs/reference/wire.md, "Control socket").
package message

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Max bounds a message in both directions: room for a long traceback.
const Max = 1 << 20

// ErrTooLong says that a message is longer than Max.
var ErrTooLong = errors.New("a control message is too long")

// Conn is an end of such a socket. Any goroutine may send; one receives.
type Conn struct {
	*net.UnixConn
	mu sync.Mutex // one message at a time
}

// Pair makes two connected ends: ours, and the other's as a file to inherit.
func Pair(name string) (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	theirs := os.NewFile(uintptr(fds[1]), name)
	c, err := FromFile(os.NewFile(uintptr(fds[0]), name))
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return c, theirs, nil
}

// FromFile takes an end that was inherited, and closes the file.
func FromFile(f *os.File) (*Conn, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("it is no unix socket")
	}
	return &Conn{UnixConn: u}, nil
}

// Send writes a message, with descriptors if there are any.
func (c *Conn) Send(v any, descriptors []int) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	b = append(b, body...)
	c.mu.Lock()
	defer c.mu.Unlock()
	var rights []byte
	if len(descriptors) > 0 {
		rights = unix.UnixRights(descriptors...)
	}
	n, _, err := c.WriteMsgUnix(b, rights, nil)
	if err == nil && n < len(b) {
		_, err = c.Write(b[n:])
	}
	return err
}

// Receive reads the next message into v. Descriptors that came with it go to r, even if there is an error; they are the caller's.
func (c *Conn) Receive(v any, r *Rights) error {
	in := rightsReader{c.UnixConn, r}
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > Max {
		return ErrTooLong
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("a control message is no JSON: %w", err)
	}
	return nil
}

// Rights are the descriptors that came with a message.
type Rights struct {
	Descriptors []int
	Lost        bool // there were more than could be taken
}

// Close closes them.
func (r *Rights) Close() {
	for _, fd := range r.Descriptors {
		_ = unix.Close(fd)
	}
	r.Descriptors = nil
}

// rightsReader reads from a socket and keeps the descriptors that come along.
type rightsReader struct {
	conn *net.UnixConn
	into *Rights
}

// maxRights is how many descriptors are taken with one read; a message has at most one. The kernel closes what exceeds it.
const maxRights = 2

// Read reads once.
func (r rightsReader) Read(b []byte) (int, error) {
	var space [64]byte // for maxRights on any system
	n, length, flags, _, err := r.conn.ReadMsgUnix(b, space[:unix.CmsgSpace(4*maxRights)])
	r.into.Lost = r.into.Lost || flags&unix.MSG_CTRUNC != 0
	messages, _ := unix.ParseSocketControlMessage(space[:length])
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			r.into.Descriptors = append(r.into.Descriptors, fds...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = io.EOF // as io.ReadFull wants it
	}
	return n, err
}
