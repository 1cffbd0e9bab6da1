package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"awaitd": main})
}

// TestScripts runs the command-line scenarios. The condition [worker] holds where the Python package is built in this tree.
func TestScripts(t *testing.T) {
	python, err := filepath.Abs("../../python")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PYTHON", interpreter())
			e.Setenv("PYTHONPATH", python)
			return nil
		},
		Condition: func(name string) (bool, error) {
			probe := exec.Command(interpreter(), "-c", "import awaitd._wire")
			probe.Env = append(os.Environ(), "PYTHONPATH="+python)
			return name == "worker" && probe.Run() == nil, nil
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"occupy": occupy},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// occupy listens on a free port until the scenario ends, and puts the port into PORT and the next one into NEXT.
func occupy(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	port := l.Addr().(*net.TCPAddr).Port
	ts.Setenv("PORT", strconv.Itoa(port))
	ts.Setenv("NEXT", strconv.Itoa(port+1))
}

// interpreter is the Python that the scenarios' workers run on: PYTHON, or python3's own executable, so that no version manager's
// shim looks for its settings in a scenario's folder.
func interpreter() string {
	if path := os.Getenv("PYTHON"); path != "" {
		return path
	}
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable, end='')").Output()
	if err != nil {
		return "python3"
	}
	return string(out)
}
