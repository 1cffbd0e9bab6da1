package listen

import (
	"net"

	"golang.org/x/sys/unix"
)

// autobinds: macOS has no abstract names.
const autobinds = false

// nameSenders can't be had: who may enter the mailbox's folder may write.
func nameSenders(*net.UnixConn) error { return nil }

// openMore closes the descriptors among ancillary data. Senders are not named.
func openMore(more []byte) Sender {
	messages, _ := unix.ParseSocketControlMessage(more)
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
	}
	return Sender{}
}
