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
	Type      string `json:"type"`
	Wire      int    `json:"wire"`
	Name      string `json:"name"`
	Target    string `json:"target"`
	Interface string `json:"interface"`
	Factory   bool   `json:"factory"`
	AppDir    string `json:"app_dir"`
	Loop      string `json:"loop"`
	Lifespan  string `json:"lifespan"`
	RootPath  string `json:"root_path"`
	Workers   int    `json:"workers"` // how many of them the server has
	Threads   int    `json:"threads"`
	LogLevel  string `json:"log_level"`
	// MessageCost is the least that a WebSocket message costs of the credit that the worker gives.
	MessageCost int         `json:"message_cost"`
	Targets     []Target    `json:"targets"`
	Loops       []SetupLoop `json:"loops"`
	// Program is run in place of an application, if there is one.
	Program *Program `json:"program,omitempty"`
}

// Target is what takes the connections of some address in the application's place. On the wire it is a number: the first is 1.
type Target struct {
	Kind   string `json:"kind"`   // tcp
	Target string `json:"target"` // module:attribute
}

// What names what a worker runs, in messages.
func (s *Setup) What() string {
	if s.Target != "" || len(s.Targets) == 0 {
		return s.Target
	}
	return s.Targets[0].Target
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
	Interface string `json:"interface"` // asgi3, asgi2, wsgi, tornado; program
	Loop      string `json:"loop"`      // asyncio, uvloop, …; empty for wsgi
	Lifespan  bool   `json:"lifespan"`
	Python    string `json:"-"` // from its hello: "3.11.7"
}

// Report is why a worker could not start the application.
type Report struct {
	Stage     string `json:"stage"` // setup, import, fork, lifespan
	Message   string `json:"message"`
	Hint      string `json:"hint"`
	Traceback string `json:"traceback"`
}

// message is any message from the worker, by its type.
type message struct {
	Type  string `json:"type"`
	Token uint64 `json:"token"` // of a descriptor
	hello
	Info
	Report
	rights
}

// rights are the descriptors that came with a message.
type rights struct {
	descriptors []int
	lost        bool // there were more than could be taken
}

// close closes them.
func (r *rights) close() {
	for _, fd := range r.descriptors {
		_ = unix.Close(fd)
	}
	r.descriptors = nil
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

// simple is a message that has only a type.
type simple struct {
	Type string `json:"type"`
}

// simple sends one.
func (c *control) simple(kind string) error { return c.send(simple{kind}, nil) }

var errMessageTooLong = errors.New("a control message is too long")

// receive reads the next message. Descriptors that came with it are the caller's.
func (c *control) receive() (*message, error) {
	m := &message{}
	if err := c.read(m); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (c *control) read(m *message) error {
	in := rightsReader{c.conn, &m.rights}
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxMessage {
		return errMessageTooLong
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(in, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, m); err != nil {
		return fmt.Errorf("a control message is no JSON: %w", err)
	}
	return nil
}

// rightsReader reads from a control socket and keeps the descriptors that come along.
type rightsReader struct {
	conn *net.UnixConn
	into *rights
}

// maxRights is how many descriptors are taken with one read; a message has at most one. The kernel closes what exceeds it.
const maxRights = 2

// Read reads once.
func (r rightsReader) Read(b []byte) (int, error) {
	var space [64]byte // for maxRights on any system
	n, length, flags, _, err := r.conn.ReadMsgUnix(b, space[:unix.CmsgSpace(4*maxRights)])
	r.into.lost = r.into.lost || flags&unix.MSG_CTRUNC != 0
	messages, _ := unix.ParseSocketControlMessage(space[:length])
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			r.into.descriptors = append(r.into.descriptors, fds...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = io.EOF // as io.ReadFull wants it
	}
	return n, err
}

// close ends the connection; the worker's watchdog ends the worker for it.
func (c *control) close() { _ = c.conn.Close() }
