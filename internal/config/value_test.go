package config

import (
	"math"
	"testing"
	"time"

	"github.com/awaitd/awaitd/internal/account"
)

// valueCase gives a text and either what the value then shows, or the error.
type valueCase struct{ text, shown, err string }

func runValueCases(t *testing.T, value Value, cases []valueCase) {
	t.Helper()
	for _, c := range cases {
		err := value.Set(c.text)
		switch {
		case c.err != "" && (err == nil || err.Error() != c.err):
			t.Errorf("Set(%q): got error %v, want %s", c.text, err, c.err)
		case c.err == "" && err != nil:
			t.Errorf("Set(%q): %v", c.text, err)
		case c.err == "" && value.String() != c.shown:
			t.Errorf("Set(%q) is shown as %q, want %q", c.text, value.String(), c.shown)
		}
	}
}

func TestNumber(t *testing.T) {
	var n int
	runValueCases(t, number{field: &n, max: 65535}, []valueCase{
		{text: "0", shown: "0"},
		{text: " 65535 ", shown: "65535"},
		{text: "65536", err: "must be 0 to 65535, got 65536"},
		{text: "-1", err: "must be 0 to 65535, got -1"},
		{text: "80x", err: "must be a whole number, got `80x`"},
		{text: "1.5", err: "must be a whole number, got `1.5`"},
		{text: "", err: "must be a whole number, got nothing"},
		{text: "99999999999999999999", err: "must be a whole number, got `99999999999999999999`"},
	})
	runValueCases(t, number{field: &n, min: 1, max: unbounded, word: "auto"}, []valueCase{
		{text: "auto", shown: "auto"},
		{text: "AUTO", shown: "auto"},
		{text: "7", shown: "7"},
		{text: "0", err: "must be `auto` or 1 or more, got 0"},
		{text: "many", err: "must be `auto` or a whole number, got `many`"},
	})
}

func TestBoolean(t *testing.T) {
	var b bool
	runValueCases(t, boolean{&b}, []valueCase{
		{text: "true", shown: "true"},
		{text: "0", shown: "false"},
		{text: "Yes", shown: "true"},
		{text: "off", shown: "false"},
		{text: "on", shown: "true"},
		{text: "maybe", err: "must be true or false, got `maybe`"},
	})
}

func TestDuration(t *testing.T) {
	var d time.Duration
	runValueCases(t, duration{&d, time.Millisecond, 24 * time.Hour}, []valueCase{
		{text: "30", shown: "30s"},
		{text: "30s", shown: "30s"},
		{text: "500ms", shown: "500ms"},
		{text: "2m", shown: "2m"},
		{text: "0.5", shown: "500ms"},
		{text: "1h30m", shown: "90m"},
		{text: "24h", shown: "24h"},
		{text: "120", shown: "2m"},
		{text: "0", err: "must be 1ms to 24h, got `0`"},
		{text: "-1s", err: "must be 1ms to 24h, got `-1s`"},
		{text: "25h", err: "must be 1ms to 24h, got `25h`"},
		{text: "soon", err: "must be a duration such as 30, 500ms or 2m, got `soon`"},
		{text: "1e300", err: "must be a duration such as 30, 500ms or 2m, got `1e300`"},
		{text: "NaN", err: "must be a duration such as 30, 500ms or 2m, got `NaN`"},
		{text: "", err: "must be a duration such as 30, 500ms or 2m, got nothing"},
	})
}

func TestSize(t *testing.T) {
	var n int64
	runValueCases(t, size[int64]{&n, 0, math.MaxInt64}, []valueCase{
		{text: "8190", shown: "8190"},
		{text: "64KiB", shown: "64KiB"},
		{text: "1MB", shown: "1000000"},
		{text: "2 gib", shown: "2GiB"},
		{text: "10b", shown: "10"},
		{text: "1048576", shown: "1MiB"},
		{text: "-1", err: "must be 0 or more, got `-1`"},
		{text: "64K", err: "must be a size such as 65536, 64KiB or 1MB, got `64K`"},
		{text: "KiB", err: "must be a size such as 65536, 64KiB or 1MB, got `KiB`"},
		{text: "99999999999GiB", err: "must be a size such as 65536, 64KiB or 1MB, got `99999999999GiB`"},
		{text: "1.5MB", err: "must be a size such as 65536, 64KiB or 1MB, got `1.5MB`"},
	})
	var i int
	runValueCases(t, size[int]{&i, 256, 4096}, []valueCase{
		{text: "4KiB", shown: "4KiB"},
		{text: "4097", err: "must be 256 to 4KiB, got `4097`"},
	})
}

func TestMode(t *testing.T) {
	var m uint32
	runValueCases(t, mode{&m}, []valueCase{
		{text: "660", shown: "660"},
		{text: "0660", shown: "660"},
		{text: "0o600", shown: "600"},
		{text: "1000", err: "must be octal permissions, 0 to 777, got `1000`"},
		{text: "689", err: "must be octal permissions, 0 to 777, got `689`"},
	})
}

func TestChoice(t *testing.T) {
	var s string
	runValueCases(t, ByName("interface").Value(&Config{}), []valueCase{
		{text: "wsgi", shown: "wsgi"},
		{text: "ASGI3", shown: "asgi3"},
		{text: "rsgi", err: "must be auto, asgi3, asgi2, wsgi or tornado, got `rsgi`"},
	})
	runValueCases(t, choice{field: &s, words: []string{"auto"}, open: &openChoice{"module:factory", isReference}}, []valueCase{
		{text: "auto", shown: "auto"},
		{text: "my.loops:Make", shown: "my.loops:Make"},
		{text: "gevent", err: "must be auto or module:factory, got `gevent`"},
		{text: "my.loops:", err: "must be auto or module:factory, got `my.loops:`"},
	})
}

