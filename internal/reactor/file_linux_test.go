package reactor

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// A file that is not in memory is read by others than the reactor.
func TestAColdFileDoesNotStopTheReactor(t *testing.T) {
	const size = 3*warmChunk + 100
	path := filepath.Join(t.TempDir(), "cold")
	content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startReactor(t, &idleSource{})
	for _, closed := range []bool{false, true} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Sync()
		_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		fd, err := unix.Dup(int(f.Fd()))
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		k, peer := startTalk(t, r, socketPair(t))
		do(t, r, func() {
			if isCached(fd, 0, size) {
				t.Log("this file system keeps files in memory")
			}
			part := exchange.File{Descriptor: fd, Count: -1}
			k.SendFile([]byte("head"), part, FileSize(part), "tail")
			if closed {
				k.Lose()
			}
		})
		if closed {
			k.until(t, "ended")
			continue
		}
		got := make([]byte, size+8)
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "head"+content+"tail" {
			t.Fatalf("%d bytes: %v", len(got), err)
		}
	}
}
