package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/awaitd/awaitd/internal/fault"
)

// Input is where settings come from.
type Input struct {
	Flags   []FlagValue // in the order they were typed
	Environ []string    // "NAME=value"
	Dir     string      // the folder the command was started in

	NeedTarget bool // it is a problem if no application is named
}

// FlagValue is one flag with its value, or the positional target.
type FlagValue struct {
	Setting *Setting
	Text    string
	Typed   string // the flag as it was typed, for messages
}

// Loaded is the settings with where each came from.
type Loaded struct {
	Config  *Config
	Entries []Entry // in the order of the Table
}

// Entry shows one setting.
type Entry struct {
	Setting *Setting
	Value   string
	Source  string // "--port", "AWAITD_PORT", "awaitd.toml:3", "default"
}

// rank is how much a source counts.
type rank int

const (
	byDefault rank = iota
	byFile
	byEnvironment
	byFlag
)

// given is what one source says about one setting.
type given struct {
	setting *Setting
	rank    rank
	texts   []string
	label   string // begins a message about it
	source  string // tells where it is
	base    string // the folder that its relative paths start in; empty: the working folder
}

// givens is what one source, or all together, say: by the settings' names.
type givens map[string]*given

// loader collects what the sources say and what is wrong with it.
type loader struct {
	dir      string // working folder
	flags    givens
	given    givens            // the winners
	sources  map[string]string // where a setting that nobody gave comes from, if not from its default
	problems []error

	addressed bool // somebody says where to listen
}

// Load reads every source and returns the settings, or all the problems there are, joined: each is a *fault.Fault.
func Load(in Input) (*Loaded, error) {
	l := &loader{flags: flagGivens(in.Flags), sources: map[string]string{}}
	l.enterDir(in)
	environ := parseEnviron(in.Environ)
	file, path := l.readFile(environ)
	extra := l.readEnvFiles(environ, file)
	l.nearVariables(environ)
	l.choose(file, l.environGivens(environ, extra), l.flags)
	l.chooseAddress()

	c := l.fill()
	c.Launched, c.Dir, c.File = in.Dir, l.dir, path
	c.Environ = append(extra.list(), c.Env...)
	c.Addressed = l.addressed
	if path != "" {
		l.sources["config"] = "found"
	}
	l.resolve(c)
	l.checkTogether(c)
	if in.NeedTarget {
		l.checkTargets(c)
	}
	if len(l.problems) > 0 {
		return nil, errors.Join(l.problems...)
	}
	return &Loaded{Config: c, Entries: l.entries(c)}, nil
}

// problem notes what is wrong; label says where.
func (l *loader) problem(label, what, hint string) {
	if label != "" {
		what = label + ": " + what
	}
	l.problems = append(l.problems, &fault.Fault{Problem: what, Hint: hint, Code: fault.Usage})
}

// problemErr notes err, one problem for each error that it joins.
func (l *loader) problemErr(label string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			l.problemErr(label, e)
		}
		return
	}
	hint := ""
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		hint = f.Hint
	}
	l.problem(label, err.Error(), hint)
}

// path returns where a path that a setting names is.
func (l *loader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.dir, name)
}

func flagGivens(flags []FlagValue) givens {
	g := givens{}
	for _, f := range flags {
		before := g[f.Setting.Name]
		if before != nil && f.Setting.Shape().List {
			before.texts = append(before.texts, f.Text)
			continue
		}
		source := f.Typed
		if f.Setting.Positional {
			source = "argument"
		}
		g[f.Setting.Name] = &given{setting: f.Setting, rank: byFlag, texts: []string{f.Text}, label: f.Typed, source: source}
	}
	return g
}

// early returns what is said about a setting that is needed before all sources are read, by those known so far.
func (l *loader) early(name string, environ variables, file givens) *given {
	if g := l.flags[name]; g != nil {
		return g
	}
	if g := environ.given(ByName(name)); g != nil {
		return g
	}
	return file[name]
}

