package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Files that are read without being asked for, in this order.
const (
	ownFile     = "awaitd.toml"
	projectFile = "pyproject.toml"
	projectKey  = "tool.awaitd."
)

// readFile reads the settings file, the one that --config names or the first that is found, and returns its path.
func (l *loader) readFile(environ variables) (givens, string) {
	if name, label := l.earlyText("config", environ); name != "" {
		return l.readNamed(name, label), name
	}
	folders := []string{"."}
	if dir, _ := l.earlyText("app-dir", environ); dir != "" {
		folders = append(folders, dir)
	}
	for _, folder := range folders {
		for _, base := range []string{ownFile, projectFile} {
			name := filepath.Join(folder, base)
			data, err := os.ReadFile(l.path(name))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if g, ok := l.parseFile(name, "", data, err); ok {
				return g, name
			}
		}
	}
	return nil, ""
}

// readNamed reads the file that --config names.
func (l *loader) readNamed(name, label string) givens {
	if hint := otherFormat(name); hint != "" {
		l.problem(label, fmt.Sprintf("`%s` is no TOML file", name), hint)
		return nil
	}
	data, err := os.ReadFile(l.path(name))
	g, ok := l.parseFile(name, label, data, err)
	if !ok {
		l.problem(label, fmt.Sprintf("`%s` has no table `tool.awaitd`", name), "")
	}
	return g
}

// otherFormat says what to do with a settings file of another server.
func otherFormat(name string) string {
	switch filepath.Ext(name) {
	case ".py":
		return "gunicorn's settings are Python, here they are TOML: `awaitd config --schema` lists the keys; most of its flags work as " +
			"they are"
	case ".ini", ".xml", ".yaml", ".yml", ".json":
		return "settings are TOML; `awaitd config --schema` lists the keys"
	}
	return ""
}

// parseFile returns what a file says. It is false for a pyproject.toml that says nothing about awaitd.
func (l *loader) parseFile(name, label string, data []byte, err error) (givens, bool) {
	if err != nil {
		l.problem(label, fmt.Sprintf("can't read `%s`: %v", name, reason(err)), "")
		return nil, true
	}
	if err := toml.Unmarshal(data, &map[string]any{}); err != nil {
		l.problem(syntaxError(name, err), strings.TrimPrefix(err.Error(), "toml: "), "")
		return nil, true
	}
	prefix := ""
	if filepath.Base(name) == projectFile {
		prefix = projectKey
	}
	keys, found := tomlKeys(data, prefix)
	g := givens{}
	for _, k := range keys {
		l.addKey(g, name, prefix, k)
	}
	return g, found || prefix == ""
}

// syntaxError returns where in a file an error is.
func syntaxError(name string, err error) string {
	if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, _ := d.Position()
		return fmt.Sprintf("%s:%d", name, row)
	}
	return name
}

// addKey notes what one key of a file says.
func (l *loader) addKey(g givens, file, prefix string, k tomlKey) {
	place := fmt.Sprintf("%s:%d", file, k.line)
	label := place + ": " + prefix + k.name
	s := byKey(k.name)
	switch {
	case s == nil:
		l.problem(label, "there is no such setting", nearKey(k.name))
	case k.list && !s.Shape().List:
		l.problem(label, "must be one value, got a list", "")
	case k.bad != "":
		l.problem(label, "must be "+s.Shape().Type+", got "+k.bad, "")
	default:
		base := filepath.Dir(file)
		if base == "." {
			base = ""
		}
		g[s.Name] = &given{setting: s, rank: byFile, texts: k.texts, label: label, source: place, base: base}
	}
}

// nearKey is a hint at the key that may have been meant: that of the flag it is called like, or one of a similar name.
func nearKey(name string) string {
	flag := strings.ReplaceAll(name[strings.LastIndexByte(name, '.')+1:], "_", "-")
	if s := ByFlag(flag); s != nil && s.Key != "" && len(flag) > 1 {
		return fmt.Sprintf("did you mean `%s`?", s.Key)
	}
	if s := ByName(flag); s != nil && s.Positional {
		return fmt.Sprintf("did you mean `%s`?", s.Key)
	}
	var keys []string
	for i := range Table {
		if Table[i].Key != "" {
			keys = append(keys, Table[i].Key)
		}
	}
	if near := Nearest(strings.ReplaceAll(name, "-", "_"), keys); near != "" {
		return fmt.Sprintf("did you mean `%s`?", near)
	}
	return ""
}
