package policy

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// privilege is something that only some packages may do.
type privilege struct {
	name    string
	what    func(name string) bool // of path.Name
	folders []string               // that may
	except  map[string]string      // file → reason
}

var (
	listening = regexp.MustCompile(`^net\.(Listen([A-Z]\w*)?|FileListener)$|^net/http\.(ListenAndServe|Serve)|\bunix\.(Listen|Bind)$|^syscall\.(Listen|Bind)$`)
	printing  = regexp.MustCompile(`^fmt\.Print|^os\.(Stdout|Stderr|Exit)$|^log\.`)
)

var privileges = []privilege{
	{"run programs", func(n string) bool { return strings.HasPrefix(n, "os/exec.") }, []string{"internal/worker", "internal/upgrade", "internal/tools"}, nil},
	{"open listeners", listening.MatchString, []string{"bench/origin", "internal/listen"}, nil},
	{"print, or end the process", printing.MatchString, []string{"internal/cli", "cmd/awaitd", "internal/tools", "bench/load", "bench/talk", "bench/origin"}, map[string]string{
		"internal/server/run.go": "a second signal ends the process whatever goroutine is stuck; returning would wait for it",
	}},
}

// trespasses lists who does what only others may. Tests may.
func (p privilege) trespasses(all []source) findings {
	found := findings{}
	for _, s := range all {
		if s.isTest() || slices.ContainsFunc(p.folders, func(f string) bool { return s.dir() == f || strings.HasPrefix(s.dir(), f+"/") }) {
			continue
		}
		s.uses(func(name string, line int) {
			if p.what(name) {
				found.add(s.path, fmt.Sprintf("line %d uses %s: it is not among those that may %s", line, name, p.name))
			}
		})
	}
	return found
}

func TestOnlySomePackagesMay(t *testing.T) {
	all := repository(t)
	for _, p := range privileges {
		t.Run(p.name, func(t *testing.T) { judge(t, p.trespasses(all), p.except) })
	}
	breaks(t, privileges[0].trespasses, map[string]string{"internal/pool/x.go": "package pool\nimport \"os/exec\"\nvar _ = exec.Command"},
		map[string]string{"internal/worker/x.go": "package worker\nimport \"os/exec\"\nvar _ = exec.Command"})
	breaks(t, privileges[1].trespasses, map[string]string{
		"internal/reactor/x.go": "package reactor\nimport \"net\"\nvar _, _ = net.Listen(``, ``)",
		"internal/server/x.go":  "package server\nimport \"golang.org/x/sys/unix\"\nvar _ = unix.Listen(1, 1)",
	}, map[string]string{"internal/listen/x.go": "package listen\nimport \"net\"\nvar _, _ = net.Listen(``, ``)"})
	breaks(t, privileges[2].trespasses, map[string]string{
		"internal/pool/x.go":  "package pool\nimport \"fmt\"\nfunc f() { fmt.Println() }",
		"internal/wire/x.go":  "package wire\nimport \"os\"\nfunc f() { os.Exit(1) }",
		"internal/wire/y.go":  "package wire\nimport \"log\"\nfunc f() { log.Fatal(1) }",
		"internal/http1/x.go": "package http1\nimport o \"os\"\nvar w = o.Stderr",
	}, map[string]string{"internal/pool/x.go": "package pool\nimport \"fmt\"\nfunc f() string { return fmt.Sprint() }"})
}

// initialisers lists init functions: what a package needs to do, its user calls.
func initialisers(all []source) findings {
	found := findings{}
	for _, s := range all {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !s.isTest() {
				found.add(s.path, "has an init function")
			}
		}
	}
	return found
}

func TestNobodyRegistersInInit(t *testing.T) {
	judge(t, initialisers(repository(t)), nil)
	breaks(t, initialisers, map[string]string{"internal/a/x.go": "package a\nfunc init() {}"},
		map[string]string{"internal/a/x.go": "package a\ntype t int\nfunc (t) init() {}"})
}

