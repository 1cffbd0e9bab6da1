package telemetry

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Refusal is a reason for which the server itself ended a request or a connection.
type Refusal uint8

// Refusals.
const (
	Malformed       Refusal = iota // the request breaks a rule: 400 and its like
	LineTooLong                    // 414
	HeadTooLarge                   // 431
	BodyTooLarge                   // 413
	HeaderTimeout                  // 408, or silence if not a byte had come
	BodyTimeout                    // 408, or a cut if the response had begun
	SendTimeout                    // the client took nothing of what it asked for
	BuffersFull                    // 503: no memory for what is on its way
	QueueFull                      // 503
	QueueTimeout                   // 503
	Stopping                       // 503
	AppFailed                      // 500, or a cut
	WorkerDied                     // 502, or a cut
	DeadlineOver                   // 504, or a cut
	DatagramDropped                // nobody had room for it
	HandshakeFailed                // of TLS
	RateExceeded                   // 451 to a mail
	refusals
)

// refusalKinds has each refusal's name in the log and its level: what a client did is news, what the server could not do a worry.
var refusalKinds = [refusals]struct {
	name  string
	level slog.Level
}{
	Malformed:     {"malformed request", slog.LevelInfo},
	LineTooLong:   {"request line too long", slog.LevelInfo},
	HeadTooLarge:  {"request head too large", slog.LevelInfo},
	BodyTooLarge:  {"request body too large", slog.LevelInfo},
	HeaderTimeout: {"header timeout", slog.LevelInfo},
	BodyTimeout:   {"body timeout", slog.LevelInfo},
	SendTimeout:   {"send timeout", slog.LevelInfo},
	BuffersFull:   {"buffers full", slog.LevelWarn},
	QueueFull:     {"queue full", slog.LevelWarn},
	QueueTimeout:  {"queue timeout", slog.LevelWarn},
	Stopping:      {"stopping", slog.LevelWarn},
	AppFailed:     {"application error", slog.LevelWarn},
	WorkerDied:    {"worker died", slog.LevelWarn},
	DeadlineOver:  {"deadline", slog.LevelWarn},

	DatagramDropped: {"datagram dropped", slog.LevelWarn},
	HandshakeFailed: {"TLS handshake failed", slog.LevelInfo},
	RateExceeded:    {"too many messages", slog.LevelInfo},
}

// ofReason maps each reason for a failed exchange to what is counted.
var ofReason = map[exchange.Reason]Refusal{
	exchange.AppError:     AppFailed,
	exchange.TooLarge:     AppFailed,
	exchange.WorkerDied:   WorkerDied,
	exchange.Overloaded:   QueueFull,
	exchange.QueueWait:    QueueTimeout,
	exchange.Stopping:     Stopping,
	exchange.Deadline:     DeadlineOver,
	exchange.HeadTooLarge: HeadTooLarge,
}

// RefusalOf is what is counted for a failed exchange.
func RefusalOf(reason exchange.Reason) Refusal { return ofReason[reason] }

// String names the refusal, as the log does.
func (r Refusal) String() string { return refusalKinds[r].name }

// burst is how long one log line speaks for all refusals of its kind: clients must not be able to fill a disk.
const burst = 10 * time.Second

// Refusals counts refusals, and logs the first of each burst with the number of those that went unlogged before it. All reactors
// share one.
type Refusals struct {
	log   *slog.Logger
	kinds [refusals]struct {
		count    atomic.Uint64
		unlogged atomic.Uint64
		next     atomic.Int64 // when the next line is due, in nanoseconds
	}
}

// NewRefusals makes a count of nothing that logs to log.
func NewRefusals(log *slog.Logger) *Refusals { return &Refusals{log: log} }

// Add counts one refusal.
func (r *Refusals) Add(kind Refusal) { r.kinds[kind].count.Add(1) }

// Note counts one refusal at the time now; attrs say more of it, should it be logged.
func (r *Refusals) Note(kind Refusal, now time.Time, attrs ...slog.Attr) {
	r.Add(kind)
	k := &r.kinds[kind]
	due := k.next.Load()
	if now.UnixNano() < due || !k.next.CompareAndSwap(due, now.Add(burst).UnixNano()) {
		k.unlogged.Add(1)
		return
	}
	if n := k.unlogged.Swap(0); n > 0 {
		attrs = append(attrs, slog.Uint64("more_before", n))
	}
	r.log.LogAttrs(context.Background(), refusalKinds[kind].level, "refused: "+kind.String(), attrs...)
}

// Count returns how many refusals of a kind there were.
func (r *Refusals) Count(kind Refusal) uint64 { return r.kinds[kind].count.Load() }

// Counts returns the number of each kind that occurred, by its name.
func (r *Refusals) Counts() map[string]uint64 {
	counts := map[string]uint64{}
	for kind := range refusals {
		if n := r.Count(kind); n > 0 {
			counts[kind.String()] = n
		}
	}
	return counts
}

// String lists the kinds that occurred: "3 header timeout, 1 queue full".
func (r *Refusals) String() string {
	var b []byte
	for kind := range refusals {
		n := r.Count(kind)
		if n == 0 {
			continue
		}
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(strconv.AppendUint(b, n, 10), ' ')
		b = append(b, kind.String()...)
	}
	return string(b)
}
