package systemd

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// Notifier tells the service manager how the service is. The zero Notifier tells nobody.
type Notifier struct {
	to  string
	now func() int64 // CLOCK_MONOTONIC in microseconds
}

// Notifier returns what tells the manager of this environment.
func (e *Environment) Notifier() Notifier { return Notifier{e.notify, monotonic} }

// sendTime bounds a notification: a manager that does not read must not hold up the service.
const sendTime = time.Second

// Ready says that start or reload is over.
func (n Notifier) Ready(status string) error { return n.send("READY=1", statusLine(status)) }

// Reloading says that a reload begins, which may take a time; Ready ends it.
func (n Notifier) Reloading(status string, within time.Duration) error {
	if n.to == "" {
		return nil
	}
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(n.now(), 10), statusLine(status), extend(within))
}

// Stopping says that the service ends, within a time.
func (n Notifier) Stopping(status string, within time.Duration) error {
	return n.send("STOPPING=1", statusLine(status), extend(within))
}

// Starting says that start-up goes on and may take a time, whatever the manager has in mind.
func (n Notifier) Starting(status string, within time.Duration) error {
	return n.send(statusLine(status), extend(within))
}

// Status says how the service is, in a line.
func (n Notifier) Status(status string) error { return n.send(statusLine(status)) }

// MainPID says that another process is the service's main one from now on.
func (n Notifier) MainPID(pid int) error { return n.send("MAINPID=" + strconv.Itoa(pid)) }

// Alive is the sign of life that Environment.Watchdog asks for.
func (n Notifier) Alive() error { return n.send("WATCHDOG=1") }

func extend(d time.Duration) string {
	return "EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// statusLine is a status in one line: the next would be another assignment.
func statusLine(text string) string { return "STATUS=" + strings.Join(strings.Fields(text), " ") }

// send sends assignments in one datagram. The socket is made for it alone: the manager may be replaced meanwhile.
func (n Notifier) send(assignments ...string) error {
	if n.to == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: n.to})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	_, err = c.Write([]byte(strings.Join(assignments, "\n")))
	return err
}
