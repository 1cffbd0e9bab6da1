package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/awaitd/awaitd/internal/fault"
)

// Value joins a setting to its field in a Config: it reads what a user writes, checks its limits, and shows it again.
type Value interface {
	// Set reads texts, of which only a list takes more than one: the last counts for all others. Its error is what the value
	// must be and what it is: "must be 0 to 65535, got 99999".
	Set(texts ...string) error
	// String shows the field.
	String() string
	// Shape tells what the value may be.
	Shape() Shape
}

// Shape is what a value may be, for help, completion, the reference page and the JSON Schema.
type Shape struct {
	Type    string   // "whole number", "duration", …
	Limits  string   // "0 to 65535"
	Choices []string // all that is allowed, or with Open the words among it
	Open    bool
	Bool    bool
	List    bool
	Split   string // what separates the items of a list in a variable
	Path    PathKind
	Schema  map[string]any // JSON Schema
}

// PathKind says what a value names in the file system.
type PathKind int

// Kinds of path.
const (
	NoPath     PathKind = iota
	File                // a file
	Folder              // a folder
	Program             // a path only if it has a slash, else looked up in PATH
	FileOrNone          // a file, or the word none
)

// rebase returns the path text as seen from where base is seen.
func (k PathKind) rebase(base, text string) string {
	bare := k == Program && !strings.ContainsRune(text, filepath.Separator) || k == FileOrNone && text == "none"
	if k == NoPath || bare || base == "" || filepath.IsAbs(text) {
		return text
	}
	return filepath.Join(base, text)
}

func must(what string, got any) error {
	if text, ok := got.(string); ok {
		if text == "" {
			return fmt.Errorf("must be %s, got nothing", what)
		}
		return fmt.Errorf("must be %s, got `%s`", what, text)
	}
	return fmt.Errorf("must be %s, got %v", what, got)
}

// hinted adds what to do about a mistake.
func hinted(err error, hint string) error {
	return &fault.Fault{Problem: err.Error(), Hint: hint, Code: fault.Usage}
}

func last(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return strings.TrimSpace(texts[len(texts)-1])
}
