package config

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"port", "host", "reload", "reload-dir", "workers", "factory"}
	for typed, want := range map[string]string{
		"prot": "port", "hots": "host", "worker": "workers", "reloaddir": "reload-dir", "wrokers": "workers", "port": "port",
		"zzz": "", "": "", "configuration": "",
	} {
		if got := Nearest(typed, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"ab", "ba", 1}, {"abc", "abd", 1}, {"abc", "ab", 1}, {"kitten", "sitting", 3}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
