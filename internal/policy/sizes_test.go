package policy

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// Sizes at which one looks again. An exception says why it is better as it is.
const (
	maxFileLines     = 600
	maxCFileLines    = 500
	maxFunctionLines = 80
	maxPackageFiles  = 15
)

func longFiles(all []source) findings {
	found := findings{}
	for _, s := range all {
		if n := s.lines(); n > maxFileLines {
			found.add(s.path, fmt.Sprintf("%d lines", n))
		}
	}
	return found
}

func longFunctions(all []source) findings {
	found := findings{}
	for _, s := range all {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.isTest() {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > maxFunctionLines {
				found.add(s.path+": "+f.Name.Name, fmt.Sprintf("%d lines", n))
			}
		}
	}
	return found
}

func largePackages(all []source) findings {
	count := map[string]int{}
	for _, s := range all {
		if !s.isTest() && !strings.HasSuffix(s.path, "_darwin.go") { // the twin of a _linux.go
			count[s.dir()]++
		}
	}
	found := findings{}
	for dir, n := range count {
		if n > maxPackageFiles {
			found.add(dir, fmt.Sprintf("%d files", n))
		}
	}
	return found
}

func TestNothingIsTooLarge(t *testing.T) {
	all := repository(t)
	t.Run("files", func(t *testing.T) { judge(t, longFiles(all), nil) })
	t.Run("functions", func(t *testing.T) { judge(t, longFunctions(all), nil) })
	t.Run("packages", func(t *testing.T) { judge(t, largePackages(all), nil) })
	lines := func(n int) string { return strings.Repeat("\n", n) }
	breaks(t, longFiles, map[string]string{"internal/a/x.go": "package a" + lines(601)}, map[string]string{"internal/a/x.go": "package a" + lines(600)})
	breaks(t, longFunctions, map[string]string{"internal/a/x.go": "package a\nfunc f() {" + lines(80) + "}"},
		map[string]string{"internal/a/x.go": "package a\nfunc f() {" + lines(79) + "}"})
	many := map[string]string{}
	for i := range maxPackageFiles + 1 {
		many[fmt.Sprintf("internal/a/x%d.go", i)] = "package a"
	}
	if len(largePackages(parse(t, many))) != 1 {
		t.Error("a package of 16 files is not seen")
	}
}

func TestNoFileOfTheWorkerIsTooLong(t *testing.T) {
	found := findings{}
	for name, text := range texts(t, ".c", ".h", ".py") {
		limit := maxCFileLines
		if strings.HasSuffix(name, ".py") {
			limit = maxFileLines
		}
		if n := strings.Count(text, "\n"); n > limit {
			found.add(name, fmt.Sprintf("%d lines", n))
		}
	}
	judge(t, found, nil)
}
