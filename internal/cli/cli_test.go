package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// shell is a command line's surroundings, and what came of it.
type shell struct {
	environ  []string
	dir      string
	terminal int
	serve    func(*config.Config) error

	served, checked *config.Config
	entered         string // the folder changed to
	stdout, stderr  bytes.Buffer
}

// run runs a command line, words separated by spaces, and returns the exit code.
func (s *shell) run(t *testing.T, line string) int {
	t.Helper()
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	return Main(strings.Fields(line), Env{
		Stdin: strings.NewReader(""), Stdout: &s.stdout, Stderr: &s.stderr,
		Environ: s.environ, Dir: s.dir, Version: "1.2.3",
		Terminal: func(io.Writer) int { return s.terminal },
		Chdir:    func(dir string) error { s.entered = dir; return nil },
		Serve: func(_ context.Context, c *config.Config) error {
			s.served = c
			if s.serve == nil {
				return nil
			}
			return s.serve(c)
		},
		Check: func(_ context.Context, c *config.Config) error { s.checked = c; return nil },
	})
}

func TestServeGetsTheSettings(t *testing.T) {
	for _, line := range []string{
		"main:app --port 9 -w4 --no-access-log",
		"serve --port=9 main:app --workers 4 --access-log=no",
		"--no-access-log -w 4 --port 9 -- main:app",
		"-w=4 serve main:app --port 9 --no_access_log",
	} {
		s := &shell{}
		if code := s.run(t, line); code != 0 || s.served == nil {
			t.Errorf("%s: exit code %d, %s", line, code, &s.stderr)
			continue
		}
		if c := s.served; c.Target != "main:app" || c.Port != 9 || c.Workers != 4 || c.AccessLog {
			t.Errorf("%s: got %+v", line, c)
		}
	}
}

func TestAModuleNamedLikeACommandCanBeServed(t *testing.T) {
	s := &shell{}
	if s.run(t, "serve check"); s.served == nil || s.served.Target != "check" {
		t.Errorf("got %+v, %s", s.served, &s.stderr)
	}
}

func TestCheckStartsTheApplicationWithoutServing(t *testing.T) {
	for _, line := range []string{"check main:app", "main:app --check-config"} {
		s := &shell{}
		code := s.run(t, line)
		if code != 0 || s.checked == nil || s.served != nil || s.stdout.String() != "The settings are correct and `main:app` starts.\n" {
			t.Errorf("%s: exit code %d, %s%s", line, code, &s.stdout, &s.stderr)
		}
	}
}

func TestChdirIsEnteredBeforeServing(t *testing.T) {
	s := &shell{dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(s.dir, "site"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s.run(t, "main:app --chdir site"); s.entered != filepath.Join(s.dir, "site") || s.served.Dir != s.entered {
		t.Errorf("entered %q, served in %q", s.entered, s.served.Dir)
	}
}

func TestExitCodeIsTheFaults(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		err  error
		want int
	}{
		"clean":            {"main:app", nil, 0},
		"any error":        {"main:app", errors.New("x"), 1},
		"a listener":       {"main:app", fault.Listen("127.0.0.1:80", errors.New("x")), 1},
		"the application":  {"main:app", fault.Start("main:app", fault.Report{}), 3},
		"no interpreter":   {"main:app", fault.NoInterpreter([]string{"python3"}), 2},
		"a bad setting":    {"main:app --port x", nil, 2},
		"no application":   {"", nil, 2},
		"an unknown flag":  {"main:app --zzzzzz", nil, 2},
		"no program":       {"run", nil, 2},
		"help, whatever":   {"--zzzzzz -h", nil, 0},
		"version, no less": {"--version --port x", nil, 0},
	} {
		s := &shell{serve: func(*config.Config) error { return c.err }}
		if code := s.run(t, c.line); code != c.want {
			t.Errorf("%s: exit code %d, want %d", name, code, c.want)
		}
	}
}

func TestATracebackComesOnceBeforeItsError(t *testing.T) {
	s := &shell{serve: func(*config.Config) error {
		return fault.Start("main:app", fault.Report{
			Stage: fault.Import, Message: "no module named `x`", Hint: "install it", Traceback: "Traceback:\n  main.py, line 1\n\n",
		})
	}}
	s.run(t, "main:app")
	want := "Traceback:\n  main.py, line 1\nerror: can't import `main:app`: no module named `x`\nhint: install it\n"
	if s.stderr.String() != want {
		t.Errorf("got %q\nwant %q", &s.stderr, want)
	}
}

func TestColoursOnlyOnATerminalThatWantsThem(t *testing.T) {
	for name, c := range map[string]struct {
		terminal int
		environ  []string
		want     bool
	}{
		"terminal":               {80, nil, true},
		"no terminal":            {0, nil, false},
		"NO_COLOR":               {80, []string{"NO_COLOR=1"}, false},
		"NO_COLOR without value": {80, []string{"NO_COLOR="}, true},
		"dumb terminal":          {80, []string{"TERM=dumb"}, false},
	} {
		s := &shell{terminal: c.terminal, environ: c.environ}
		s.run(t, "")
		if got := strings.Contains(s.stderr.String(), "\x1b["); got != c.want {
			t.Errorf("%s: %q", name, &s.stderr)
		}
	}
	s := &shell{terminal: 80}
	s.run(t, "run")
	want := "\x1b[1;31merror:\x1b[0m no program is named\n" +
		"\x1b[1;36mhint:\x1b[0m name a file or a module: `awaitd run server.py`, `awaitd run -m server`\n"
	if s.stderr.String() != want {
		t.Errorf("got %q, want %q", &s.stderr, want)
	}
}

func TestHelpShowsEveryFlagAndDefaultWithinTheWidth(t *testing.T) {
	for _, width := range []int{0, 10, 70, 80, 140} {
		s := &shell{terminal: width}
		s.run(t, "--help")
		page := s.stdout.String()
		limit := width
		if width == 0 {
			limit = pageWidth
		}
		for line := range strings.Lines(page) {
			if len(line)-1 > max(limit, leastWidth) && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("at width %d: %q is %d wide", width, line, len(line)-1)
			}
		}
		flat := strings.Join(strings.Fields(page), " ")
		for i := range config.Table {
			row := &config.Table[i]
			if !strings.Contains(page, row.Flag()) {
				t.Errorf("at width %d: %s is not shown", width, row.Flag())
			}
			if row.Default != "" && !row.Shape().Bool && !strings.Contains(flat, "default: "+row.Default+"]") {
				t.Errorf("at width %d: the default of %s is not shown", width, row.Name)
			}
		}
	}
}

