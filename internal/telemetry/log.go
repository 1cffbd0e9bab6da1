// Package telemetry is what the server says of itself: its log, the access log, and (later) metrics and traces.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
)

// LevelTrace is below debug, LevelCritical above error: the names that Python's servers use.
const (
	LevelTrace    = slog.LevelDebug - 4
	LevelCritical = slog.LevelError + 4
)

// ParseLevel knows critical, error, warning, info, debug and trace.
func ParseLevel(name string) (slog.Level, bool) {
	switch strings.ToLower(name) {
	case "critical":
		return LevelCritical, true
	case "error":
		return slog.LevelError, true
	case "warning":
		return slog.LevelWarn, true
	case "info":
		return slog.LevelInfo, true
	case "debug":
		return slog.LevelDebug, true
	case "trace":
		return LevelTrace, true
	}
	return 0, false
}

// NewLogger makes the server's logger: one line for each record, "time level message key=value …".
func NewLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(&textHandler{w: w, level: level, mu: new(sync.Mutex)})
}

// textHandler is a slog.Handler for people.
type textHandler struct {
	w     io.Writer
	level slog.Level
	mu    *sync.Mutex
	attrs []byte // given by With, already as text
	group string
}

func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	b := appendTime(make([]byte, 0, 256), r.Time)
	b = append(b, ' ')
	b = append(b, levelName(r.Level)...)
	b = append(b, ' ')
	b = append(b, r.Message...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = h.appendAttr(b, a)
		return true
	})
	b = append(b, '\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(b)
	return err
}

func (h *textHandler) appendAttr(b []byte, a slog.Attr) []byte {
	value := a.Value.Resolve().String()
	if value == "" || strings.ContainsAny(value, " \"\n=") {
		value = strconv.Quote(value)
	}
	b = append(b, ' ')
	b = append(b, h.group...)
	b = append(b, a.Key...)
	b = append(b, '=')
	return append(b, value...)
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append([]byte(nil), h.attrs...)
	for _, a := range attrs {
		with.attrs = h.appendAttr(with.attrs, a)
	}
	return &with
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.group += name + "."
	return &with
}

// levelName is five characters wide.
func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "trace"
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info "
	case l < slog.LevelError:
		return "warn "
	case l < LevelCritical:
		return "error"
	}
	return "crit "
}
