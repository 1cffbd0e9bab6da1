// Package control is how a command reaches a running server: a unix socket, on which a connection carries one question and one
// answer, each a line of JSON.
//
// Only root and the user that the server runs as are heard: the socket's mode says so, and the kernel is asked who it is. Nobody
// is trusted to be quick or brief: questions, answers and waits are bounded.
package control

import (
	"time"
)

// Request is the question.
type Request struct {
	Command string `json:"command"`
	Worker  string `json:"worker,omitempty"` // of Stacks: only this one
}

// Commands.
const (
	CommandStatus = "status" // answered with a Status
	CommandStacks = "stacks" // with Stacks
	CommandReload = "reload" // when the reload is over
	CommandStop   = "stop"   // at once; the connection ends with the server
)

// Response is the answer: a failure, or what the command asks for.
type Response struct {
	Failure *Failure `json:"error,omitempty"`
	Status  *Status  `json:"status,omitempty"`
	Stacks  []Stack  `json:"stacks,omitempty"`
	PID     int      `json:"pid,omitempty"` // of a server that stops
}

// Failure is why something was not done.
type Failure struct {
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
	Trace   string `json:"trace,omitempty"` // the application's own
}

// Error returns the problem.
func (f *Failure) Error() string { return f.Problem }

// Status is how a server is.
type Status struct {
	Version   string            `json:"version"`
	PID       int               `json:"pid"`
	State     string            `json:"state"` // starting, serving, reloading, upgrading, stopping
	Target    string            `json:"target"`
	Addresses []string          `json:"addresses"`
	Started   time.Time         `json:"started"`
	Uptime    float64           `json:"uptime"` // seconds
	Memory    int64             `json:"memory"` // resident bytes of the server alone; 0: not known
	Queue     int64             `json:"queue"`  // requests that wait for a worker
	Refused   map[string]uint64 `json:"refused"`
	Workers   []Worker          `json:"workers"`
}

// Worker is how a worker is.
type Worker struct {
	Name      string    `json:"name"`
	PID       int       `json:"pid"`
	State     string    `json:"state"`
	Interface string    `json:"interface,omitempty"` // asgi3, wsgi, …; known once it is ready
	Loop      string    `json:"loop,omitempty"`
	Python    string    `json:"python,omitempty"`
	Said      string    `json:"said,omitempty"` // of a program: its last STATUS=
	Requests  int64     `json:"requests"`       // it was given
	Running   int64     `json:"running"`        // requests it has
	Late      int64     `json:"late"`           // of these, past their deadline
	Sockets   int64     `json:"sockets"`        // WebSockets it has, besides
	Started   time.Time `json:"started"`
	Memory    int64     `json:"memory"`
}

// Stack is what a worker's threads do.
type Stack struct {
	Worker string `json:"worker"`
	PID    int    `json:"pid"`
	Text   string `json:"text"` // empty: it could not say
}

const (
	// maxRequest is far more than any question has.
	maxRequest = 4 << 10
	// maxResponse bounds an answer: the stacks of all workers, each cut to its share, or a long traceback.
	maxResponse = 8 << 20
	// askTime is how long either side may take to say a line that it has.
	askTime = 5 * time.Second
	// maxClients is how many are served at once; more wait in the socket's queue.
	maxClients = 16
)
