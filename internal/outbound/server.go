// Package outbound sends the requests of Python programs: httpx and requests hand them over as streams of kind client on links of
// their own (docs/reference/wire.md), and internal/client sends them. It is what a worker's application has of it, and what a
// program that runs without the server has: then this process is its sidecar.
//
// A program has a session: a socket on which it asks for links (one for each event loop, and one for its threads) and describes
// transports. Transports with the same description have one pool of connections, whoever uses them. The package trusts no program:
// what breaks a rule of the wire ends the session.
package outbound

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/awaitd/awaitd/internal/client"
	"github.com/awaitd/awaitd/internal/message"
	"github.com/awaitd/awaitd/internal/wire"
)

// Limits of one program.
const (
	maxLinks      = 256
	maxTransports = 1024
	ringSize      = 2 << 20
)

// Server sends requests for any number of programs.
type Server struct {
	// Deny is asked about every address before a connection is made to it; nil allows all.
	Deny func(address string) error
	Log  *slog.Logger

	mu    sync.Mutex
	pools map[string]*pool
}

// pool is the connections of all transports with one description.
type pool struct {
	client *client.Client
	users  int
}

// Socket begins a session, and returns the program's end of it.
func (s *Server) Socket() (*os.File, error) {
	conn, theirs, err := message.Pair("client")
	if err != nil {
		return nil, err
	}
	go func() { // ends when the program's end is closed
		if err := s.Serve(conn); err != nil {
			s.Log.Error("a worker's HTTP client is cut off", "error", err)
		}
	}()
	return theirs, nil
}

// Serve is a session, until the program's end of it is closed.
func (s *Server) Serve(conn *message.Conn) error {
	n := &session{server: s, conn: conn, links: map[int]*link{}}
	err := n.run()
	n.end()
	if n.problem != nil {
		return n.problem
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}

// join returns the pool with a description, made by what is described if need be.
func (s *Server) join(key string, settings func() (client.Settings, error)) (*pool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pools[key]; p != nil {
		p.users++
		return p, nil
	}
	made, err := settings()
	if err != nil {
		return nil, err
	}
	if s.Deny != nil {
		made.Deny = s.Deny
	}
	if s.pools == nil {
		s.pools = map[string]*pool{}
	}
	p := &pool{client: client.New(made), users: 1}
	s.pools[key] = p
	return p, nil
}

// leave lets go of a pool.
func (s *Server) leave(key string) {
	s.mu.Lock()
	p := s.pools[key]
	p.users--
	if p.users == 0 {
		delete(s.pools, key)
	} else {
		p = nil
	}
	s.mu.Unlock()
	if p != nil {
		p.client.Close()
	}
}

// session is what one program has.
type session struct {
	server *Server
	conn   *message.Conn
	links  map[int]*link
	made   int // links so far
	ended  sync.WaitGroup

	mu         sync.Mutex
	transports []transport
	problem    error
}

// transport is one that the program has described.
type transport struct {
	key  string
	pool *pool
}

// request is any message of a program.
type request struct {
	Type        string `json:"type"` // link, unlink, transport
	Link        int    `json:"link"`
	Description `json:"transport"`
}

// answer is what it is told: the number of a link or of a transport, or what is wrong.
type answer struct {
	Number   int    `json:"number"`
	RingSize int    `json:"ring_size,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (n *session) run() error {
	for {
		var m request
		var rights message.Rights
		err := n.conn.Receive(&m, &rights)
		rights.Close() // none are expected
		if err != nil {
			return err
		}
		switch m.Type {
		case "link":
			err = n.link()
		case "unlink":
			if l := n.links[m.Link]; l != nil {
				delete(n.links, m.Link)
				l.stop()
			}
		case "transport":
			err = n.transport(m.Description)
		default:
			err = fmt.Errorf("a message of an unknown type: %.40q", m.Type)
		}
		if err != nil {
			return err
		}
	}
}

// link makes a link and passes it to the program.
func (n *session) link() error {
	if len(n.links) >= maxLinks {
		return n.conn.Send(answer{Error: fmt.Sprintf("%d event loops have a link already, and no more may", maxLinks)}, nil)
	}
	bell, err := wire.NewBell()
	if err != nil {
		return n.conn.Send(answer{Error: err.Error()}, nil)
	}
	w, err := wire.NewLink(ringSize, bell)
	if err != nil {
		bell.Close()
		return n.conn.Send(answer{Error: err.Error()}, nil)
	}
	l, err := newLink(n, w, bell)
	if err != nil {
		w.Close()
		bell.Close()
		return n.conn.Send(answer{Error: err.Error()}, nil)
	}
	n.made++
	n.links[n.made] = l
	err = n.conn.Send(answer{Number: n.made, RingSize: ringSize}, append([]int{bell.Wait()}, w.Descriptors()...))
	w.Sent()
	n.ended.Go(l.run)
	return err
}

// transport notes a description, and answers with its number.
func (n *session) transport(d Description) error {
	n.mu.Lock()
	count := len(n.transports)
	n.mu.Unlock()
	if count >= maxTransports {
		return n.conn.Send(answer{Error: fmt.Sprintf("this program has %d transports with different settings, and no more may be", count)}, nil)
	}
	key := d.key()
	p, err := n.server.join(key, d.settings)
	if err != nil {
		return n.conn.Send(answer{Error: err.Error()}, nil)
	}
	n.mu.Lock()
	n.transports = append(n.transports, transport{key, p})
	n.mu.Unlock()
	return n.conn.Send(answer{Number: count + 1}, nil)
}

// client finds a transport by its number; nil if there is none.
func (n *session) client(number uint16) *client.Client {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number == 0 || int(number) > len(n.transports) {
		return nil
	}
	return n.transports[number-1].pool.client
}

// violated ends the session: the program broke a rule of the wire.
func (n *session) violated(err error) {
	n.mu.Lock()
	if n.problem == nil {
		n.problem = err
	}
	n.mu.Unlock()
	_ = n.conn.Close()
}

// end ends all that the program has.
func (n *session) end() {
	_ = n.conn.Close()
	for _, l := range n.links {
		l.stop()
	}
	n.ended.Wait()
	for _, t := range n.transports {
		n.server.leave(t.key)
	}
}
