package config

import (
	"maps"
	"slices"
	"strings"
)

// Prefix of the environment variables.
const Prefix = "AWAITD_"

// Setting is one row of the Table.
type Setting struct {
	Name       string   // the flag without its dashes; the variable and the messages derive from it
	Short      string   // one-letter flag
	Aliases    []string // other flags, as peers call it
	Env        []string // variables besides AWAITD_<NAME>, which wins over them
	Key        string   // "table.key" in files; empty: not allowed there
	Positional bool     // given as an argument, not as a flag
	Arg        string   // what help calls the value
	Default    string   // as a user would write it; empty: none
	Unit       string   // of a bare number
	Prose      string   // what it does: one or two sentences
	Why        string   // why the default is what it is
	Group      Group
	Run        bool // `awaitd run` heeds it, too
	Secret     bool // its value is not shown
	Value      func(*Config) Value
}

// Group is a heading of the help and the reference page.
type Group string

// Groups, in the order they are shown.
const (
	Application Group = "Application"
	Address     Group = "Address"
	TLS         Group = "TLS"
	Proxies     Group = "Proxies"
	Workers     Group = "Workers"
	Development Group = "Development"
	Limits      Group = "Limits"
	Timeouts    Group = "Timeouts"
	WebSocket   Group = "WebSocket"
	Mail        Group = "Mail"
	Client      Group = "HTTP client"
	Logs        Group = "Logs"
	Headers     Group = "Headers"
	Process     Group = "Process"
	Sources     Group = "Settings"
)

// Groups lists the groups in the order they are shown.
var Groups = []Group{
	Application, Address, TLS, Proxies, Workers, Development, Limits, Timeouts, WebSocket, Mail, Client, Logs, Headers, Process, Sources,
}

// Flag returns the flag as it is typed: "--port"; for a positional setting, its argument's name.
func (s *Setting) Flag() string {
	if s.Positional {
		return s.Arg
	}
	return "--" + s.Name
}

// Variables returns the environment variables that set s, the one that wins first.
func (s *Setting) Variables() []string {
	name := Prefix + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
	return append([]string{name}, s.Env...)
}

// Shape returns what values s takes.
func (s *Setting) Shape() Shape { return s.Value(&Config{}).Shape() }

// ByFlag finds the setting of a long flag (without dashes; gunicorn's underscores count as dashes) or of a one-letter flag.
func ByFlag(name string) *Setting {
	name = strings.ReplaceAll(name, "_", "-")
	return find(func(s *Setting) bool {
		return !s.Positional && (s.Name == name || slices.Contains(s.Aliases, name) || s.Short != "" && s.Short == name)
	})
}

// ByName finds a setting by its Name.
func ByName(name string) *Setting {
	return find(func(s *Setting) bool { return s.Name == name })
}

// byVariable finds the setting of an environment variable.
func byVariable(name string) *Setting {
	return find(func(s *Setting) bool { return slices.Contains(s.Variables(), name) })
}

// byKey finds the setting of a key in a file; dashes count as underscores.
func byKey(key string) *Setting {
	key = strings.ReplaceAll(key, "-", "_")
	return find(func(s *Setting) bool { return s.Key != "" && s.Key == key })
}

func find(match func(*Setting) bool) *Setting {
	for i := range Table {
		if match(&Table[i]) {
			return &Table[i]
		}
	}
	return nil
}

// Schema returns the JSON Schema of a settings file, for editors.
func Schema() map[string]any {
	tables := map[string]any{}
	for i := range Table {
		s := &Table[i]
		table, key, ok := strings.Cut(s.Key, ".")
		if !ok {
			continue
		}
		properties, known := tables[table].(map[string]any)
		if !known {
			properties = map[string]any{}
			tables[table] = properties
		}
		properties[key] = s.schema()
	}
	for name, properties := range tables {
		tables[name] = object(properties)
	}
	schema := object(tables)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "awaitd.toml"
	return schema
}

func object(properties any) map[string]any {
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// schema is the shape of a setting's value with its description and default.
func (s *Setting) schema() map[string]any {
	schema := map[string]any{"description": s.Prose}
	shape := s.Shape()
	maps.Copy(schema, shape.Schema)
	switch {
	case s.Default == "":
	case shape.Bool:
		schema["default"] = s.Default == "true"
	case shape.List:
		schema["default"] = s.split(s.Default)
	default:
		schema["default"] = s.Default
	}
	return schema
}
