package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/awaitd/awaitd/internal/fault"
)

// variable is one environment variable.
type variable struct {
	name, value string
	label       string // begins a message about it: "PORT", ".env:3: PORT"
	source      string // "PORT", ".env:3"
}

// variables is an environment, in order; of a name that is there twice the later counts.
type variables []variable

func parseEnviron(environ []string) variables {
	vars := make(variables, 0, len(environ))
	for _, text := range environ {
		name, value, _ := strings.Cut(text, "=")
		vars = append(vars, variable{name: name, value: value, label: name, source: name})
	}
	return vars
}

func (v variables) find(name string) (variable, bool) {
	for _, found := range slices.Backward(v) {
		if found.name == name {
			return found, true
		}
	}
	return variable{}, false
}

// list returns the variables as os/exec takes them.
func (v variables) list() []string {
	var texts []string
	for _, found := range v {
		texts = append(texts, found.name+"="+found.value)
	}
	return texts
}

// given returns what the environment says about a setting. An empty variable says nothing.
func (v variables) given(s *Setting) *given {
	for _, name := range s.Variables() {
		found, ok := v.find(name)
		if !ok || found.value == "" {
			continue
		}
		return &given{setting: s, rank: byEnvironment, texts: s.split(found.value), label: found.label, source: found.source}
	}
	return nil
}

// withServiceHint explains AWAITD_PORT=tcp://10.0.0.1:80, which nobody wrote.
func withServiceHint(g *given, err error) error {
	if g.rank != byEnvironment || !strings.HasPrefix(last(g.texts), "tcp://") {
		return err
	}
	return fault.Usagef("%v", err).WithHint("Kubernetes sets it for a service named awaitd: rename the service, or set " +
		"`enableServiceLinks: false` in the pod")
}

// split returns the items of a list that is one text, else the text.
func (s *Setting) split(text string) []string {
	shape := s.Shape()
	if !shape.List {
		return []string{text}
	}
	var items []string
	for item := range strings.SplitSeq(text, shape.Split) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func (l *loader) environGivens(environ, extra variables) givens {
	all := slices.Concat(extra, environ)
	g := givens{}
	for i := range Table {
		s := &Table[i]
		if found := all.given(s); found != nil {
			g[s.Name] = found
		}
	}
	return g
}

// readEnvFiles returns the variables that the --env-file files add to the environment.
func (l *loader) readEnvFiles(environ variables, file givens) variables {
	files := l.early("env-file", environ, file)
	if files == nil {
		return nil
	}
	var extra variables
	for _, name := range files.texts {
		name = File.rebase(files.base, name)
		data, err := os.ReadFile(l.path(name))
		if err != nil {
			l.problem(files.label, fmt.Sprintf("can't read `%s`: %v", name, reason(err)), "")
			continue
		}
		vars, problems := parseEnvFile(name, string(data), slices.Concat(extra, environ))
		for _, p := range problems {
			l.problem(p.label, p.what, "")
		}
		extra = append(extra, l.usable(vars, environ)...)
	}
	l.nearVariables(extra)
	return extra
}

// usable drops variables that are set already, and refuses those that say where the settings are: it is too late for them.
func (l *loader) usable(vars, environ variables) variables {
	return slices.DeleteFunc(vars, func(v variable) bool {
		if _, set := environ.find(v.name); set {
			return true
		}
		s := byVariable(v.name)
		if s != nil && (s.Key == "" || s.Name == "env-file") {
			l.problem(v.label, "can't be set in an env file", "use `"+s.Flag()+"`")
		}
		return false
	})
}

// nearVariables refuses variables that are almost those of a setting. Others may be the application's own, or what Kubernetes
// sets for a service of this name.
func (l *loader) nearVariables(vars variables) {
	var names []string
	for i := range Table {
		names = append(names, Table[i].Variables()[0])
	}
	for _, v := range vars {
		if !strings.HasPrefix(v.name, Prefix) || byVariable(v.name) != nil {
			continue
		}
		if near := Nearest(v.name[len(Prefix):], trimPrefix(names)); near != "" {
			l.problem(v.label, "there is no such setting", fmt.Sprintf("did you mean `%s%s`?", Prefix, near))
		}
	}
}

func trimPrefix(names []string) []string {
	bare := make([]string, len(names))
	for i, n := range names {
		bare[i] = strings.TrimPrefix(n, Prefix)
	}
	return bare
}
