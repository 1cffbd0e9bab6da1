package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/awaitd/awaitd/internal/fault"
)

// scene is what a command is started with. Flags are "name=value", with the settings' names.
type scene struct {
	flags, environ []string
	files          map[string]string
}

// load writes the files to a new folder and loads the settings there.
func (s scene) load(t *testing.T) (*Loaded, []string, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range s.files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	in := Input{Environ: s.environ, Dir: dir}
	for _, f := range s.flags {
		name, text, _ := strings.Cut(f, "=")
		in.Flags = append(in.Flags, FlagValue{Setting: ByName(name), Text: text, Typed: ByName(name).Flag()})
	}
	loaded, err := Load(in)
	return loaded, problemsOf(t, err), dir
}

// problemsOf returns the texts of the faults that err joins, with their hints in parentheses.
func problemsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var texts []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		f, ok := errors.AsType[*fault.Fault](e)
		if !ok || f.Code != fault.Usage {
			t.Errorf("%v is no fault of usage", e)
			continue
		}
		text := f.Problem
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
		texts = append(texts, text)
	}
	return texts
}

func (s scene) mustLoad(t *testing.T) *Loaded {
	t.Helper()
	loaded, problems, _ := s.load(t)
	if problems != nil {
		t.Fatalf("problems: %v", problems)
	}
	return loaded
}

// sourceOf returns where a setting came from.
func sourceOf(loaded *Loaded, name string) string {
	i := slices.IndexFunc(loaded.Entries, func(e Entry) bool { return e.Setting.Name == name })
	return loaded.Entries[i].Source
}

func TestFlagWinsOverVariableOverFileOverDefault(t *testing.T) {
	s := scene{files: map[string]string{}}
	for _, step := range []struct {
		add    func()
		port   int
		source string
	}{
		{func() {}, 8000, "default"},
		{func() { s.files["awaitd.toml"] = "[listen]\nport = 1" }, 1, "awaitd.toml:2"},
		{func() { s.environ = []string{"AWAITD_PORT=2"} }, 2, "AWAITD_PORT"},
		{func() { s.flags = []string{"port=3"} }, 3, "--port"},
	} {
		step.add()
		loaded := s.mustLoad(t)
		if got := loaded.Config.Port; got != step.port {
			t.Errorf("port is %d, want %d from %s", got, step.port, step.source)
		}
		if got := sourceOf(loaded, "port"); got != step.source {
			t.Errorf("port is said to come from %s, want %s", got, step.source)
		}
	}
}

func TestDefaultIsWhatLoadGivesWithoutSources(t *testing.T) {
	c, d := scene{}.mustLoad(t).Config, Default()
	for i := range Table {
		if s := &Table[i]; s.Name != "chdir" && s.Value(c).String() != s.Value(d).String() {
			t.Errorf("%s: Load gives %s, Default %s", s.Name, s.Value(c), s.Value(d))
		}
	}
	if d.Workers != 1 || d.Reactors < 1 || d.FD != -1 || !d.AccessLog {
		t.Errorf("odd defaults: %+v", d)
	}
}

func TestARepeatedFlagAddsToAListAndReplacesOneValue(t *testing.T) {
	c := scene{flags: []string{"bind=:1", "threads=2", "bind=:3", "threads=4"}}.mustLoad(t).Config
	if !slices.Equal(c.Bind, []string{":1", ":3"}) || c.Threads != 4 {
		t.Errorf("got bind %v, threads %d", c.Bind, c.Threads)
	}
}

