// Package upgrade replaces a running server by a new process of the program without closing a listening socket: the old server
// starts the new one with its sockets, waits until that one serves, and then ends as servers do.
//
// The new process finds what it was given in one variable. The two talk over a socket pair: "ready" says the new one when it
// serves, "go" says the old one when everything is the new one's. Until "go" nothing has changed: whatever goes wrong with the
// new process, the old one goes on.
package upgrade

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Variable is where the new process finds its Inheritance.
const Variable = "AWAITD_SOCKETS"

// Inheritance is what a new process is given.
type Inheritance struct {
	Link    int      `json:"link"` // its end of the socket pair
	Sockets []Socket `json:"sockets"`
	Passed  []Passed `json:"passed,omitempty"`
	PIDFile *File    `json:"pid_file,omitempty"`
}

// Socket is a listening socket.
type Socket struct {
	Address string `json:"address"` // as the settings name it
	FD      int    `json:"fd"`
	Own     bool   `json:"own"` // the file of a unix socket is the server's to remove
}

// Passed is a socket that a service manager passed, under the number that it had in the first process: settings name it so.
type Passed struct {
	FD   int    `json:"fd"`
	Name string `json:"name,omitempty"`
}

// File is an open file.
type File struct {
	Path string `json:"path"`
	FD   int    `json:"fd"`
}

// What is said on the link.
const (
	ready = "ready\n"
	goOn  = "go\n"
)

const (
	// firstFD is the first descriptor behind the standard ones.
	firstFD = 3
	// goTime is how long the old server may take to answer: it has nothing to wait for.
	goTime = 30 * time.Second
)

// Read reads the variable, of which get returns the value, and removes nothing. A process that was started otherwise has none: nil.
func Read(get func(name string) string) (*Inheritance, error) {
	text := get(Variable)
	if text == "" {
		return nil, nil
	}
	i := &Inheritance{}
	if err := json.Unmarshal([]byte(text), i); err != nil {
		return nil, fmt.Errorf("%s is set by awaitd for a process that replaces another, and by nobody else: %w", Variable, err)
	}
	wrong := i.Link < firstFD || i.PIDFile != nil && i.PIDFile.FD < firstFD
	for _, s := range i.Sockets {
		wrong = wrong || s.FD < firstFD
	}
	if wrong {
		return nil, fmt.Errorf("%s is set by awaitd for a process that replaces another, and by nobody else", Variable)
	}
	unix.CloseOnExec(i.Link)
	if i.PIDFile != nil {
		unix.CloseOnExec(i.PIDFile.FD)
	}
	return i, nil
}

// Take takes the socket of an address out of the inheritance; each of those that have the same, such as two free ports, in turn.
func (i *Inheritance) Take(address string) (Socket, bool) {
	if i == nil {
		return Socket{}, false
	}
	for n, s := range i.Sockets {
		if s.Address == address {
			i.Sockets = append(i.Sockets[:n:n], i.Sockets[n+1:]...)
			return s, true
		}
	}
	return Socket{}, false
}

// TakePIDFile takes the file at a path, which the old server has locked.
func (i *Inheritance) TakePIDFile(path string) (*os.File, bool) {
	if i == nil || i.PIDFile == nil || i.PIDFile.Path != path {
		return nil, false
	}
	f := os.NewFile(uintptr(i.PIDFile.FD), path)
	i.PIDFile = nil
	return f, true
}

// Seal has what was not taken closed in every program that this process starts.
func (i *Inheritance) Seal() {
	if i == nil {
		return
	}
	for _, s := range i.Sockets {
		unix.CloseOnExec(s.FD)
	}
}

// Announce tells the old server that this one serves, and returns when everything is this one's. An error means that the old one is
// gone without a word; there is nobody else then, either.
func (i *Inheritance) Announce() error {
	link, err := connection(i.Link)
	if err != nil {
		return err
	}
	defer link.Close()
	if i.PIDFile != nil {
		_ = unix.Close(i.PIDFile.FD) // the settings name another one by now
	}
	if _, err := io.WriteString(link, ready); err != nil {
		return err
	}
	return expect(link, goOn, goTime)
}

// expect reads a word within a time.
func expect(c net.Conn, word string, within time.Duration) error {
	_ = c.SetReadDeadline(time.Now().Add(within))
	said := make([]byte, len(word))
	if _, err := io.ReadFull(c, said); err != nil {
		return err
	}
	if string(said) != word {
		return errors.New("it says something else")
	}
	return nil
}

// connection makes a connection of a socket, which it takes over.
func connection(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "link")
	defer f.Close()
	return net.FileConn(f)
}
