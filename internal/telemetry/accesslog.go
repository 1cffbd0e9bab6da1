package telemetry

import (
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Access is one line of the access log: one exchange, answered or not.
type Access struct {
	Time    time.Time // when the exchange ended
	Client  exchange.Address
	Request []byte // "GET /path?query HTTP/1.1"
	Status  int    // 499: the client left before the head
	Bytes   int64  // of body, as sent
	Took    time.Duration
	Worker  string
}

// AccessLog writes a line for each exchange, without the reactors waiting for the disk: lines are gathered and written by a
// goroutine of its own, every 100 ms. When the writer is so slow that maxBacklog bytes wait, lines are dropped, counted, and the
// count is written.
type AccessLog struct {
	w       io.Writer
	mu      sync.Mutex
	buf     []byte
	spare   []byte
	dropped int
	stop    chan struct{}
	done    chan struct{}
}

const (
	flushEvery = 100 * time.Millisecond
	maxBacklog = 8 << 20 // about 80,000 lines
)

// NewAccessLog starts an access log on w. Close ends its goroutine.
func NewAccessLog(w io.Writer) *AccessLog {
	l := &AccessLog{w: w, stop: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// Log adds a line. It never blocks on the writer.
func (l *AccessLog) Log(a *Access) {
	l.mu.Lock()
	if len(l.buf) > maxBacklog {
		l.dropped++
	} else {
		l.buf = a.appendTo(l.buf)
	}
	l.mu.Unlock()
}

// appendTo appends the line as text:
//
//	2026-11-23 13:15:26.123 127.0.0.1:53412 "GET / HTTP/1.1" 200 13 0.412ms worker-1
func (a *Access) appendTo(b []byte) []byte {
	b = appendTime(b, a.Time)
	b = append(b, ' ')
	b = a.Client.AppendTo(b)
	b = append(b, ` "`...)
	b = appendQuoted(b, a.Request)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(a.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, a.Bytes, 10)
	b = append(b, ' ')
	us := a.Took.Microseconds()
	b = strconv.AppendInt(b, us/1000, 10)
	b = append(b, '.', byte('0'+us/100%10), byte('0'+us/10%10), byte('0'+us%10))
	b = append(b, "ms "...)
	if a.Worker == "" {
		b = append(b, '-')
	}
	b = append(b, a.Worker...)
	return append(b, '\n')
}

// appendQuoted appends p with quotes, backslashes and bytes outside printable ASCII escaped, so that a request can't forge a line.
func appendQuoted(b, p []byte) []byte {
	const hex = "0123456789abcdef"
	for _, c := range p {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c >= 0x7f:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendTime appends a local time with milliseconds.
func appendTime(b []byte, t time.Time) []byte { return t.AppendFormat(b, "2006-01-02 15:04:05.000") }

func (l *AccessLog) run() {
	defer close(l.done)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.flush()
		case <-l.stop:
			l.flush()
			return
		}
	}
}

func (l *AccessLog) flush() {
	l.mu.Lock()
	out, dropped := l.buf, l.dropped
	l.buf, l.dropped = l.spare[:0], 0
	l.mu.Unlock()
	if dropped > 0 {
		out = append(out, "access log: "...)
		out = strconv.AppendInt(out, int64(dropped), 10)
		out = append(out, " lines dropped: the log can't be written fast enough\n"...)
	}
	if len(out) > 0 {
		_, _ = l.w.Write(out)
	}
	l.spare = out[:0]
}

// Close writes what is left and ends the goroutine.
func (l *AccessLog) Close() {
	close(l.stop)
	<-l.done
}