func TestVariables(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		setting string
		want    string
	}{
		"its own name":             {[]string{"AWAITD_TIMEOUT_BODY=5"}, "timeout-body", "5s"},
		"WEB_CONCURRENCY":          {[]string{"WEB_CONCURRENCY=3"}, "workers", "3"},
		"ours before others":       {[]string{"AWAITD_WORKERS=2", "WEB_CONCURRENCY=3"}, "workers", "2"},
		"empty is unset":           {[]string{"AWAITD_WORKERS=", "WEB_CONCURRENCY=3"}, "workers", "3"},
		"a list":                   {[]string{"AWAITD_BIND=:1, :2,"}, "bind", ":1, :2"},
		"headers by line":          {[]string{"AWAITD_HEADER=X-A: 1, 2\nX-B: 3"}, "header", "X-A: 1, 2, X-B: 3"},
		"a switch":                 {[]string{"AWAITD_ACCESS_LOG=0"}, "access-log", "false"},
		"the application":          {[]string{"AWAITD_TARGET=a:b"}, "target", "a:b"},
		"Kubernetes service links": {[]string{"AWAITD_SERVICE_HOST=1.2.3.4", "AWAITD_PORT_80_TCP_ADDR=1.2.3.4"}, "port", "8000"},
	} {
		loaded := scene{environ: c.environ}.mustLoad(t)
		if got := ByName(c.setting).Value(loaded.Config).String(); got != c.want {
			t.Errorf("%s: %s is %s, want %s", name, c.setting, got, c.want)
		}
	}
}

func TestFiles(t *testing.T) {
	for name, c := range map[string]struct {
		scene
		setting, want, source string
	}{
		"dotted keys, dashes, inline tables": {
			scene{files: map[string]string{"awaitd.toml": "limits.request-line = '4KiB'\nlisten = { port = 1_0 }"}},
			"port", "10", "awaitd.toml:2",
		},
		"own file before pyproject.toml": {
			scene{files: map[string]string{"awaitd.toml": "listen.port = 1", "pyproject.toml": "[tool.awaitd.listen]\nport = 2"}},
			"port", "1", "awaitd.toml:1",
		},
		"pyproject.toml": {
			scene{files: map[string]string{"pyproject.toml": "[project]\nname = 'x'\n[tool.awaitd]\nworkers.count = 3"}},
			"workers", "3", "pyproject.toml:4",
		},
		"pyproject.toml without a word about us": {
			scene{files: map[string]string{"pyproject.toml": "[tool.other]\nport = 2"}}, "port", "8000", "default",
		},
		"the application's folder": {
			scene{flags: []string{"app-dir=src"}, files: map[string]string{"src/awaitd.toml": "listen.port = 1"}},
			"port", "1", "src/awaitd.toml:1",
		},
		"named by flag": {
			scene{flags: []string{"config=conf/my.toml"}, files: map[string]string{"conf/my.toml": "app.dir = '.'", "awaitd.toml": "app.dir='x'"}},
			"app-dir", "conf", "conf/my.toml:1",
		},
		"named by variable": {
			scene{environ: []string{"AWAITD_CONFIG=my.toml"}, files: map[string]string{"my.toml": "listen.port = 1"}},
			"port", "1", "my.toml:1",
		},
		"after chdir": {
			scene{flags: []string{"chdir=site", "config=my.toml"}, files: map[string]string{"site/my.toml": "listen.port = 1"}},
			"port", "1", "my.toml:1",
		},
		"a program's name is no path": {
			scene{flags: []string{"config=conf/my.toml"}, files: map[string]string{"conf/my.toml": "app.python = 'python3.13'"}},
			"python", "python3.13", "conf/my.toml:1",
		},
		"a program's path is one": {
			scene{flags: []string{"config=conf/my.toml"}, files: map[string]string{"conf/my.toml": "app.python = '../v/bin/python'"}},
			"python", "v/bin/python", "conf/my.toml:1",
		},
		"a list of several lines": {
			scene{files: map[string]string{"awaitd.toml": "[headers]\nadd = [\n  'A: 1', # one\n  'B: 2',\n]"}},
			"header", "A: 1, B: 2", "awaitd.toml:2",
		},
		"octal as TOML writes it": {
			scene{files: map[string]string{"awaitd.toml": "listen.uds_permissions = 0o600"}},
			"uds-permissions", "600", "awaitd.toml:1",
		},
	} {
		loaded := c.mustLoad(t)
		if got := ByName(c.setting).Value(loaded.Config).String(); got != c.want {
			t.Errorf("%s: %s is %s, want %s", name, c.setting, got, c.want)
		}
		if got := sourceOf(loaded, c.setting); got != c.source {
			t.Errorf("%s: it comes from %s, want %s", name, got, c.source)
		}
	}
}

