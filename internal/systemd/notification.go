package systemd

import "strings"

// Notification is what a service says of itself to a manager: the other end of a Notifier.
type Notification struct {
	Ready    bool
	Stopping bool
	Status   string // empty: it says none
}

// ParseNotification reads the assignments of a datagram. What it does not know means nothing, as the protocol has it.
func ParseNotification(datagram string) Notification {
	var n Notification
	for line := range strings.Lines(datagram) {
		switch name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "="); name {
		case "READY":
			n.Ready = value == "1"
		case "STOPPING":
			n.Stopping = value == "1"
		case "STATUS":
			n.Status = value
		}
	}
	return n
}
