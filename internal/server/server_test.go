package server

import (
	"testing"

	"github.com/awaitd/awaitd/internal/wire"
)

func TestRingsShrinkSoThatAllLinksFitTheBudget(t *testing.T) {
	for _, c := range []struct{ reactors, loops, want int }{
		{1, 1, wire.DefaultRing},
		{1, 4, wire.DefaultRing},
		{4, 16, wire.DefaultRing},
		{3, 32, wire.DefaultRing},
		{4, 32, wire.DefaultRing / 2},
		{16, 64, 16 << 10},
		{64, 256, wire.MinRing},
	} {
		got := ringSize(c.reactors, c.loops)
		if got != c.want {
			t.Errorf("%d reactors and %d loops: %d, want %d", c.reactors, c.loops, got, c.want)
		}
		if total := (c.reactors + 1) * c.loops * 2 * got; total > ringBudget && got > wire.MinRing {
			t.Errorf("%d reactors and %d loops take %d bytes", c.reactors, c.loops, total)
		}
	}
}

func TestAHeaderSettingBecomesALine(t *testing.T) {
	for setting, want := range map[string]string{
		"X-Frame-Options:DENY":   "x-frame-options: DENY",
		"X-A: b":                 "x-a: b",
		"Link: <https://a.b/>  ": "link: <https://a.b/>",
		"X-Empty:":               "x-empty: ",
	} {
		if got := headerLine(setting); got != want {
			t.Errorf("%q: %q, want %q", setting, got, want)
		}
	}
}

func TestReloadWantsTheFilesThatUvicornWants(t *testing.T) {
	for _, c := range []struct {
		name             string
		include, exclude []string
		path             string
		want             bool
	}{
		{"a Python file", []string{"*.py"}, nil, "/app/main.py", true},
		{"another file", []string{"*.py"}, nil, "/app/data.json", false},
		{"one of several patterns", []string{"*.py", "*.html"}, nil, "/app/t/index.html", true},
		{"excluded by its name", []string{"*.py"}, []string{".*", "test_*.py"}, "/app/test_a.py", false},
		{"hidden", []string{"*.py"}, []string{".*"}, "/app/.main.py", false},
		{"a compiled file", []string{"*.py"}, []string{".py[cod]"}, "/app/main.pyc", false},
		{"by its whole path", []string{"/app/*.cfg"}, nil, "/app/a.cfg", true},
		{"a path pattern does not reach below", []string{"/app/*.cfg"}, nil, "/app/sub/a.cfg", false},
		{"a pattern that is none", []string{"[", "*.py"}, nil, "/app/main.py", true},
		{"nothing included", nil, nil, "/app/main.py", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (filter{c.include, c.exclude}).wants(c.path); got != c.want {
				t.Fatalf("%v for %s", got, c.path)
			}
		})
	}
}

func TestFoldersThatAreNotWatched(t *testing.T) {
	for name, want := range map[string]bool{".git": true, "__pycache__": true, "node_modules": true, ".venv": true, "app": false, "git": false} {
		if skipped(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}