func TestTheFileThatWasFoundIsNamed(t *testing.T) {
	loaded := scene{files: map[string]string{"awaitd.toml": ""}}.mustLoad(t)
	if loaded.Config.File != "awaitd.toml" || sourceOf(loaded, "config") != "found" {
		t.Errorf("got %q from %s", loaded.Config.File, sourceOf(loaded, "config"))
	}
}

func TestAddressGivenClosestCounts(t *testing.T) {
	for name, c := range map[string]struct {
		scene
		want string
	}{
		"a port on the command line, bind in a file": {
			scene{flags: []string{"port=9"}, files: map[string]string{"awaitd.toml": "listen.bind = ':1'"}}, "127.0.0.1:9",
		},
		"host from the file stays": {
			scene{flags: []string{"port=9"}, files: map[string]string{"awaitd.toml": "listen.host = '::1'"}}, "[::1]:9",
		},
		"uds in a variable, port in a file": {
			scene{environ: []string{"AWAITD_UDS=/s"}, files: map[string]string{"awaitd.toml": "listen.port = 1"}}, "unix:/s",
		},
		"fd on the command line, uds in a variable": {
			scene{flags: []string{"fd=3"}, environ: []string{"AWAITD_UDS=/s"}}, "fd://3",
		},
	} {
		if got := c.mustLoad(t).Config.Addresses(); len(got) != 1 || got[0].String() != c.want {
			t.Errorf("%s: got %v, want %s", name, got, c.want)
		}
	}
}

func TestAnAddressThatGaveWaySaysSo(t *testing.T) {
	loaded := scene{flags: []string{"port=9"}, files: map[string]string{"awaitd.toml": "listen.bind = ':1'"}}.mustLoad(t)
	if got, want := sourceOf(loaded, "bind"), "default: awaitd.toml:1 gives way to --port"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTargetPrefixSetsTheInterface(t *testing.T) {
	for target, want := range map[string][2]string{
		"wsgi:main:app": {"wsgi", "main:app"}, "asgi:main:app": {"asgi3", "main:app"}, "asgi:app": {"auto", "asgi:app"}, "main": {"auto", "main"},
	} {
		c := scene{flags: []string{"target=" + target}}.mustLoad(t).Config
		if got := [2]string{c.Interface, c.Target}; got != want {
			t.Errorf("%s: got %v, want %v", target, got, want)
		}
	}
}

func TestReloadPatternsAddToTheDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		flags                []string
		wantIn, wantExcluded string
	}{
		"nothing asked":           {nil, "*.py", ".*,.py[cod],.sw.*,~*"},
		"more to watch":           {[]string{"reload-include=*.html"}, "*.py,*.html", ".*,.py[cod],.sw.*,~*"},
		"a default exclude asked": {[]string{"reload-include=.*"}, "*.py,.*", ".py[cod],.sw.*,~*"},
		"a default include not":   {[]string{"reload-exclude=*.py"}, "", ".*,.py[cod],.sw.*,~*,*.py"},
	} {
		loaded := scene{flags: c.flags}.mustLoad(t).Config
		in, ex := strings.Join(loaded.ReloadIncludes, ","), strings.Join(loaded.ReloadExcludes, ",")
		if in != c.wantIn || ex != c.wantExcluded {
			t.Errorf("%s: includes %s, excludes %s", name, in, ex)
		}
	}
}

