package worker

import (
	"strings"
	"testing"
)

func TestEarlyOutputIsHeldUntilOpened(t *testing.T) {
	var out strings.Builder
	e := early{w: &out}
	_, _ = e.Write([]byte("one\n"))
	if out.Len() != 0 {
		t.Fatalf("passed on too early: %q", out.String())
	}
	e.Open()
	_, _ = e.Write([]byte("two\n"))
	if out.String() != "one\ntwo\n" {
		t.Fatalf("got %q", out.String())
	}
}

func TestEarlyOutputIsBounded(t *testing.T) {
	var out strings.Builder
	e := early{w: &out}
	for out.Len() == 0 {
		_, _ = e.Write(make([]byte, 1000))
		if len(e.held) > maxLine {
			t.Fatal("held more than its bound")
		}
	}
	if out.Len() <= maxLine {
		t.Fatalf("let through only %d bytes", out.Len())
	}
}
