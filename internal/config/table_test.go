package config

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTableNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	claim := func(kind, name, by string) {
		if other, taken := seen[kind+name]; taken {
			t.Errorf("%s %q belongs to both %s and %s", kind, name, other, by)
		}
		seen[kind+name] = by
	}
	for i := range Table {
		s := &Table[i]
		for _, flag := range append([]string{s.Name, s.Short}, s.Aliases...) {
			if flag != "" {
				claim("flag", flag, s.Name)
			}
		}
		if s.Key != "" {
			claim("key", s.Key, s.Name)
		}
		for _, variable := range s.Variables() {
			claim("variable", variable, s.Name)
		}
	}
}

func TestTableRowsAreComplete(t *testing.T) {
	for i := range Table {
		s := &Table[i]
		if s.Prose == "" || !strings.HasSuffix(s.Prose, ".") {
			t.Errorf("%s: prose %q is no sentence", s.Name, s.Prose)
		}
		if s.Arg == "" != s.Shape().Bool {
			t.Errorf("%s: all but switches have an Arg", s.Name)
		}
		if !slices.Contains(Groups, s.Group) {
			t.Errorf("%s: group %q is not shown", s.Name, s.Group)
		}
		if s.Key != "" && strings.Count(s.Key, ".") != 1 {
			t.Errorf("%s: key %q is not table.key", s.Name, s.Key)
		}
		if strings.Contains(s.Name, "_") || strings.Contains(s.Key, "-") {
			t.Errorf("%s: flags have dashes, keys underscores", s.Name)
		}
	}
}

func TestTableDefaultsAreWrittenAsTheyAreShown(t *testing.T) {
	for i := range Table {
		s := &Table[i]
		c := &Config{}
		if s.Default == "" {
			continue
		}
		if err := s.Value(c).Set(s.split(s.Default)...); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if got := s.Value(c).String(); strings.ReplaceAll(got, ", ", ",") != s.Default {
			t.Errorf("%s: default %q is shown as %q", s.Name, s.Default, got)
		}
	}
}

// TestEveryFieldOfConfigHasASetting keeps Config and Table together: a field that no row fills is a setting nobody can change.
func TestEveryFieldOfConfigHasASetting(t *testing.T) {
	c := &Config{}
	fields := reflect.ValueOf(c).Elem()
	pointers := map[uintptr]bool{}
	for i := range Table {
		field := reflect.ValueOf(Table[i].Value(c)).FieldByName("field")
		if pointers[field.Pointer()] {
			t.Errorf("%s fills a field that another setting fills too", Table[i].Name)
		}
		pointers[field.Pointer()] = true
	}
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		if !slices.Contains([]string{"Environ", "Addressed", "Launched", "Program"}, name) && !pointers[fields.Field(i).Addr().Pointer()] {
			t.Errorf("no setting fills Config.%s", name)
		}
	}
}

func TestSchemaNamesEveryKey(t *testing.T) {
	encoded, err := json.Marshal(Schema())
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Properties map[string]struct{ Description string }
		}
	}
	if err := json.Unmarshal(encoded, &schema); err != nil {
		t.Fatal(err)
	}
	for i := range Table {
		table, key, ok := strings.Cut(Table[i].Key, ".")
		if ok && schema.Properties[table].Properties[key].Description == "" {
			t.Errorf("the schema lacks %s", Table[i].Key)
		}
	}
}
