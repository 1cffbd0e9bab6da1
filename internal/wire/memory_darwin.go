package wire

import (
	"os"

	"golang.org/x/sys/unix"
)

// sharedMemory maps an unlinked temporary file: macOS has no memfd, and no seals.
func sharedMemory(size int) (int, []byte, error) {
	f, err := os.CreateTemp("", "awaitd-link-*")
	if err != nil {
		return -1, nil, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return -1, nil, err
	}
	if err := f.Truncate(int64(size)); err != nil {
		return -1, nil, err
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, nil, os.NewSyscallError("fcntl F_DUPFD_CLOEXEC", err)
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Close(fd)
		return -1, nil, os.NewSyscallError("mmap", err)
	}
	return fd, mem, nil
}

// NewBell makes a doorbell of a pipe, since macOS has no eventfd. Both ends are non-blocking: a full pipe is a ringing bell.
func NewBell() (*Bell, error) {
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	for _, fd := range p {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	return &Bell{wait: p[0], ring: p[1]}, nil
}

func rawWrite(fd int, b *[8]byte) { _, _ = unix.Write(fd, b[:]) }
