package reactor

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/exchange"
)

// filePart is a part of an open file on its way to the peer, without passing through this process's memory.
type filePart struct {
	fd     int
	offset int64
	left   int64
	warm   int64  // up to here it is in the page cache, or was just now
	tail   string // goes out behind it
	cold   bool   // being read into the page cache: not the reactor's to touch until then
	gone   bool   // meanwhile the connection was closed
}

// fileChunk is how much of a file one turn sends at most, so that a fast peer does not keep the others waiting.
const fileChunk = 1 << 20

// FileSize returns how many bytes f has, or a negative number if that can't be told.
func FileSize(f exchange.File) int64 {
	n := fileSize(f.Descriptor) - f.Offset
	if f.Count >= 0 {
		n = min(n, f.Count)
	}
	return n
}

// SendFile sends head, the first n bytes of f, and tail, behind pending output. It closes f's descriptor when that has left, or at
// once on a closed connection.
func (c *Conn) SendFile(head []byte, f exchange.File, n int64, tail string) {
	if len(head) > 0 {
		c.Send(head, nil, "")
	}
	if c.closed {
		closeSocket(f.Descriptor)
		return
	}
	c.file = &filePart{fd: f.Descriptor, offset: f.Offset, left: n, tail: tail}
	c.StallTimer()
	if len(c.out) == 0 && c.canWrite {
		c.flushFile()
	}
}

// flushFile sends the next part of the file, and has its owner told when it is through.
func (c *Conn) flushFile() {
	f := c.file
	for budget := int64(fileChunk); f.left > 0; {
		if f.cold || !c.warmed(f) {
			return
		}
		n, again := c.passFile(f, min(f.left, budget, f.warm-f.offset))
		switch {
		case c.closed:
			return
		case n < 0 && again:
			c.canWrite = false
			return
		case n < 0:
			c.Lose()
			return
		case n == 0:
			c.Reset() // the file has shrunk: what was announced can't be sent
			return
		}
		f.left -= n
		c.moved += n
		if len(c.out) > 0 {
			return // flushBytes goes on
		}
		if budget -= n; budget <= 0 && f.left > 0 {
			c.r.Later(resumeFile{c})
			return
		}
	}
	tail := f.tail
	c.dropFile()
	if tail != "" {
		c.Send(nil, nil, tail)
	}
	if !c.Pending() && !c.closed {
		c.flushed()
	}
}

// passFile sends at most so many of the file's next bytes, and returns how many. Without TLS none of them is seen here.
func (c *Conn) passFile(f *filePart, most int64) (n int64, again bool) {
	if c.tls == nil {
		return copyFile(int(c.fd), f.fd, &f.offset, most)
	}
	part := c.r.read[:min(most, ReadSize)]
	m, err := unix.Pread(f.fd, part, f.offset)
	for errors.Is(err, unix.EINTR) {
		m, err = unix.Pread(f.fd, part, f.offset)
	}
	if m > 0 {
		f.offset += int64(m)
		c.tls.send(part[:m], nil, "")
	}
	return int64(m), false
}

// resumeFile goes on with a file in the next turn.
type resumeFile struct{ c *Conn }

func (r resumeFile) Resume() {
	if r.c.file != nil && r.c.canWrite && len(r.c.out) == 0 {
		r.c.flushFile()
	}
}

// warmed says whether the next part of the file can be sent without waiting for a disk. If not, it is read on a goroutine, and
// the file goes on when that is done.
func (c *Conn) warmed(f *filePart) bool {
	if f.warm > f.offset {
		return true
	}
	end := f.offset + min(f.left, warmChunk)
	if isCached(f.fd, f.offset, end) {
		f.warm = end
		return true
	}
	f.cold = true
	r := c.r
	go func() { // ends when the part is read
		readers <- struct{}{}
		readAhead(f.fd, f.offset, end)
		<-readers
		r.Post(func() { c.thawed(f, end) })
	}()
	return false
}

// Reading ahead: how much at once, and by how many goroutines, for a stalled disk must not cost a thread for every file.
const (
	warmChunk  = 256 << 10
	maxReaders = 32
)

var readers = make(chan struct{}, maxReaders)

// thawed goes on with a file whose next part is in the page cache now.
func (c *Conn) thawed(f *filePart, end int64) {
	f.cold, f.warm = false, end
	if f.gone {
		closeSocket(f.fd)
		return
	}
	if c.canWrite && len(c.out) == 0 {
		c.flushFile()
	}
}

// readAhead reads a part of a file, for the page cache.
func readAhead(fd int, from, to int64) {
	buf := make([]byte, 64<<10)
	for from < to {
		n, err := unix.Pread(fd, buf[:min(int64(len(buf)), to-from)], from)
		if n <= 0 && !errors.Is(err, unix.EINTR) {
			return // sendfile will say the same
		}
		from += int64(max(n, 0))
	}
}

// dropFile closes the file, sent or not.
func (c *Conn) dropFile() {
	f := c.file
	c.file = nil
	switch {
	case f == nil:
	case f.cold:
		f.gone = true // the goroutine still reads from it
	default:
		closeSocket(f.fd)
	}
}