func TestTextChecks(t *testing.T) {
	runValueCases(t, ByName("root-path").Value(&Config{}), []valueCase{
		{text: "/api", shown: "/api"},
		{text: "", shown: ""},
		{text: "api", err: "must be a path such as /api, with a slash in front and none at the end, got `api`"},
		{text: "/api/", err: "must be a path such as /api, with a slash in front and none at the end, got `/api/`"},
	})
	runValueCases(t, ByName("host").Value(&Config{}), []valueCase{
		{text: "::1", shown: "::1"},
		{text: "localhost", shown: "localhost"},
		{text: "0.0.0.0", shown: "0.0.0.0"},
		{text: "", shown: ""},
		{text: "localhost:80", err: "must be a host name or an IP address, without a port, got `localhost:80`"},
	})
	runValueCases(t, ByName("header").Value(&Config{}), []valueCase{
		{text: "X-A: b, c", shown: "X-A: b, c"},
		{text: "X-A", err: "must be Name:Value, got `X-A`"},
		{text: ":v", err: "must be Name:Value, got `:v`"},
		{text: "X A:v", err: "must be Name:Value, got `X A:v`"},
		{text: "X-A:a\r\nb", err: "must be Name:Value, got `X-A:a\r\nb`"},
	})
	runValueCases(t, ByName("reload-include").Value(&Config{}), []valueCase{
		{text: "*.html", shown: "*.html"},
		{text: "[", err: "must be a pattern such as *.html, got `[`"},
	})
}

func TestTargetCheck(t *testing.T) {
	runValueCases(t, ByName("target").Value(&Config{}), []valueCase{
		{text: "main:app", shown: "main:app"},
		{text: "main", shown: "main"},
		{text: "a.b:c.d", shown: "a.b:c.d"},
		{text: "main:make()", shown: "main:make()"},
		{text: "wsgi:a:b", shown: "wsgi:a:b"},
		{text: "asgi:application", shown: "asgi:application"},
		{text: "main:", err: "must be module:attribute, got `main:`"},
		{text: ":app", err: "must be module:attribute, got `:app`"},
		{text: "", err: "must be module:attribute, got nothing"},
		{text: "main.py:app", err: "must be a module, not a file, got `main.py:app`"},
		{text: "src/main", err: "must be a module, not a file, got `src/main`"},
	})
}

func TestAListReportsEveryBadItem(t *testing.T) {
	err := ByName("bind").Value(&Config{}).Set("x", ":80", "y")
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 2 {
		t.Errorf("got %v, want two errors", err)
	}
}

func TestNetworks(t *testing.T) {
	var l []string
	runValueCases(t, list{field: &l, split: ",", inner: true, check: checkNetwork}, []valueCase{
		{text: "127.0.0.1, ::1,10.0.0.0/8,unix", shown: "127.0.0.1, ::1, 10.0.0.0/8, unix"},
		{text: "*", shown: "*"},
		{text: "2001:db8::/32", shown: "2001:db8::/32"},
		{text: "10.1.2.3/8", err: "must be a network by its first address, such as 10.0.0.0/8, got `10.1.2.3/8`"},
		{text: "localhost", err: "must be an IP address, a network such as 10.0.0.0/8, `unix` or `*`, got `localhost`"},
		{text: "fe80::1%eth0", err: "must be an IP address, a network such as 10.0.0.0/8, `unix` or `*`, got `fe80::1%eth0`"},
	})
}

func TestUmask(t *testing.T) {
	var n int
	runValueCases(t, umask{&n}, []valueCase{
		{text: "none", shown: "none"},
		{text: "022", shown: "22"},
		{text: "0o77", shown: "77"},
		{text: "0", shown: "0"},
		{text: "8", err: "must be `none` or octal permissions, 0 to 777, got `8`"},
		{text: "1000", err: "must be `none` or octal permissions, 0 to 777, got `1000`"},
		{text: "", err: "must be `none` or octal permissions, 0 to 777, got nothing"},
	})
}

func TestVariable(t *testing.T) {
	var env []string
	v := list{field: &env, split: "\n", check: checkVariable}
	runValueCases(t, v, []valueCase{
		{text: "A=1", shown: "A=1"},
		{text: "A=", shown: "A="},
		{text: "A=b=c,d e", shown: "A=b=c,d e"},
		{text: "A", err: "must be NAME=VALUE, got `A`"},
		{text: "=1", err: "must be NAME=VALUE, got `=1`"},
		{text: "A B=1", err: "must be NAME=VALUE, got `A B=1`"},
	})
}

func TestOwner(t *testing.T) {
	var o account.Owner
	runValueCases(t, owner{&o}, []valueCase{
		{text: "root", shown: "root"},
		{text: "33", shown: "33"},
		{text: "root:0", shown: "root:0"},
		{text: ":33", shown: ":33"},
		{text: "", err: "must be USER, USER:GROUP or :GROUP, got nothing"},
		{text: ":", err: "must be USER, USER:GROUP or :GROUP, got `:`"},
		{text: "root:", err: "must be USER, USER:GROUP or :GROUP, got `root:`"},
		{text: "nobody-here", err: "must be the name or number of a user, got `nobody-here`"},
		{text: "0:nobody-here", err: "must be the name or number of a group, got `nobody-here`"},
		{text: "0:1:2", err: "must be the name or number of a group, got `1:2`"},
		{text: "4294967295", err: "must be the name or number of a user, got `4294967295`"},
	})
	if err := (owner{&o}).Set("0:33"); err != nil || o.User.ID != 0 || o.Group.ID != 33 {
		t.Errorf("%+v, %v", o, err)
	}
}