// mutations lists package variables that a function changes, or takes the address of.
func mutations(all []source) findings {
	found := findings{}
	variables := map[string]bool{} // folder.name
	for _, s := range all {
		for _, d := range s.file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR && !s.isTest() {
				for _, spec := range g.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						variables[s.dir()+"."+name.Name] = true
					}
				}
			}
		}
	}
	for _, s := range all {
		if s.isTest() {
			continue
		}
		changed := func(e ast.Expr) {
			if name := rootOf(e); name != nil && variables[s.dir()+"."+name.Name] && isGlobal(s, name) {
				found.add(s.dir()+"."+name.Name, fmt.Sprintf("%s changes it in line %d", s.path, s.set.Position(e.Pos()).Line))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						changed(e)
					}
				}
			case *ast.IncDecStmt:
				changed(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					changed(n.X)
				}
			}
			return true
		})
	}
	return found
}

// rootOf is the variable that a place belongs to: x of x.f[i].
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isGlobal says whether a name is not one of a function's own: the parser resolves those.
func isGlobal(s source, name *ast.Ident) bool {
	if name.Obj == nil {
		return true
	}
	return s.file.Scope.Objects[name.Name] == name.Obj
}

func TestPackageVariablesDoNotChange(t *testing.T) {
	judge(t, mutations(repository(t)), map[string]string{
		"internal/config.Table": "its rows are handed out by address, and read",
		"internal/cli.actions":  "its rows are handed out by address, and read",
	})
	breaks(t, mutations, map[string]string{
		"internal/a/assigned.go": "package a\nvar v int\nfunc f() { v = 1 }",
		"internal/a/counted.go":  "package a\nvar v int\nfunc f() { v++ }",
		"internal/a/entry.go":    "package a\nvar v = map[int]int{}\nfunc f() { v[1] = 1 }",
		"internal/a/field.go":    "package a\nvar v struct{ a int }\nfunc f() { v.a += 1 }",
		"internal/a/address.go":  "package a\nvar v int\nfunc f() *int { return &v }",
	}, map[string]string{
		"internal/a/read.go":  "package a\nvar v = 1\nfunc f() int { return v }",
		"internal/a/local.go": "package a\nvar v = 1\nfunc f() { v := 2; v = 3; _ = v }",
	})
}

// vagueNames are packages that tell nothing by their name.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "shared"}

func vaguePackages(all []source) findings {
	found := findings{}
	for _, s := range all {
		if name := path.Base(s.dir()); slices.Contains(vagueNames, name) || slices.Contains(vagueNames, s.file.Name.Name) {
			found.add(s.dir(), "a name that says nothing")
		}
	}
	return found
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	judge(t, vaguePackages(repository(t)), nil)
	breaks(t, vaguePackages, map[string]string{"internal/util/x.go": "package util"}, map[string]string{"internal/wire/x.go": "package wire"})
}

// wrongWords are never the names of anything: the field says server and pool.
var wrongWords = regexp.MustCompile(`(?i)master|arbiter`)

func wronglyNamed(all []source) findings {
	found := findings{}
	for _, s := range all {
		if wrongWords.MatchString(s.path) {
			found.add(s.path, "the file's name")
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if i, ok := n.(*ast.Ident); ok && wrongWords.MatchString(i.Name) {
				found.add(s.path, "the name "+i.Name)
			}
			return true
		})
	}
	return found
}

func TestNothingHasAWordThatTheFieldGaveUp(t *testing.T) {
	judge(t, wronglyNamed(repository(t)), nil)
	breaks(t, wronglyNamed, map[string]string{"internal/pool/x.go": "package pool\nfunc startMaster() {}"},
		map[string]string{"internal/pool/x.go": "package pool\n// not a master\nfunc start() {}"})
}

// undocumented lists packages whose purpose no file states.
func undocumented(all []source) findings {
	found := findings{}
	for _, s := range all {
		if !s.isTest() {
			found.add(s.dir(), "has no package comment")
		}
	}
	for _, s := range all {
		if !s.isTest() && s.file.Doc != nil {
			delete(found, s.dir())
		}
	}
	return found
}

func TestEveryPackageStatesItsPurpose(t *testing.T) {
	judge(t, undocumented(repository(t)), nil)
	breaks(t, undocumented, map[string]string{"internal/a/x.go": "package a"}, map[string]string{"internal/a/x.go": "// Package a does.\npackage a"})
}
