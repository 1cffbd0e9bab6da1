package server

import (
	"errors"
	"os"
	"time"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/control"
	"github.com/awaitd/awaitd/internal/fault"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/pool"
)

// What a server does, for its status.
const (
	starting  = "starting"
	serving   = "serving"
	reloading = "reloading"
	stopping  = "stopping"
)

const (
	// controlMode keeps the control socket for its owner; root may do everything anyway.
	controlMode = 0o600
	// controlBacklog is more than a person has commands running.
	controlBacklog = 16
)

// openControl opens the control socket where the settings say.
func (s *Server) openControl() (err error) {
	if s.cfg.Control == "" || s.cfg.Control == "none" {
		return nil
	}
	socket, inherited, err := s.inherit(s.controlAddress(), false)
	if s.controlSocket = socket; inherited {
		return err
	}
	access := listen.Access{Permissions: controlMode}
	if s.become != nil {
		access.Owner = &listen.Owner{UID: s.become.uid, GID: s.become.gid}
	}
	if s.controlSocket, err = listen.Unix(s.cfg.Control, access, controlBacklog); err != nil {
		f := fault.Listen("unix:"+s.cfg.Control, err)
		f.Problem = "no control socket: " + f.Problem
		return f
	}
	return nil
}

// serveControl answers commands, on a socket that was opened, else in a place of the user's. Without such a place there are none:
// the server is there for its clients.
func (s *Server) serveControl() (err error) {
	if s.cfg.Control == "none" {
		return nil
	}
	if s.controlSocket == nil {
		path, err := control.Default(os.Getenv("XDG_RUNTIME_DIR"))
		if err == nil {
			s.controlSocket, err = listen.Unix(path, listen.Access{Permissions: controlMode}, controlBacklog)
		}
		if err != nil {
			s.log.Warn("there is no control socket: `awaitd status` and its like won't reach this server", "error", err)
			return nil
		}
	}
	s.control, err = control.Serve(s.controlSocket, commands{s}, func(uid int) {
		s.log.Warn("a command of another user was refused", "uid", uid)
	})
	return err
}

// closeControl ends the control socket.
func (s *Server) closeControl() {
	s.control.Close()
	if s.control == nil && s.controlSocket != nil {
		s.controlSocket.Close()
	}
}

// commands does what the control socket asks for.
type commands struct{ s *Server }

func (c commands) Status() *control.Status {
	s := c.s
	status := &control.Status{
		Version: config.Version, PID: os.Getpid(), State: s.phase.Load().(string), Target: s.cfg.What(), Started: s.started,
		Uptime: time.Since(s.started).Seconds(), Memory: pool.ResidentMemory(os.Getpid()), Queue: s.pool.Queued(),
		Refused:   s.refusals.Counts(),
		Addresses: []string{}, Workers: []control.Worker{},
	}
	if status.State == serving && s.reloads.Load() > 0 {
		status.State = reloading
	}
	for _, socket := range s.sockets {
		status.Addresses = append(status.Addresses, socket.URL())
	}
	for _, w := range s.pool.Status() {
		status.Workers = append(status.Workers, control.Worker{
			Name: w.Name, PID: w.PID, State: w.State.String(), Interface: w.Info.Interface, Loop: w.Info.Loop, Python: w.Info.Python,
			Said: w.Said, Requests: w.Served, Running: w.Running, Late: w.Late, Sockets: w.Sockets, Started: w.Since,
			Memory: pool.ResidentMemory(w.PID),
		})
	}
	return status
}

func (c commands) Stacks(worker string) ([]control.Stack, error) {
	all := c.s.pool.Stacks(worker)
	if len(all) == 0 {
		return nil, unknownWorker(worker, c.s.pool.Status())
	}
	stacks := make([]control.Stack, len(all))
	for i, w := range all {
		stacks[i] = control.Stack{Worker: w.Name, PID: w.PID, Text: w.Text}
	}
	return stacks, nil
}

// unknownWorker is the failure to find a worker.
func unknownWorker(name string, all []pool.Status) error {
	if len(all) == 0 {
		return errors.New("no worker runs at the moment")
	}
	f := &fault.Fault{Problem: "there is no worker `" + name + "`", Hint: "there are"}
	for i, w := range all {
		if i > 0 {
			f.Hint += ","
		}
		f.Hint += " " + w.Name
	}
	return f
}

func (c commands) Reload() error {
	if phase := c.s.phase.Load(); phase != serving {
		return errors.New("the server is " + phase.(string))
	}
	return c.s.reload("a command")
}

func (c commands) Stop() {
	c.s.log.Info("asked to stop by a command")
	c.s.asking.Do(func() { close(c.s.asked) })
}
