package listen

import (
	"net"

	"golang.org/x/sys/unix"
)

// autobinds: a socket that is bound to nothing gets an abstract name that no other has.
const autobinds = true

// nameSenders has the kernel say of each datagram which process sent it.
func nameSenders(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var fault error
	err = raw.Control(func(fd uintptr) { fault = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err != nil {
		return err
	}
	return fault
}

// openMore returns the sender that ancillary data name, and closes the descriptors that are among them.
func openMore(more []byte) (from Sender) {
	messages, _ := unix.ParseSocketControlMessage(more)
	for _, m := range messages {
		if c, err := unix.ParseUnixCredentials(&m); err == nil {
			from = Sender{int(c.Pid), int(c.Uid)}
		} else if fds, err := unix.ParseUnixRights(&m); err == nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
	}
	return from
}
