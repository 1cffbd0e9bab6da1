package policy

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// direction says who may import whom: in "a, b < c", c may import a and b, and all that they may import. What is not said is
// not allowed: no protocol imports dispatch, and dispatch imports no protocol.
const direction = `
	exchange < http1, http2, websocket, proxyproto;
	exchange < wire, listen, telemetry, reactor;
	http1 < forwarded, cgi;
	http1, http2, websocket, proxyproto, cgi, forwarded, telemetry, reactor < web;
	proxyproto, forwarded, telemetry, reactor < stream;
	stream, smtp < mail;
	telemetry, reactor < datagram;
	fault, account < config;
	fault, wire, telemetry, listen, systemd, message < worker < dispatch < pool;
	wire, message, client, certs < outbound;
	fault, listen < control < cli;
	everything < server;
	config < cli;
	server, cli < cmd/awaitd;
	config < tools/gendocs;
	wscases < tools/wscases;
`

const module = "github.com/awaitd/awaitd/"

// standAlone are packages that import nothing of ours: clients that load a server are programs of their own.
var standAlone = []string{"exchange", "fault", "account", "systemd", "upgrade", "bench/load", "bench/talk", "bench/origin", "tools/ledger", "wscases", "policy", "smtp", "certs", "client", "message"}

// order is direction, parsed: what each package may import.
type order map[string]map[string]bool

func parseDirection(text string, packages []string) order {
	o := order{}
	for clause := range strings.SplitSeq(text, ";") {
		groups := strings.Split(clause, "<")
		for i := 1; i < len(groups); i++ {
			for _, to := range names(groups[i], nil) {
				if o[to] == nil {
					o[to] = map[string]bool{}
				}
				for _, from := range names(groups[i-1], packages) {
					o[to][from] = true
				}
			}
		}
	}
	for changed := true; changed; { // what they may import, too
		changed = false
		for _, may := range o {
			for from := range may {
				for further := range o[from] {
					if !may[further] {
						may[further], changed = true, true
					}
				}
			}
		}
	}
	return o
}

// names splits a group; "everything" is all packages below the server.
func names(group string, packages []string) []string {
	var list []string
	for name := range strings.SplitSeq(group, ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
		case "everything":
			for _, p := range packages {
				if !slices.Contains([]string{"server", "cli", "policy"}, p) && !strings.Contains(p, "/") {
					list = append(list, p)
				}
			}
		default:
			list = append(list, name)
		}
	}
	return list
}

// short is a package's name in direction.
func short(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "internal/")
}

type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func goList(t *testing.T, system string, arguments ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports"}, arguments...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = "../..", append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
}

// wrongImports lists the imports that o does not allow.
func (o order) wrongImports(packages []listed) []string {
	var wrong []string
	for _, p := range packages {
		for _, i := range p.Imports {
			if strings.HasPrefix(i, module) && !o[short(p.ImportPath)][short(i)] {
				wrong = append(wrong, short(p.ImportPath)+" imports "+short(i))
			}
		}
	}
	return wrong
}

func TestImportsHaveOneDirection(t *testing.T) {
	for _, system := range []string{"linux", "darwin"} {
		packages := goList(t, system, "./...")
		var all []string
		for _, p := range packages {
			all = append(all, short(p.ImportPath))
		}
		o := parseDirection(direction, all)
		for _, wrong := range o.wrongImports(packages) {
			t.Errorf("%s: %s", system, wrong)
		}
		for _, p := range all {
			if o[p] == nil && !slices.Contains(standAlone, p) {
				t.Errorf("%s has no place in direction", p)
			}
		}
	}
}

func TestTheDirectionIsEnforced(t *testing.T) {
	o := parseDirection("a < b < c; everything < server < cli", []string{"a", "b", "c", "server", "cli"})
	in := func(from string, to ...string) listed {
		l := listed{ImportPath: module + "internal/" + from}
		for _, p := range to {
			l.Imports = append(l.Imports, module+"internal/"+p)
		}
		return l
	}
	if wrong := o.wrongImports([]listed{in("b", "a"), in("c", "a", "b"), in("server", "a", "c"), in("cli", "server", "a")}); len(wrong) != 0 {
		t.Errorf("refused: %v", wrong)
	}
	if wrong := o.wrongImports([]listed{in("a", "b"), in("b", "c"), in("c", "server"), in("server", "cli")}); len(wrong) != 4 {
		t.Errorf("found only %v", wrong)
	}
	for p, may := range parseDirection(direction, nil) {
		if may[p] {
			t.Errorf("direction goes in a circle at %s", p)
		}
	}
}

// pure are the packages without input, output or time: what they may not import.
var (
	pure    = []string{"internal/exchange", "internal/http1", "internal/http2", "internal/websocket", "internal/proxyproto", "internal/cgi", "internal/forwarded", "internal/smtp"}
	impure  = []string{"net", "net/http", "os", "os/exec", "syscall", "time", "sync", "context", "golang.org/x/sys/unix"}
	impures = func(all []source) findings {
		found := findings{}
		for _, s := range all {
			for _, i := range s.file.Imports {
				if p := strings.Trim(i.Path.Value, `"`); !s.isTest() && slices.Contains(pure, s.dir()) && slices.Contains(impure, p) {
					found.add(s.path, "an engine imports "+p)
				}
			}
		}
		return found
	}
)

func TestEnginesAreSansIO(t *testing.T) {
	judge(t, impures(repository(t)), nil)
	breaks(t, impures, map[string]string{"internal/http1/x.go": "package http1\nimport _ \"time\""},
		map[string]string{"internal/http1/x_test.go": "package http1\nimport _ \"time\"", "internal/reactor/x.go": "package reactor\nimport _ \"time\""})
}

// tools are modules that tests and checks use; the binary must not.
var tools = []string{"honnef.co/", "mvdan.cc/", "github.com/rogpeppe/go-internal", "golang.org/x/tools", "testing"}

func TestTheBinaryHoldsNoTool(t *testing.T) {
	for _, p := range goList(t, "linux", "-deps", "./cmd/awaitd") {
		for _, tool := range tools {
			if p.ImportPath == path.Clean(tool) || strings.HasPrefix(p.ImportPath, tool+"/") || (strings.HasSuffix(tool, "/") && strings.HasPrefix(p.ImportPath, tool)) {
				t.Errorf("the binary holds %s", p.ImportPath)
			}
		}
	}
}
