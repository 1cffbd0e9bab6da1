package wire

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedMemory makes a sealed, close-on-exec memfd of size bytes and maps it. A child that this process forks does not get it.
func sharedMemory(size int) (int, []byte, error) {
	fd, err := unix.MemfdCreate("awaitd-link", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, nil, os.NewSyscallError("memfd_create", err)
	}
	mem, err := mapSealed(fd, size)
	if err != nil {
		_ = unix.Close(fd)
		return -1, nil, err
	}
	return fd, mem, nil
}

func mapSealed(fd, size int) ([]byte, error) {
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, os.NewSyscallError("ftruncate", err)
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	_ = unix.Madvise(mem, unix.MADV_DONTFORK)
	return mem, nil
}

// NewBell makes a doorbell of an eventfd: non-blocking, close-on-exec.
func NewBell() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &Bell{wait: fd, ring: fd}, nil
}

// rawWrite writes without telling Go's scheduler: an eventfd in non-blocking mode returns at once.
func rawWrite(fd int, b *[8]byte) {
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(b)), 8)
}
