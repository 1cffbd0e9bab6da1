package control

import "golang.org/x/sys/unix"

// peer returns the user at the other end of a unix socket, as the kernel noted it when it connected.
func peer(fd int) (uid int, err error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
