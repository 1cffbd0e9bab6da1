package listen

import (
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// spec: jobs 5
func TestAMailboxTellsWhatWasSentAndByWhom(t *testing.T) {
	m, err := NewMailbox()
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unixgram", m.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("READY=1")); err != nil {
		t.Fatal(err)
	}
	word, from, err := m.Receive()
	if err != nil || string(word) != "READY=1" || runtime.GOOS == "linux" && from != (Sender{os.Getpid(), os.Getuid()}) {
		t.Errorf("%q from %+v, %v", word, from, err)
	}
	other, err := NewMailbox()
	if err != nil || other.Name == m.Name {
		t.Errorf("two have the name %s, %v", m.Name, err)
	}
	other.Close()
	m.Close()
	if _, _, err := m.Receive(); err == nil {
		t.Error("it is still open")
	}
	if _, err := net.Dial("unixgram", m.Name); err == nil {
		t.Error("it is still there")
	}
}

// spec: jobs 5
func TestDescriptorsThatComeAlongAreClosed(t *testing.T) {
	m, err := NewMailbox()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(c)
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	if err := unix.Sendmsg(c, []byte("BARRIER=1"), unix.UnixRights(pipe[1]), &unix.SockaddrUnix{Name: m.Name}, 0); err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(pipe[1])
	if word, _, err := m.Receive(); err != nil || string(word) != "BARRIER=1" {
		t.Fatalf("%q, %v", word, err)
	}
	if n, err := unix.Read(pipe[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the other end is still open: %d, %v", n, err)
	}
}
