package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/listen"
)

// Handler does what commands ask for. Its methods are called from several goroutines.
type Handler interface {
	Status() *Status
	// Stacks returns those of a worker, or of all if the name is empty.
	Stacks(worker string) ([]Stack, error)
	// Reload returns when the reload is over.
	Reload() error
	// Stop has the server end, and returns at once.
	Stop()
}

// Server answers on a control socket.
type Server struct {
	Path string

	socket   *listen.Socket
	listener net.Listener
	handler  Handler
	peer     func(fd int) (uid int, err error)
	refused  func(uid int) // told of a user who is not heard
	end      chan struct{}
	done     sync.WaitGroup
	closing  sync.Once

	mu   sync.Mutex
	kept []net.Conn // of those who wait for the end: one that nobody holds is closed with the garbage
}

// Serve answers on a socket until Close. refused is told of each user who is turned away.
func Serve(socket *listen.Socket, h Handler, refused func(uid int)) (*Server, error) {
	listener, err := socket.Listener()
	if err != nil {
		return nil, err
	}
	s := &Server{Path: socket.Path, socket: socket, listener: listener, handler: h, peer: peer, refused: refused, end: make(chan struct{})}
	s.start()
	return s, nil
}

func (s *Server) start() {
	s.done.Go(s.accept) // ends by Close
}

// Close ends the listening, and removes the socket. Connections go on: who has asked for the end waits until the process is gone.
func (s *Server) Close() {
	if s == nil {
		return
	}
	s.closing.Do(func() {
		close(s.end)
		_ = s.listener.Close()
		s.done.Wait()
		s.socket.Close()
	})
}

// acceptPause is how long to wait after an accept that failed: with no descriptor left it would fail at once, again and again.
const acceptPause = 100 * time.Millisecond

func (s *Server) accept() {
	places := make(chan struct{}, maxClients)
	for {
		c, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
			continue
		}
		if !s.hears(c) {
			_ = c.Close()
			continue
		}
		select {
		case places <- struct{}{}: // no more at once; those that read and write do so in time
		case <-s.end:
			_ = c.Close()
			return
		}
		go func() { // ends with the command, or with the process
			s.serve(c)
			<-places
		}()
	}
}

// hears tells whether who has connected may ask.
func (s *Server) hears(c net.Conn) bool {
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	uid := -1
	if raw.Control(func(fd uintptr) { uid, err = s.peer(int(fd)) }) != nil || err != nil {
		return false
	}
	if !allowed(uid, os.Geteuid()) {
		s.refused(uid)
		return false
	}
	return true
}

// allowed tells whether a user may command a server of another.
func allowed(uid, own int) bool { return uid == 0 || uid == own }

// serve answers the one question of a connection.
func (s *Server) serve(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(askTime))
	request, err := readRequest(c)
	if err != nil {
		send(c, &Response{Failure: &Failure{Problem: err.Error()}})
		_ = c.Close()
		return
	}
	answer := s.answer(request)
	kept := request.Command == CommandStop && s.keep(c)
	if send(c, answer); !kept {
		_ = c.Close()
	} // else the kernel does, with the process's end, which is what the client waits for
}

// keep keeps a connection open, unless there are too many.
func (s *Server) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == maxClients {
		return false
	}
	s.kept = append(s.kept, c)
	return true
}

// readRequest reads a line.
func readRequest(r io.Reader) (*Request, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxRequest), maxRequest).ReadSlice('\n')
	switch {
	case err != nil && len(line) >= maxRequest:
		return nil, fmt.Errorf("a request has %d bytes at most", maxRequest)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("a request has to come within %v", askTime)
	case err != nil:
		return nil, errors.New("a request is a line of JSON")
	}
	var request Request
	if err := json.Unmarshal(line, &request); err != nil {
		return nil, errors.New("a request is a line of JSON")
	}
	return &request, nil
}

// send sends an answer as a line, in time.
func send(c net.Conn, r *Response) {
	line, err := json.Marshal(r)
	if err != nil {
		return // nothing in it can't be written
	}
	_ = c.SetWriteDeadline(time.Now().Add(askTime))
	_, _ = c.Write(append(line, '\n'))
}

// answer does what is asked.
func (s *Server) answer(r *Request) *Response {
	var err error
	response := &Response{}
	switch r.Command {
	case CommandStatus:
		response.Status = s.handler.Status()
	case CommandStacks:
		response.Stacks, err = s.handler.Stacks(r.Worker)
		cut(response.Stacks)
	case CommandReload:
		err = s.handler.Reload()
	case CommandStop:
		response.PID = os.Getpid()
		s.handler.Stop()
	default:
		err = fmt.Errorf("there is no command `%.20s`", r.Command)
	}
	if err != nil {
		response.Failure = failure(err)
	}
	return response
}

// cut shortens stacks so that all of them fit into an answer, whatever JSON makes of their bytes.
func cut(stacks []Stack) {
	const growth = 7 // \u0000, and what is around it
	for i := range stacks {
		if most := maxResponse / growth / len(stacks); len(stacks[i].Text) > most {
			stacks[i].Text = stacks[i].Text[:most]
		}
	}
}

// failure is an error for another process.
func failure(err error) *Failure {
	f := &Failure{Problem: err.Error()}
	if known, ok := errors.AsType[*fault.Fault](err); ok {
		const most = maxResponse / 8
		f.Hint, f.Trace = known.Hint, known.Trace[:min(len(known.Trace), most)]
	}
	return f
}
