package telemetry

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
	"syscall"
)

// Sink passes lines on to a file that may refuse them, as on a disk that is full. Nobody is told but whoever reads the file: lines
// that are lost are counted, and as soon as one can be written again the count is, before it. Several goroutines may write to it.
type Sink struct {
	w    io.Writer
	name string
	mu   sync.Mutex
	lost int
	torn bool // what was written last ends within a line
	why  error
	buf  []byte
}

// NewSink makes a Sink before w; name is what its own lines begin with.
func NewSink(w io.Writer, name string) *Sink { return &Sink{w: w, name: name} }

// Write takes whole lines. It never fails.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, own := p, 0
	if s.lost > 0 {
		s.buf = s.appendLoss(s.buf[:0])
		own = len(s.buf)
		s.buf = append(s.buf, p...)
		out = s.buf
	}
	n, err := s.w.Write(out)
	if n >= own {
		s.lost = 0
	}
	if n > 0 {
		s.torn = out[n-1] != '\n'
	}
	if err != nil {
		if s.why = err; errors.Is(err, syscall.ENOSPC) {
			s.why = syscall.ENOSPC // without the name of the file, in which this stands
		}
		s.lost += bytes.Count(out[max(n, own):], []byte{'\n'})
	}
	return len(p), nil
}

// appendLoss appends the line that says what is missing here.
func (s *Sink) appendLoss(b []byte) []byte {
	if s.torn {
		b = append(b, '\n')
	}
	b = append(b, s.name...)
	b = append(b, ": "...)
	b = strconv.AppendInt(b, int64(s.lost), 10)
	b = append(b, " lines lost: "...)
	b = append(b, s.why.Error()...)
	return append(b, '\n')
}
