package web

import (
	"log/slog"
	"strconv"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/telemetry"
)

// What the server itself answers: limits, timeouts, failures. Each has a status, a count, and a line in the log.

var (
	errBodyTooLarge  = &http1.Error{Status: 413, Reason: "the request body is too large"}
	errHeaderTimeout = &http1.Error{Status: 408, Reason: "the request took too long to arrive"}
	errBodyTimeout   = &http1.Error{Status: 408, Reason: "the request body took too long to arrive"}
	errBuffersFull   = &http1.Error{Status: 503, Reason: "too many slow clients"}
)

// refusalOfStatus says what a request was refused for that broke a rule or a limit.
func refusalOfStatus(status int) telemetry.Refusal {
	switch status {
	case 413:
		return telemetry.BodyTooLarge
	case 414:
		return telemetry.LineTooLong
	case 431:
		return telemetry.HeadTooLarge
	case 503:
		return telemetry.BuffersFull
	}
	return telemetry.Malformed
}

// failures maps each reason for a failed exchange to what the client is told.
var failures = map[exchange.Reason]int{
	exchange.AppError:     500,
	exchange.TooLarge:     500,
	exchange.WorkerDied:   502,
	exchange.Overloaded:   503,
	exchange.QueueWait:    503,
	exchange.Stopping:     503,
	exchange.Deadline:     504,
	exchange.HeadTooLarge: 431,
}

// answerFailure sends the server's own answer: a short body with the error's id.
func (x *httpExchange) answerFailure(reason exchange.Reason) {
	c := x.c
	status := failures[reason]
	o := c.ownOptions(status, x.mustClose(true))
	o.Close = o.Close || !x.head.KeepAlive
	id := exchangeID(x.req.ID)
	text := strconv.Itoa(status) + " " + http1.StatusText(status) + "\nerror id: " + id
	out := http1.AppendError(c.Reactor().Scratch[:0], &x.head, status, &o, text)
	c.Reactor().Scratch = out[:0]
	x.status, x.responded, x.written = status, true, bodyOf(&x.head, text)
	x.noteFailure(reason, id)
	c.Send(out, nil, "")
	if !c.Closed() {
		c.next(!o.Close && x.skipBody())
	}
}

// bodyOf is how many bytes of body http1.AppendError makes of a text.
func bodyOf(h *http1.Head, text string) int64 {
	if h.HEAD {
		return 0
	}
	return int64(len(text) + len("\n"))
}

// noteFailure counts and logs an answer of the server's own. What concerns one request alone has a line of its own, with the
// error's id; what many requests meet at once has one for a burst.
func (x *httpExchange) noteFailure(reason exchange.Reason, id string) {
	cfg := x.c.s.cfg
	switch kind := telemetry.RefusalOf(reason); kind {
	case telemetry.AppFailed, telemetry.WorkerDied, telemetry.DeadlineOver:
		cfg.Refusals.Add(kind)
		cfg.Log.Warn("answered "+strconv.Itoa(x.status), "reason", reason, "id", id)
	default:
		cfg.Refusals.Note(kind, x.c.Reactor().Now(), slog.Int("status", x.status), slog.String("id", id), x.c.peer())
		cfg.Log.Debug("answered "+strconv.Itoa(x.status), "reason", reason, "id", id)
	}
}
