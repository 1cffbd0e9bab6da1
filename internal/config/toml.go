package config

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlKey is one key of a TOML document with its line. Values are kept as a user would type them at a flag, so that files,
// variables and flags are read by the same code.
type tomlKey struct {
	name  string // dotted
	line  int
	list  bool
	texts []string
	bad   string // what the value is, if no setting can be that
}

// tomlKeys lists the keys of a correct document that begin with prefix, without it, and tells whether there is such a table.
func tomlKeys(data []byte, prefix string) (keys []tomlKey, found bool) {
	w := &tomlWalk{data: data}
	w.parser.Reset(data)
	table := ""
	for w.parser.NextExpression() {
		node := w.parser.Expression()
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			name, _ := w.key(node)
			table = name + "."
			found = found || strings.HasPrefix(table, prefix)
		case unstable.KeyValue:
			w.add(table, node)
		}
	}
	for _, k := range w.keys {
		if name, ok := strings.CutPrefix(k.name, prefix); ok {
			k.name = name
			keys = append(keys, k)
		}
	}
	return keys, found || len(keys) > 0
}

type tomlWalk struct {
	parser unstable.Parser
	data   []byte
	keys   []tomlKey
}

// key returns the dotted key of a node and its line.
func (w *tomlWalk) key(node *unstable.Node) (name string, line int) {
	var parts []string
	for it := node.Key(); it.Next(); {
		part := it.Node()
		line = 1 + bytes.Count(w.data[:part.Raw.Offset], []byte("\n"))
		parts = append(parts, string(part.Data))
	}
	return strings.Join(parts, "."), line
}

// add notes a key, or those of the table that is its value.
func (w *tomlWalk) add(table string, node *unstable.Node) {
	name, line := w.key(node)
	value := node.Value()
	if value.Kind == unstable.InlineTable {
		for it := value.Children(); it.Next(); {
			w.add(table+name+".", it.Node())
		}
		return
	}
	k := tomlKey{name: table + name, line: line, list: value.Kind == unstable.Array}
	if !k.list {
		k.addText(value)
	}
	for it := value.Children(); k.list && it.Next(); {
		k.addText(it.Node())
	}
	w.keys = append(w.keys, k)
}

func (k *tomlKey) addText(value *unstable.Node) {
	switch value.Kind {
	case unstable.String, unstable.Bool:
		k.texts = append(k.texts, string(value.Data))
	case unstable.Integer, unstable.Float:
		k.texts = append(k.texts, strings.ReplaceAll(string(value.Data), "_", ""))
	case unstable.Array:
		k.bad = "a list in a list"
	case unstable.InlineTable:
		k.bad = "a table in a list"
	case unstable.Comment:
	default:
		k.bad = "a date or time"
	}
}
