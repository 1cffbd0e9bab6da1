package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

// source is one Go file of the repository.
type source struct {
	path string // from the root: internal/wire/ring.go
	text string
	file *ast.File
	set  *token.FileSet
}

func (s source) dir() string  { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }
func (s source) lines() int   { return strings.Count(s.text, "\n") }

// root is the repository, seen from this package.
func root() fs.FS { return os.DirFS("../..") }

// parse reads Go files; a test of a rule gives it some of its own.
func parse(t *testing.T, files map[string]string) []source {
	t.Helper()
	var all []source
	for name, text := range files {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{path: name, text: text, file: f, set: set})
	}
	return all
}

// goFolders hold this module's Go code.
var goFolders = []string{"cmd", "internal", "bench"}

// repository returns every Go file of the module, those for other systems included.
func repository(t *testing.T) []source {
	t.Helper()
	return parse(t, texts(t, ".go"))
}

// texts returns the files under goFolders, python and the root whose name ends with one of the given endings.
func texts(t *testing.T, endings ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, folder := range append([]string{"python"}, goFolders...) {
		err := fs.WalkDir(root(), folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if err == nil && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || d.Name() == "build") {
					return fs.SkipDir
				}
				return err
			}
			for _, ending := range endings {
				if strings.HasSuffix(name, ending) {
					text, err := fs.ReadFile(root(), name)
					files[name] = string(text)
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// findings are what a rule has found, by the place that an exception names.
type findings map[string]string

func (f findings) add(place, what string) { f[place] = what }

// judge compares findings with the exceptions to the rule: place → reason.
func judge(t *testing.T, found findings, allowed map[string]string) {
	t.Helper()
	for place, what := range found {
		if allowed[place] == "" {
			t.Errorf("%s: %s", place, what)
		}
	}
	for place := range allowed {
		if found[place] == "" {
			t.Errorf("%s needs no exception any more", place)
		}
	}
}

// breaks has a rule look at bad and good code, so that it is seen to fail, and to hold its peace.
func breaks(t *testing.T, rule func([]source) findings, bad, good map[string]string) {
	t.Helper()
	for name, text := range bad {
		if len(rule(parse(t, map[string]string{name: text}))) == 0 {
			t.Errorf("the rule does not see it:\n%s", text)
		}
	}
	for name, text := range good {
		if found := rule(parse(t, map[string]string{name: text})); len(found) != 0 {
			t.Errorf("the rule finds %v in\n%s", found, text)
		}
	}
}

// uses calls f with path.Name for each use of a name of an imported package, with the line.
func (s source) uses(f func(name string, line int)) {
	imported := map[string]string{}
	for _, i := range s.file.Imports {
		p := strings.Trim(i.Path.Value, `"`)
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		imported[name] = p
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && x.Obj == nil && imported[x.Name] != "" {
			f(imported[x.Name]+"."+sel.Sel.Name, s.set.Position(n.Pos()).Line)
		}
		return true
	})
}
