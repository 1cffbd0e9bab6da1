package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/awaitd/awaitd/internal/account"
)

// boolean is yes or no.
type boolean struct{ field *bool }

func (v boolean) Set(texts ...string) error {
	switch strings.ToLower(last(texts)) {
	case "true", "yes", "on", "1":
		*v.field = true
	case "false", "no", "off", "0":
		*v.field = false
	default:
		return must("true or false", last(texts))
	}
	return nil
}

func (v boolean) String() string { return strconv.FormatBool(*v.field) }

func (v boolean) Shape() Shape {
	return Shape{Type: "boolean", Bool: true, Schema: map[string]any{"type": "boolean"}}
}

// choice is one of some words; open, if there is one, allows and describes others.
type choice struct {
	field *string
	words []string
	also  map[string]string // other spellings of them
	open  *openChoice
}

type openChoice struct {
	what    string
	matches func(string) bool
}

func (v choice) Set(texts ...string) error {
	text := last(texts)
	word := strings.ToLower(text)
	if meant, ok := v.also[word]; ok {
		word = meant
	}
	if slices.Contains(v.words, word) {
		*v.field = word
		return nil
	}
	if v.open != nil && v.open.matches(text) {
		*v.field = text
		return nil
	}
	return must(v.allowed(), text)
}

func (v choice) allowed() string {
	words := v.words
	if v.open != nil {
		words = append(slices.Clone(words), v.open.what)
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " or " + words[n]
}

func (v choice) String() string { return *v.field }

func (v choice) Shape() Shape {
	if v.open != nil {
		return Shape{Type: v.allowed(), Choices: v.words, Open: true, Schema: map[string]any{"type": "string"}}
	}
	return Shape{Type: "one of " + strings.Join(v.words, ", "), Choices: v.words, Schema: map[string]any{"enum": v.words}}
}

// text is any text that check, if there is one, lets pass: it returns what the text must be, or nothing.
type text struct {
	field *string
	path  PathKind
	check func(string) error
}

func (v text) Set(texts ...string) error {
	t := last(texts)
	if v.check != nil {
		if err := v.check(t); err != nil {
			return err
		}
	}
	*v.field = t
	return nil
}

func (v text) String() string { return *v.field }

func (v text) Shape() Shape {
	return Shape{Type: v.path.typeName(), Path: v.path, Schema: map[string]any{"type": "string"}}
}

func (k PathKind) typeName() string {
	return [...]string{NoPath: "text", File: "file", Folder: "folder", Program: "program", FileOrNone: "file or none"}[k]
}

// list is some texts, each let pass by check; in one variable they are separated by split.
type list struct {
	field *[]string
	split string
	inner bool // a flag's value is split, too, as the peers' flags are
	path  PathKind
	check func(string) error
}

func (v list) Set(texts ...string) error {
	items := make([]string, 0, len(texts))
	var wrong []error
	if v.inner {
		texts = strings.Split(strings.Join(texts, v.split), v.split)
	}
	for _, t := range texts {
		t = strings.TrimSpace(t)
		if v.check != nil {
			wrong = append(wrong, v.check(t))
		}
		items = append(items, t)
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	*v.field = items
	return nil
}

func (v list) String() string { return strings.Join(*v.field, ", ") }

func (v list) Shape() Shape {
	item := map[string]any{"type": "string"}
	return Shape{
		Type: "list of " + map[PathKind]string{NoPath: "texts", File: "files", Folder: "folders"}[v.path],
		List: true, Split: v.split, Path: v.path,
		Schema: map[string]any{"anyOf": []any{item, map[string]any{"type": "array", "items": item}}},
	}
}

// owner is USER, USER:GROUP or :GROUP.
type owner struct{ field *account.Owner }

func (v owner) Set(texts ...string) error {
	name, group, both := strings.Cut(last(texts), ":")
	var o account.Owner
	var err error
	if both && group == "" || name == "" && !both {
		return must("USER, USER:GROUP or :GROUP", last(texts))
	}
	if name != "" {
		if o.User, err = findAccount("user", name, account.FindUser); err != nil {
			return err
		}
	}
	if both {
		if o.Group, err = findAccount("group", group, account.FindGroup); err != nil {
			return err
		}
	}
	*v.field = o
	return nil
}

func (v owner) String() string {
	if v.field.Group.Text == "" {
		return v.field.User.Text
	}
	return v.field.User.Text + ":" + v.field.Group.Text
}

func (v owner) Shape() Shape {
	return Shape{Type: "USER, USER:GROUP or :GROUP", Schema: map[string]any{"type": []string{"integer", "string"}}}
}

// findAccount finds a user or a group.
func findAccount(kind, text string, find func(string) (account.Account, error)) (account.Account, error) {
	a, err := find(text)
	if err == nil {
		return a, nil
	}
	err = must("the name or number of a "+kind, text)
	file := map[string]string{"user": "/etc/passwd", "group": "/etc/group"}[kind]
	return a, hinted(err, fmt.Sprintf("names are looked up in %s; name a %s that is kept elsewhere by its number", file, kind))
}

// person is a user or a group.
type person struct {
	field *account.Account
	kind  string
	find  func(string) (account.Account, error)
}

func (v person) Set(texts ...string) error {
	a, err := findAccount(v.kind, last(texts), v.find)
	if err == nil {
		*v.field = a
	}
	return err
}

func (v person) String() string { return v.field.Text }

func (v person) Shape() Shape {
	return Shape{Type: "name or number", Schema: map[string]any{"type": []string{"integer", "string"}}}
}
