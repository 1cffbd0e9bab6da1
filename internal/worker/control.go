package worker

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

// Messages of the control socket; docs/reference/wire.md, "Control socket".

// maxMessage bounds a message in both directions: room for a long traceback.
const maxMessage = 1 << 20

// hello is the worker's first word.
type hello struct {
	Wire       int    `json:"wire"`
	Awaitd     string `json:"awaitd"`
	Python     string `json:"python"`
	Executable string `json:"executable"`
	PID        int    `json:"pid"`
}

// Setup tells the worker what to run and how.
type Setup struct {
	Type      string      `json:"type"`
	Wire      int         `json:"wire"`
	Name      string      `json:"name"`
	Target    string      `json:"target"`
	Interface string      `json:"interface"`
	Factory   bool        `json:"factory"`
	AppDir    string      `json:"app_dir"`
	Loop      string      `json:"loop"`
	Lifespan  string      `json:"lifespan"`
	RootPath  string      `json:"root_path"`
	Threads   int         `json:"threads"`
	LogLevel  string      `json:"log_level"`
	Loops     []SetupLoop `json:"loops"`
}

// SetupLoop is one worker loop: its links, one for each endpoint.
type SetupLoop struct {
	Links []SetupLink `json:"links"`
}

// SetupLink is one link.
type SetupLink struct {
	RingSize int `json:"ring_size"`
}

// Info is what a worker says when it is ready.
type Info struct {
	Interface string `json:"interface"` // asgi3, asgi2, wsgi
	Loop      string `json:"loop"`      // asyncio, uvloop, …; empty for wsgi
	Lifespan  bool   `json:"lifespan"`
	Python    string `json:"-"` // from its hello: "3.11.7"
}

// Report is why a worker could not start the application.
type Report struct {
	Stage     string `json:"stage"` // setup, import, lifespan
	Message   string `json:"message"`
	Hint      string `json:"hint"`
	Traceback string `json:"traceback"`
}

// message is any message from the worker, by its type.
type message struct {
	Type string `json:"type"`
	hello
	Info
	Report
}

// control is the server's end of a control socket.
type control struct {
	conn *net.UnixConn
	mu   sync.Mutex // one message at a time
}

// newControl makes a pair of connected sockets: ours, and the worker's as a file to inherit.
func newControl() (*control, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	ours := os.NewFile(uintptr(fds[0]), "control")
	theirs := os.NewFile(uintptr(fds[1]), "control")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return &control{conn: conn.(*net.UnixConn)}, theirs, nil
}

// send writes a message, with descriptors if there are any.
func (c *control) send(v any, descriptors []int) error {
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
	n, _, err := c.conn.WriteMsgUnix(b, rights, nil)
	if err == nil && n < len(b) {
		_, err = c.conn.Write(b[n:])
	}
	return err
}

// simple sends a message that has only a type.
func (c *control) simple(kind string) error {
	return c.send(struct {
		Type string `json:"type"`
	}{kind}, nil)
}

var errMessageTooLong = errors.New("a control message is too long")

// receive reads the next message. Descriptors that a worker sends along are closed.
func (c *control) receive() (*message, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxMessage {
		return nil, errMessageTooLong
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		return nil, err
	}
	m := &message{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("a control message is no JSON: %w", err)
	}
	return m, nil
}

// close ends the connection; the worker's watchdog ends the worker for it.
func (c *control) close() { _ = c.conn.Close() }
