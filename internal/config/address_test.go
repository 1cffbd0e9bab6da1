package config

import (
	"slices"
	"testing"
)

func TestParseBind(t *testing.T) {
	for text, want := range map[string]Bind{
		"127.0.0.1:8000":    {Network: TCP, Host: "127.0.0.1", Port: 8000},
		"[::1]:80":          {Network: TCP, Host: "::1", Port: 80},
		":0":                {Network: TCP, Port: 0},
		"localhost:65535":   {Network: TCP, Host: "localhost", Port: 65535},
		"unix:/run/a.sock":  {Network: Unix, Path: "/run/a.sock"},
		"unix:///run/a":     {Network: Unix, Path: "/run/a"},
		"unix:a.sock":       {Network: Unix, Path: "a.sock"},
		"fd://3":            {Network: Descriptor, FD: 3},
		"fd://web.socket":   {Network: Descriptor, Name: "web.socket"},
		"unix:@name":        {Network: Unix, Path: "@name"},
		"http://a:80":       {Network: TCP, Host: "a", Port: 80, Plain: true},
		"https://unix:/a":   {Network: Unix, Path: "/a", TLS: true},
		"tls://:7=m:f":      {Protocol: Stream, Network: TCP, Port: 7, Target: "m:f", TLS: true},
		"smtps://:465=m:H":  {Protocol: SMTP, Network: TCP, Port: 465, Target: "m:H", TLS: true},
		"uwsgi://[::1]:1":   {Protocol: UWSGI, Network: TCP, Host: "::1", Port: 1},
		"uwsgi://unix:/a":   {Protocol: UWSGI, Network: Unix, Path: "/a"},
		"uwsgi://fd://3":    {Protocol: UWSGI, Network: Descriptor, FD: 3},
		"udp://127.0.0.1:9": {Protocol: Datagrams, Network: UDP, Host: "127.0.0.1", Port: 9},
		"tcp://:7=m:f":      {Protocol: Stream, Network: TCP, Port: 7, Target: "m:f"},
		"tcp://[::1]:7":     {Protocol: Stream, Network: TCP, Host: "::1", Port: 7},
		"tcp://unix:/a=b=m": {Protocol: Stream, Network: Unix, Path: "/a=b", Target: "m"},
		"tcp://fd://3=m:f":  {Protocol: Stream, Network: Descriptor, FD: 3, Target: "m:f"},
		"scgi://:4000":      {Protocol: SCGI, Network: TCP, Port: 4000},
		"[fe80::1%eth0]:80": {Network: TCP, Host: "fe80::1%eth0", Port: 80},
	} {
		if got, err := ParseBind(text); err != nil || got != want {
			t.Errorf("ParseBind(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestParseBindRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"localhost":       "must be host:port, [::1]:port, :port, unix:path or fd://N, after https://, uwsgi://, scgi://, tcp://, tls://, udp://, smtp://, smtps:// or lmtp:// if that is spoken there, got `localhost`",
		"::1:80":          "must be host:port, [::1]:port, :port, unix:path or fd://N, after https://, uwsgi://, scgi://, tcp://, tls://, udp://, smtp://, smtps:// or lmtp:// if that is spoken there, got `::1:80`",
		"a:65536":         "must be host:port, [::1]:port, :port, unix:path or fd://N with a port of 0 to 65535, got `a:65536`",
		"a b:80":          "must be host:port, [::1]:port, :port, unix:path or fd://N with a port of 0 to 65535, got `a b:80`",
		"unix:":           "must be unix: and a path, got `unix:`",
		"fd://":           "must be fd:// and a descriptor's number, or its name in LISTEN_FDNAMES, got `fd://`",
		"fd://a:b":        "must be fd:// and a descriptor's number, or its name in LISTEN_FDNAMES, got `fd://a:b`",
		"unix:@":          "must be unix: and a path, got `unix:@`",
		"fd://-1":         "must be fd:// and a descriptor's number, or its name in LISTEN_FDNAMES, got `fd://-1`",
		"tcp://:1=":       "must be module:attribute, got nothing",
		"tcp://:1=a.py:b": "must be a module, not a file, got `a.py:b`",
		"udp://unix:a":    "must be host:port or fd://N after udp://, got `udp://unix:a`",
		"quic://a:443":    "`quic://` is not in this version",
		"lmtps://a:443":   "`lmtps://` is not in this version",
		"uwsgi://a:x":     "must be host:port, [::1]:port, :port, unix:path or fd://N with a port of 0 to 65535, got `uwsgi://a:x`",
		"uwsgi://unix:":   "must be unix: and a path, got `uwsgi://unix:`",
		"ftp://a:80":      "must be host:port, [::1]:port, :port, unix:path or fd://N, after https://, uwsgi://, scgi://, tcp://, tls://, udp://, smtp://, smtps:// or lmtp:// if that is spoken there, got `ftp://a:80`",
		"127.0.0.1:abc":   "must be host:port, [::1]:port, :port, unix:path or fd://N with a port of 0 to 65535, got `127.0.0.1:abc`",
	} {
		if _, err := ParseBind(text); err == nil || err.Error() != want {
			t.Errorf("ParseBind(%q): got %v, want %s", text, err, want)
		}
	}
}

func TestBindStringIsWhatParseBindReads(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1:8000", "[::1]:80", ":0", "unix:/run/a.sock", "unix:@a", "fd://3", "fd://web", "uwsgi://unix:/a", "scgi://:1",
		"uwsgi://fd://3", "scgi://fd://web", "udp://[::1]:0", "udp://fd://3=m:P", "tcp://:1", "tcp://unix:/a=m:f",
		"http://:1", "https://unix:/a", "tls://fd://3=m:f", "smtps://:465=m:H",
	} {
		if b, err := ParseBind(text); err != nil || b.String() != text {
			t.Errorf("%q became %q (%v)", text, b, err)
		}
	}
}

func TestAddressesComeFromTheWayThatIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   []string
	}{
		"host and port": {Config{Host: "::1", Port: 80, FD: -1}, []string{"[::1]:80"}},
		"bind":          {Config{Bind: []string{":80", "unix:a"}, FD: -1}, []string{":80", "unix:a"}},
		"uds":           {Config{UDS: "/a", FD: -1}, []string{"unix:/a"}},
		"fd":            {Config{FD: 0}, []string{"fd://0"}},
	} {
		var got []string
		for _, b := range c.config.Addresses() {
			got = append(got, b.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestHTTPIsInTLSIfThereIsACertificate(t *testing.T) {
	c := Config{Bind: []string{":1", "unix:a", "http://:2", "https://:3", "tcp://:4", "uwsgi://:5"}, SSLCertFiles: []string{"a"}, FD: -1}
	var got []string
	for _, b := range c.Addresses() {
		got = append(got, b.String())
	}
	if want := []string{"https://:1", "https://unix:a", "http://:2", "https://:3", "tcp://:4", "uwsgi://:5"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
