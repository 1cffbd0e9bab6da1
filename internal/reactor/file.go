package reactor

import "github.com/awaitd/awaitd/internal/exchange"

// filePart is a part of an open file on its way to the peer, without passing through this process's memory.
type filePart struct {
	fd     int
	offset int64
	left   int64
	tail   string // goes out behind it
}

// fileChunk is how much of a file one turn sends at most, so that a fast peer does not keep the others waiting.
const fileChunk = 1 << 20

// sendFile sends a part of a file behind pending output, and then tail. The connection closes the descriptor.
func (c *conn) sendFile(f *filePart) {
	c.file = f
	if len(c.out) == 0 && c.canWrite {
		c.flushFile()
	}
}

// flushFile sends the next part of the file, and has its owner told when it is through.
func (c *conn) flushFile() {
	f := c.file
	for budget := int64(fileChunk); f.left > 0; {
		n, again := copyFile(int(c.fd), f.fd, &f.offset, min(f.left, budget))
		switch {
		case n < 0 && again:
			c.canWrite = false
			return
		case n < 0:
			c.lose()
			return
		case n == 0:
			c.reset() // the file has shrunk: what was announced can't be sent
			return
		}
		f.left -= n
		if budget -= n; budget <= 0 && f.left > 0 {
			c.r.later(resumeFile{c})
			return
		}
	}
	tail := f.tail
	c.dropFile()
	if tail != "" {
		c.send(nil, nil, tail)
	}
	if !c.pending() && !c.closed {
		c.flushed()
	}
}

// resumeFile goes on with a file in the next turn.
type resumeFile struct{ c *conn }

func (r resumeFile) resume() {
	if r.c.file != nil && r.c.canWrite && len(r.c.out) == 0 {
		r.c.flushFile()
	}
}

// dropFile closes the file, sent or not.
func (c *conn) dropFile() {
	if c.file != nil {
		closeSocket(c.file.fd)
		c.file = nil
	}
}

// File sends a part of a file as the rest of the body.
func (x *httpExchange) File(f exchange.File) {
	c := x.c
	x.stream = nil
	size := fileSize(f.Descriptor) - f.Offset
	if f.Count >= 0 {
		size = min(size, f.Count)
	}
	if c.closed || size < 0 {
		closeSocket(f.Descriptor)
		if !c.closed {
			c.lose()
		}
		return
	}
	out, take, tail := x.writer.Frame(c.r.write[:0], int(size), true)
	c.r.write = out[:0]
	x.written += int64(take)
	x.sending = true
	if len(out) > 0 {
		c.send(out, nil, "")
	}
	if c.closed {
		closeSocket(f.Descriptor)
		return
	}
	c.sendFile(&filePart{fd: f.Descriptor, offset: f.Offset, left: int64(take), tail: tail})
}

// fileSent ends an exchange whose file has left.
func (x *httpExchange) fileSent() {
	x.sending = false
	x.ended()
}
