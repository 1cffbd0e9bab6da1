package telemetry

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// spec: http 3
func TestABurstOfRefusalsIsOneLine(t *testing.T) {
	var log strings.Builder
	r := NewRefusals(NewLogger(&log, slog.LevelInfo))
	start := time.Unix(1_800_000_000, 0)
	for i := range 100 {
		r.Note(HeaderTimeout, start.Add(time.Duration(i)*time.Millisecond), slog.Int("status", 408))
	}
	r.Note(QueueFull, start)
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines: %s", n, log.String())
	}
	r.Note(HeaderTimeout, start.Add(burst))
	if !strings.Contains(log.String(), "refused: header timeout more_before=99") {
		t.Error(log.String())
	}
	if got := r.String(); got != "101 header timeout, 1 queue full" {
		t.Error(got)
	}
}

func TestEveryRefusalHasAName(t *testing.T) {
	for kind := range refusals {
		if kind.String() == "" {
			t.Error(kind)
		}
	}
}
