package worker

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
)

// Interpreter is the Python that workers run on.
type Interpreter struct {
	Path string // absolute, or as found on PATH
	From string // where it was found, in words
	// Package is the folder of an awaitd package of another installation that fits this interpreter; empty: it has its own.
	Package string
}

// borrowed starts the worker with the awaitd package of another installation, without putting anything else of that
// installation on sys.path.
const borrowed = `import importlib.util as u, os, sys
p = os.environ.pop("AWAITD_PACKAGE")
s = u.spec_from_file_location("awaitd", os.path.join(p, "__init__.py"), submodule_search_locations=[p])
m = sys.modules["awaitd"] = u.module_from_spec(s)
s.loader.exec_module(m)
from awaitd.worker import main
sys.exit(main())
`

// arguments are what the interpreter is started with.
func (i Interpreter) arguments() []string {
	if i.Package != "" {
		return []string{"-c", borrowed}
	}
	return []string{"-m", "awaitd.worker"}
}

// environ is what it needs in its environment.
func (i Interpreter) environ() []string {
	if i.Package != "" {
		return []string{"AWAITD_PACKAGE=" + i.Package}
	}
	return nil
}

// Search is where to look for an interpreter.
type Search struct {
	Explicit   string // --python
	VirtualEnv string // VIRTUAL_ENV
	AppDir     string // a .venv beside the application
	Executable string // the server's own binary: the wheel's interpreter is beside it
}

// Find looks for the interpreter: --python, else VIRTUAL_ENV, else .venv beside the application, else the one that the wheel is
// installed in, else python3 on PATH.
func Find(s Search) (Interpreter, error) {
	if s.Explicit != "" {
		path, err := exec.LookPath(s.Explicit)
		if err != nil {
			return Interpreter{}, fault.BadInterpreter(s.Explicit, err)
		}
		return Interpreter{Path: absolute(path), From: "--python"}, nil
	}
	var looked []string
	for _, place := range s.places() {
		looked = append(looked, place.Path)
		if isExecutable(place.Path) {
			return place, nil
		}
	}
	if path, err := exec.LookPath("python3"); err == nil {
		return Interpreter{Path: absolute(path), From: "PATH"}, nil
	}
	return Interpreter{}, fault.NoInterpreter(append(looked, "python3"))
}

// places are the candidates before PATH, best first.
func (s Search) places() []Interpreter {
	var places []Interpreter
	if s.VirtualEnv != "" {
		places = append(places, Interpreter{Path: filepath.Join(s.VirtualEnv, "bin", "python"), From: "VIRTUAL_ENV"})
	}
	if s.AppDir != "" {
		places = append(places, Interpreter{Path: absolute(filepath.Join(s.AppDir, ".venv", "bin", "python")), From: ".venv"})
	}
	if s.Executable != "" {
		bin := filepath.Dir(s.Executable)
		for _, name := range []string{"python", "python3"} {
			places = append(places, Interpreter{Path: filepath.Join(bin, name), From: "beside awaitd"})
		}
	}
	return places
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// probe asks an interpreter for its version's ABI tag, and whether it has awaitd.
const probe = `import importlib.util as u, sysconfig
print(sysconfig.get_config_var("SOABI"))
print(u.find_spec("awaitd") is not None)
`

// probeTime bounds the probe: starting an interpreter takes tens of milliseconds, on a loaded machine a second.
const probeTime = 20 * time.Second

// Borrow is asked after a worker ended without a word. If the interpreter lacks awaitd, it returns the same interpreter with
// the package of the server's own installation, if that fits; else an error that says what is missing. ok is false when the
// interpreter has awaitd, and the reason was another.
func Borrow(i Interpreter, s Search, version string, r *Reaper) (with Interpreter, ok bool, err error) {
	if i.Package != "" {
		return i, false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	var out strings.Builder
	cmd := exec.CommandContext(ctx, i.Path, "-c", probe)
	cmd.Stdout = &out
	if err = r.start(cmd); err == nil {
		err = cmd.Wait()
		r.ended(cmd.Process.Pid)
	}
	if err != nil {
		return i, false, fault.BadInterpreter(i.Path, err)
	}
	lines := strings.Fields(out.String())
	if len(lines) != 2 || lines[1] == "True" {
		return i, false, nil
	}
	accelerator := "_wire." + lines[0] + ".so"
	pattern := filepath.Join(filepath.Dir(filepath.Dir(s.Executable)), "lib", "python*", "site-packages", "awaitd", accelerator)
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		i.Package = filepath.Dir(found[0])
		return i, true, nil
	}
	return i, false, fault.NoPackage(i.Path, version)
}
