package worker

import (
	"os"

	"github.com/awaitd/awaitd/internal/message"
)

// Messages of the control socket; docs/reference/wire.md, "Control socket".

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
	// Client says that the last of the descriptors leads to the HTTP client (package outbound).
	Client bool `json:"client,omitempty"`
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

// said is any message from the worker, by its type.
type said struct {
	Type  string `json:"type"`
	Token uint64 `json:"token"` // of a descriptor
	hello
	Info
	Report
	message.Rights
}

// control is the server's end of a control socket.
type control struct{ *message.Conn }

// newControl makes a pair of connected sockets: ours, and the worker's as a file to inherit.
func newControl() (*control, *os.File, error) {
	c, theirs, err := message.Pair("control")
	return &control{c}, theirs, err
}

// simple is a message that has only a type.
type simple struct {
	Type string `json:"type"`
}

// simple sends one.
func (c *control) simple(kind string) error { return c.Send(simple{kind}, nil) }

// receive reads the next message. Descriptors that came with it are the caller's.
func (c *control) receive() (*said, error) {
	m := &said{}
	if err := c.Receive(m, &m.Rights); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// close ends the connection; the worker's watchdog ends the worker for it.
func (c *control) close() { _ = c.Conn.Close() }