// earlyText returns the text of a setting that is needed before all sources are read; empty if nobody says anything.
func (l *loader) earlyText(name string, environ variables) (text, label string) {
	if g := l.early(name, environ, nil); g != nil {
		return last(g.texts), g.label
	}
	return "", ""
}

func (l *loader) enterDir(in Input) {
	l.dir = in.Dir
	dir, label := l.earlyText("chdir", parseEnviron(in.Environ))
	if dir == "" {
		return
	}
	l.dir = l.path(dir)
	if err := isFolder(l.dir); err != nil {
		l.problem(label, fmt.Sprintf("can't change to `%s`: %v", dir, err), "")
	}
}

// choose keeps for each setting what the last of the sources that name it says.
func (l *loader) choose(sources ...givens) {
	l.given = givens{}
	for _, source := range sources {
		maps.Copy(l.given, source)
	}
}

// fill makes a Config of what was given.
func (l *loader) fill() *Config {
	c := Default()
	for i := range Table {
		s := &Table[i]
		g := l.given[s.Name]
		if g == nil {
			continue
		}
		path := s.Shape().Path
		texts := make([]string, len(g.texts))
		for i, t := range g.texts {
			texts[i] = path.rebase(g.base, t)
		}
		if err := s.Value(c).Set(texts...); err != nil {
			l.problemErr(g.label, withServiceHint(g, err))
		}
	}
	return c
}

// resolve replaces what stands for something else.
func (l *loader) resolve(c *Config) {
	name, target := splitInterface(c.Target)
	if name != "" && l.given["interface"] != nil && c.Interface != name && c.Interface != "auto" {
		l.problem("", fmt.Sprintf("`%s` and interface `%s` contradict each other", c.Target, c.Interface), "leave one of them out")
	}
	if name != "" {
		c.Interface, c.Target = name, target
	}
	l.mergePatterns(c)
	resolveCounts(c)
}

// Patterns that are watched, and not watched, unless the opposite is asked for.
const (
	defaultIncludes = "*.py"
	defaultExcludes = ".*,.py[cod],.sw.*,~*"
)

// mergePatterns adds the default patterns that the opposite list does not name, as uvicorn does.
func (l *loader) mergePatterns(c *Config) {
	includes, excludes := l.asked("reload-include", c.ReloadIncludes), l.asked("reload-exclude", c.ReloadExcludes)
	c.ReloadIncludes = withDefaults(defaultIncludes, includes, excludes)
	c.ReloadExcludes = withDefaults(defaultExcludes, excludes, includes)
}

// asked returns a list unless it is only the default.
func (l *loader) asked(name string, list []string) []string {
	if l.given[name] == nil {
		return nil
	}
	return list
}

func withDefaults(defaults string, asked, opposite []string) []string {
	var merged []string
	for d := range strings.SplitSeq(defaults, ",") {
		if !slices.Contains(opposite, d) && !slices.Contains(asked, d) {
			merged = append(merged, d)
		}
	}
	return append(merged, asked...)
}

func (l *loader) entries(c *Config) []Entry {
	entries := make([]Entry, 0, len(Table))
	for i := range Table {
		s := &Table[i]
		entries = append(entries, Entry{Setting: s, Value: l.show(s, c), Source: l.source(s)})
	}
	return entries
}

// show returns a setting's value, with the word it was made from if it was one.
func (l *loader) show(s *Setting, c *Config) string {
	value := s.Value(c).String()
	if s.Secret && value != "" {
		return "(not shown)"
	}
	asked := s.Default
	if g := l.given[s.Name]; g != nil {
		asked = last(g.texts)
	}
	if strings.EqualFold(asked, "auto") && value != strings.ToLower(asked) {
		return value + " (auto)"
	}
	return value
}

func (l *loader) source(s *Setting) string {
	if g := l.given[s.Name]; g != nil {
		return g.source
	}
	if source := l.sources[s.Name]; source != "" {
		return source
	}
	return "default"
}