func TestNoPeerFlagHidesASetting(t *testing.T) {
	all := maps.Clone(peerFlags)
	for flag, peer := range uwsgiFlags {
		if _, both := all[flag]; both {
			t.Errorf("%s is there twice", flag)
		}
		all[flag] = peer
	}
	for flag, peer := range all {
		if s := config.ByFlag(strings.TrimLeft(flag, "-")); s != nil {
			t.Errorf("%s is a setting: %s", flag, s.Name)
		}
		hint, found := strings.CutPrefix(peer.hint, "use `--")
		hint, _, _ = strings.Cut(strings.TrimSuffix(hint, "`"), " ")
		hint, _, _ = strings.Cut(hint, "`")
		if found && config.ByFlag(hint) == nil && config.ByFlag(strings.TrimPrefix(hint, "no-")) == nil {
			t.Errorf("%s: the hint %q names no setting", flag, peer.hint)
		}
	}
}

func TestCompletionKnowsEveryFlag(t *testing.T) {
	for _, name := range []string{"bash", "zsh", "fish"} {
		s := &shell{}
		if code := s.run(t, "completion "+name); code != 0 {
			t.Fatalf("%s: %s", name, &s.stderr)
		}
		for _, f := range completedFlags() {
			if !strings.Contains(s.stdout.String(), f.long) {
				t.Errorf("%s does not complete --%s", name, f.long)
			}
		}
		if path, err := exec.LookPath(name); err == nil {
			check := exec.Command(path, "-n")
			if name == "fish" {
				check = exec.Command(path, "--no-execute", "/dev/stdin")
			}
			check.Stdin = &s.stdout
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s refuses the script: %v\n%s", name, err, out)
			}
		}
	}
}

func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	for line, want := range map[string]string{
		"awaitd|ser":                "serve",
		"awaitd|--interf":           "--interface",
		"awaitd|--interface|wsg":    "wsgi",
		"awaitd|--loop|=|uv":        "uvloop",
		"awaitd|--lifespan|=":       "auto on off",
		"awaitd|completion|z":       "zsh",
		"awaitd|m:a|--no-acc":       "--no-access-log",
		"awaitd|--graceful":         "--graceful-timeout",
		"awaitd|m:a|-w|a":           "auto",
		"awaitd|m:a|--print-config": "--print-config",
	} {
		words := strings.Split(line, "|")
		script := bashCompletion() + "COMP_WORDS=('" + strings.Join(words, "' '") + "'); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); " +
			"_awaitd; echo \"${COMPREPLY[@]}\""
		out, err := exec.Command(bash, "--norc", "-c", script).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s: got %q, %v; want %q", line, out, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("main:app --port 9 -w4 --no-reload -- --x -=\x00 -é --=a")
	f.Fuzz(func(t *testing.T, line string) { parse(strings.Split(line, " ")) })
}