func TestEnvFiles(t *testing.T) {
	s := scene{
		flags:   []string{"env-file=.env", "env-file=more.env"},
		environ: []string{"SET=already"},
		files: map[string]string{
			".env":     "SET=no\nDATABASE_URL=sqlite://\nAWAITD_THREADS=7\n",
			"more.env": "DATABASE_URL=pg://${SET}\n",
		},
	}
	loaded := s.mustLoad(t)
	want := []string{"DATABASE_URL=sqlite://", "AWAITD_THREADS=7", "DATABASE_URL=pg://already"}
	if got := loaded.Config.Environ; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if loaded.Config.Threads != 7 || sourceOf(loaded, "threads") != ".env:3" {
		t.Errorf("threads: %d from %s", loaded.Config.Threads, sourceOf(loaded, "threads"))
	}
}

func TestChdirIsWhereAllStarts(t *testing.T) {
	s := scene{flags: []string{"chdir=site", "app-dir=src"}, files: map[string]string{"site/src/main.py": ""}}
	loaded, problems, dir := s.load(t)
	if problems != nil || loaded.Config.Dir != filepath.Join(dir, "site") {
		t.Errorf("got %+v, %v", loaded, problems)
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		scene
		want []string
	}{
		"all at once": {
			scene{
				flags:   []string{"port=99999", "interface=rsgi"},
				environ: []string{"AWAITD_THREADS=0"},
				files:   map[string]string{"awaitd.toml": "\n[limits]\nqueue = -5\n[timeouts]\nbody = true"},
			},
			[]string{
				"--interface: must be auto, asgi3, asgi2, wsgi or tornado, got `rsgi`",
				"--port: must be 0 to 65535, got 99999",
				"AWAITD_THREADS: must be 1 to 1024, got 0",
				"awaitd.toml:3: limits.queue: must be 0 or more, got -5",
				"awaitd.toml:5: timeouts.body: must be a duration such as 30, 500ms or 2m, got `true`",
			},
		},
		"unknown keys": {
			scene{files: map[string]string{"awaitd.toml": "port = 1\nworkers = 2\nlisten.prot = 3\nxyzzy = 4\nlimits.limit_queue = 1\ntarget = 'a:b'"}},
			[]string{
				"awaitd.toml:1: port: there is no such setting (did you mean `listen.port`?)",
				"awaitd.toml:2: workers: there is no such setting (did you mean `workers.count`?)",
				"awaitd.toml:3: listen.prot: there is no such setting (did you mean `listen.port`?)",
				"awaitd.toml:4: xyzzy: there is no such setting",
				"awaitd.toml:5: limits.limit_queue: there is no such setting (did you mean `limits.queue`?)",
				"awaitd.toml:6: target: there is no such setting (did you mean `app.target`?)",
			},
		},
		"the wrong kind of value": {
			scene{files: map[string]string{"awaitd.toml": "listen.port = [1]\nlisten.host = 1979-05-27\nlisten.bind = [['a']]\n[[headers.add]]\nx = 1"}},
			[]string{
				"awaitd.toml:1: listen.port: must be one value, got a list",
				"awaitd.toml:2: listen.host: must be text, got a date or time",
				"awaitd.toml:3: listen.bind: must be list of texts, got a list in a list",
				"awaitd.toml:5: headers.add.x: there is no such setting (did you mean `headers.add`?)",
			},
		},
		"TOML that is none": {
			scene{files: map[string]string{"awaitd.toml": "[listen]\nport = \n"}},
			[]string{"awaitd.toml:2: unexpected character U+000A at start of value"},
		},
		"pyproject.toml": {
			scene{files: map[string]string{"pyproject.toml": "[tool.awaitd.listen]\nport = -1"}},
			[]string{"pyproject.toml:2: tool.awaitd.listen.port: must be 0 to 65535, got -1"},
		},
		"a file that is not there": {
			scene{flags: []string{"config=no.toml", "env-file=no.env"}},
			[]string{
				"--config: can't read `no.toml`: no such file or directory",
				"--env-file: can't read `no.env`: no such file or directory",
			},
		},
		"a pyproject.toml that was named but says nothing": {
			scene{flags: []string{"config=pyproject.toml"}, files: map[string]string{"pyproject.toml": ""}},
			[]string{"--config: `pyproject.toml` has no table `tool.awaitd`"},
		},
		"folders": {
			scene{flags: []string{"app-dir=no", "reload-dir=f", "reload-dir=."}, files: map[string]string{"f": ""}},
			[]string{
				"--app-dir: can't use folder `no`: no such file or directory",
				"--reload-dir: can't use folder `f`: not a folder",
			},
		},
		"chdir": {
			scene{flags: []string{"chdir=no"}},
			[]string{"--chdir: can't change to `no`: no such file or directory"},
		},
		"ways to listen that contradict each other": {
			scene{flags: []string{"port=1", "uds=/a", "bind=:2"}},
			[]string{
				"can't use both `--port` and `--uds`: each says where to listen (to listen on several addresses repeat `--bind`)",
				"can't use both `--uds` and `--bind`: each says where to listen (to listen on several addresses repeat `--bind`)",
			},
		},
		"a mistyped variable": {
			scene{environ: []string{"AWAITD_PROT=1"}},
			[]string{"AWAITD_PROT: there is no such setting (did you mean `AWAITD_PORT`?)"},
		},
		"a service called awaitd": {
			scene{environ: []string{"AWAITD_PORT=tcp://10.0.0.1:80"}},
			[]string{"AWAITD_PORT: must be a whole number, got `tcp://10.0.0.1:80` (Kubernetes sets it for a service named awaitd: " +
				"rename the service, or set `enableServiceLinks: false` in the pod)"},
		},
		"an env file": {
			scene{flags: []string{"env-file=.env"}, files: map[string]string{".env": "A B\nC='x\nAWAITD_PORT=x\nAWAITD_CONFIG=y\nAWAITD_HOTS=z\n"}},
			[]string{
				".env:1: must be NAME=value, got `A B`",
				".env:2: C: the quote is never closed",
				".env:4: AWAITD_CONFIG: can't be set in an env file (use `--config`)",
				".env:5: AWAITD_HOTS: there is no such setting (did you mean `AWAITD_HOST`?)",
				".env:3: AWAITD_PORT: must be a whole number, got `x`",
			},
		},
		"a prefix against a flag": {
			scene{flags: []string{"target=wsgi:a:b", "interface=asgi3"}},
			[]string{"`wsgi:a:b` and interface `asgi3` contradict each other (leave one of them out)"},
		},
		"a head that fits no frame": {
			scene{flags: []string{"limit-request-line=40000", "limit-request-field-size=40000"}},
			[]string{"can't keep the request limits: a line of 40000 bytes, a field of 40000 bytes and a table of 100 fields take 80400 " +
				"bytes, but a request's head has 63488 (lower `--limit-request-line`, `--limit-request-field-size` or " +
				"`--limit-request-fields`)"},
		},
		"a file for a module": {
			scene{flags: []string{"target=src/main.py:api"}},
			[]string{"TARGET: must be a module, not a file, got `src/main.py:api` (name the module and its folder: " +
				"`--app-dir src main:api`)"},
		},
	} {
		if _, got, _ := c.load(t); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

func TestATargetMayBeNeeded(t *testing.T) {
	_, err := Load(Input{Dir: t.TempDir(), NeedTarget: true})
	if got := problemsOf(t, err); len(got) != 1 || !strings.HasPrefix(got[0], "no application is named (") {
		t.Errorf("got %v", got)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("[listen]\nport = 1\n[tool.awaitd]\nx = {a = [1, {b = 2}]}\n[[a.b]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{ownFile, projectFile} {
			l := &loader{dir: t.TempDir()}
			for _, g := range first(l.parseFile(name, "", []byte(text), nil)) {
				_ = g.setting.Value(&Config{}).Set(g.texts...)
			}
		}
	})
}

func first(g givens, _ bool) givens { return g }
