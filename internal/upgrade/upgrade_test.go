package upgrade

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAnInheritanceIsReadFromItsVariable(t *testing.T) {
	read := func(text string) (*Inheritance, error) { return Read(func(string) string { return text }) }
	if i, err := read(""); i != nil || err != nil {
		t.Errorf("without the variable: %v, %v", i, err)
	}
	for _, wrong := range []string{"3", "{", `{"link":1}`, `{"link":900,"sockets":[{"fd":0}]}`, `{"link":900,"pid_file":{"fd":2}}`, `{"link":"3"}`} {
		if i, err := read(wrong); err == nil {
			t.Errorf("%s: %+v", wrong, i)
		}
	}
}

func TestSocketsOfOneAddressAreTakenInTurn(t *testing.T) {
	i := &Inheritance{Sockets: []Socket{{"127.0.0.1:0", 5, false}, {"unix:/s", 6, true}, {"127.0.0.1:0", 7, false}}}
	for _, want := range []int{5, 7} {
		if s, ok := i.Take("127.0.0.1:0"); !ok || s.FD != want {
			t.Errorf("got %+v, want %d", s, want)
		}
	}
	if s, ok := i.Take("127.0.0.1:0"); ok {
		t.Errorf("a third: %+v", s)
	}
	if s, ok := i.Take("unix:/s"); !ok || !s.Own {
		t.Errorf("got %+v", s)
	}
	if _, ok := (*Inheritance)(nil).Take("unix:/s"); ok {
		t.Error("something was taken of nothing")
	}
}

func TestTheProgramIsFoundUnderItsName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	for name, want := range map[string]string{
		"program": dir + "/program", "./program": dir + "/./program", dir + "/program": dir + "/program", "gone": own, "/gone": own,
	} {
		if got, err := Program(name, dir); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
}
