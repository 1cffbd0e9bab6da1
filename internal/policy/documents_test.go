package policy

import (
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// declared lists the names of Go things: name, package.name, Type.name, package.Type.name, for functions, types, variables,
// constants, methods, fields and methods of interfaces.
func declared(all []source) map[string]bool {
	names := map[string]bool{}
	for _, s := range all {
		add := func(parts ...string) {
			for i := range parts {
				names[strings.Join(parts[i:], ".")] = true
			}
		}
		pkg := s.file.Name.Name
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(pkg, d.Name.Name)
				} else if t := rootOf(receiver(d)); t != nil {
					add(pkg, t.Name, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					addSpec(spec, pkg, add)
				}
			}
		}
	}
	return names
}

func receiver(d *ast.FuncDecl) ast.Expr { return d.Recv.List[0].Type }

func addSpec(spec ast.Spec, pkg string, add func(...string)) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			add(pkg, n.Name)
		}
	case *ast.TypeSpec:
		add(pkg, spec.Name.Name)
		var members *ast.FieldList
		switch t := spec.Type.(type) {
		case *ast.StructType:
			members = t.Fields
		case *ast.InterfaceType:
			members = t.Methods
		default:
			return
		}
		for _, f := range members.List {
			for _, n := range f.Names {
				add(pkg, spec.Name.Name, n.Name)
			}
		}
	}
}

var (
	backticked = regexp.MustCompile("`([^`\n]+)`")
	fenced     = regexp.MustCompile("(?s)```.*?```")
)

// unknown lists what a document names in backticks and nobody has: no file, no Go name, no word of the worker's sources.
func unknown(document string, repo fs.FS, names map[string]bool, worker map[string]string) []string {
	var missing []string
	for _, m := range backticked.FindAllStringSubmatch(fenced.ReplaceAllString(document, ""), -1) {
		if name := strings.TrimSuffix(m[1], "()"); !names[name] && !isFile(name, repo, worker) && !isWord(name, worker) {
			missing = append(missing, name)
		}
	}
	return missing
}

func isFile(name string, repo fs.FS, worker map[string]string) bool {
	if _, err := fs.Stat(repo, strings.TrimSuffix(name, "/")); err == nil {
		return true
	}
	for file := range worker {
		if strings.HasSuffix(file, "/"+name) {
			return true
		}
	}
	return false
}

func isWord(name string, worker map[string]string) bool {
	word := regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(name) + `($|\W)`)
	for _, text := range worker {
		if word.MatchString(text) {
			return true
		}
	}
	return false
}

func TestWhatTheArchitectureNamesExists(t *testing.T) {
	document, err := fs.ReadFile(root(), "ARCHITECTURE.md")
	if errors.Is(err, fs.ErrNotExist) {
		return // it has not been written yet
	}
	if err != nil {
		t.Fatal(err)
	}
	names := declared(repository(t))
	for _, name := range unknown(string(document), root(), names, texts(t, ".c", ".h", ".py")) {
		// Packages that stand for a folder, such as `tests`, are found as files; what is left is an error.
		if !names[name] {
			t.Errorf("ARCHITECTURE.md names `%s`, which is nowhere", name)
		}
	}
	if n := strings.Count(string(document), "\n"); n > 200 {
		t.Errorf("ARCHITECTURE.md has %d lines", n)
	}
	repo := fstest.MapFS{"internal/a/x.go": {}}
	worker := map[string]string{"python/awaitd/_wire/ring.c": "int ring_take(void);"}
	names = declared(parse(t, map[string]string{"internal/a/x.go": "package a\ntype T struct{ f int }\nfunc (t *T) M() {}\ntype I interface{ N() }\nconst c = 1"}))
	text := "`T`, `T.M`, `a.T.M`, `T.f`, `I.N`, `c`, `a.c`, `internal/a`, `ring.c`, `ring_take`\n```\n`not this`\n```\nbut `gone`, `T.Gone`, `internal/gone`, `gone.c`"
	if got := strings.Join(unknown(text, repo, names, worker), " "); got != "gone T.Gone internal/gone gone.c" {
		t.Errorf("the rule finds %q", got)
	}
}

// maxDecision is the most lines of a page under docs/decisions: context, choice, cost.
const maxDecision = 60

func longDecisions(repo fs.FS) findings {
	found := findings{}
	pages, _ := fs.Glob(repo, "docs/decisions/*.md")
	for _, page := range pages {
		text, err := fs.ReadFile(repo, page)
		if n := strings.Count(string(text), "\n"); err != nil || n > maxDecision {
			found.add(page, fmt.Sprintf("%d lines, %v", n, err))
		}
	}
	return found
}

func TestDecisionsFitAPage(t *testing.T) {
	judge(t, longDecisions(root()), nil)
	page := func(n int) fs.FS {
		return fstest.MapFS{"docs/decisions/0001-x.md": {Data: []byte(strings.Repeat("\n", n))}}
	}
	if len(longDecisions(page(61))) != 1 || len(longDecisions(page(60))) != 0 {
		t.Error("the rule does not count")
	}
}
