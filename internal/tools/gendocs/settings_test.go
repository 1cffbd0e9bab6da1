package main

import (
	"os"
	"testing"
)

func TestSettingsPageIsUpToDate(t *testing.T) {
	page, err := os.ReadFile("../../../docs/reference/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != settingsPage() {
		t.Error("docs/reference/settings.md is not what the table says: run `go generate ./internal/config`")
	}
}
