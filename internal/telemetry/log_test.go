package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestALogLineHasItsForm(t *testing.T) {
	for _, c := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"message", func(l *slog.Logger) { l.Info("reloading") }, "info  reloading"},
		{"attributes", func(l *slog.Logger) { l.Warn("m", "pid", 7, "how", "exit status 1") }, `warn  m pid=7 how="exit status 1"`},
		{"an error with a line break", func(l *slog.Logger) { l.Error("m", "error", errors.New("a\nb")) }, `error m error="a\nb"`},
		{"an empty value, an equals sign, a quote", func(l *slog.Logger) { l.Info("m", "a", "", "b", "x=y", "c", `"`) }, `info  m a="" b="x=y" c="\""`},
		{"given before", func(l *slog.Logger) { l.With("worker", "w1").Info("m", "a", 1) }, "info  m worker=w1 a=1"},
		{"a group", func(l *slog.Logger) { l.WithGroup("g").With("a", 1).Info("m", "b", 2) }, "info  m g.a=1 g.b=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			c.log(NewLogger(&b, slog.LevelInfo))
			_, rest, _ := strings.Cut(b.String(), " ")
			_, rest, _ = strings.Cut(rest, " ") // date and time
			if rest != c.want+"\n" {
				t.Fatalf("%q, want %q", rest, c.want)
			}
		})
	}
}

func TestLevelsHaveTheNamesOfPythonsServers(t *testing.T) {
	names := []string{"trace", "debug", "info", "warning", "error", "critical"}
	for i, name := range names {
		level, ok := ParseLevel(strings.ToUpper(name))
		if !ok {
			t.Fatalf("%s is unknown", name)
		}
		var b bytes.Buffer
		l := NewLogger(&b, level)
		for _, other := range names {
			at, _ := ParseLevel(other)
			l.Log(t.Context(), at, "said")
		}
		if got, want := strings.Count(b.String(), "said"), len(names)-i; got != want {
			t.Errorf("at %s, %d of %d lines", name, got, want)
		}
		if short := strings.TrimSpace(levelName(level)); !strings.HasPrefix(name, short) {
			t.Errorf("%s is printed as %q", name, short)
		}
	}
	if _, ok := ParseLevel("loud"); ok {
		t.Error("an unknown level was accepted")
	}
}
