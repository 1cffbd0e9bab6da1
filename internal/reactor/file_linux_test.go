package reactor

import (
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
	s := startSite(t)
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
		c := s.dial()
		c.get("/")
		x := s.next()
		s.do(func() {
			if isCached(fd, 0, size) {
				t.Log("this file system keeps files in memory")
			}
			x.respond(200, "", false, "content-length: 786532")
			x.r.File(exchange.File{Descriptor: fd, Count: -1})
			if closed {
				s.h.Abort()
			}
		})
		if closed {
			for s.live() > 0 {
				settle(t, s.r)
			}
			continue
		}
		if _, body := c.read("GET"); body != content {
			t.Fatalf("%d bytes", len(body))
		}
	}
}
