package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxPort is the highest port there is.
const maxPort = 65535

// Network is what a Bind listens on.
type Network string

// Networks.
const (
	TCP        Network = "tcp"
	UDP        Network = "udp"
	Unix       Network = "unix"
	Descriptor Network = "fd"
)

// Protocol is what is spoken at a Bind.
type Protocol string

// Protocols. The values are their schemes; HTTP goes without one.
const (
	HTTP   Protocol = ""
	UWSGI  Protocol = "uwsgi"
	SCGI   Protocol = "scgi"
	Stream Protocol = "tcp" // bytes both ways, as the application has it

	Datagrams Protocol = "udp" // likewise
	SMTP      Protocol = "smtp"
	LMTP      Protocol = "lmtp"
)

// Bind is one address to listen on.
type Bind struct {
	Protocol Protocol
	Network  Network
	Host     string // TCP, UDP: a name or an IP address without brackets; empty: every interface
	Port     int    // TCP, UDP: 0 takes a free one
	Path     string // Unix
	FD       int    // Descriptor: an inherited listening socket
	Name     string // Descriptor: the name that LISTEN_FDNAMES gives it; one or several, whose numbers FD does not tell
	Target   string // Stream, Datagrams, SMTP, LMTP: what takes them, as module:attribute; empty: the application
	TLS      bool   // comes before all else
	Plain    bool   // HTTP: and no TLS, whatever certificates there are
}

// String returns the address as --bind takes it.
func (b Bind) String() string {
	where := net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
	switch b.Network {
	case Unix:
		where = "unix:" + b.Path
	case Descriptor:
		where = "fd://" + strconv.Itoa(b.FD)
		if b.Name != "" {
			where = "fd://" + b.Name
		}
	}
	if scheme := b.Scheme(); scheme != "" {
		where = scheme + "://" + where
	}
	if b.Target != "" {
		where += "=" + b.Target
	}
	return where
}

// schemes are what may be in front of an address.
var schemes = []struct {
	name     string
	protocol Protocol
	tls      bool
}{
	{"http", HTTP, false},
	{"https", HTTP, true},
	{"uwsgi", UWSGI, false},
	{"scgi", SCGI, false},
	{"tcp", Stream, false},
	{"tls", Stream, true},
	{"udp", Datagrams, false},
	{"smtp", SMTP, false},
	{"smtps", SMTP, true},
	{"lmtp", LMTP, false},
}

// Scheme is what is in front of the address; nothing for HTTP, if nobody has said that it is without TLS.
func (b Bind) Scheme() string {
	if b.Protocol == HTTP && !b.TLS && !b.Plain {
		return ""
	}
	for _, s := range schemes {
		if s.protocol == b.Protocol && s.tls == b.TLS {
			return s.name
		}
	}
	return ""
}

const (
	bindForms    = "host:port, [::1]:port, :port, unix:path or fd://N"
	allBindForms = bindForms + ", after https://, uwsgi://, scgi://, tcp://, tls://, udp://, smtp://, smtps:// or lmtp:// if that is " +
		"spoken there"
)

// ParseBind reads an address as --bind takes it.
func ParseBind(text string) (Bind, error) {
	where, protocol, secure, plain := text, HTTP, false, false
	for _, s := range schemes {
		if rest, ok := strings.CutPrefix(text, s.name+"://"); ok {
			where, protocol, secure, plain = rest, s.protocol, s.tls, s.name == "http"
		}
	}
	var target string
	if at := strings.LastIndexByte(where, '='); protocol.hasTarget() && at >= 0 {
		where, target = where[:at], where[at+1:]
		if err := checkTarget(target); err != nil {
			return Bind{}, err
		}
	}
	b, err := parseWhere(text, where)
	if protocol == Datagrams && err == nil {
		switch b.Network {
		case TCP:
			b.Network = UDP
		case Unix:
			return Bind{}, must("host:port or fd://N after udp://", text)
		}
	}
	b.Protocol, b.Target, b.TLS, b.Plain = protocol, target, secure, plain
	return b, err
}

// hasTarget says whether an address of the protocol may lead to something else than the application.
func (p Protocol) hasTarget() bool {
	return p == Stream || p == Datagrams || p.IsMail()
}

// IsMail says whether mail is taken there.
func (p Protocol) IsMail() bool { return p == SMTP || p == LMTP }

// parseWhere reads an address without its protocol; text is the whole of it.
func parseWhere(text, where string) (Bind, error) {
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		return parseUnix(text, path)
	}
	if n, ok := strings.CutPrefix(where, "fd://"); ok {
		return parseDescriptor(text, n)
	}
	if scheme, _, ok := strings.Cut(where, "://"); ok {
		return Bind{}, unknownScheme(scheme, text)
	}
	host, digits, err := net.SplitHostPort(where)
	if err != nil {
		return Bind{}, must(allBindForms, text)
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || checkHost(host) != nil {
		return Bind{}, must(bindForms+" with a port of 0 to 65535", text)
	}
	return Bind{Network: TCP, Host: host, Port: int(port)}, nil
}

// parseDescriptor reads what follows fd://. A name has what systemd's FileDescriptorName= may have.
func parseDescriptor(text, which string) (Bind, error) {
	if fd, err := strconv.ParseUint(which, 10, 31); err == nil {
		return Bind{Network: Descriptor, FD: int(fd)}, nil
	}
	digits := strings.TrimLeft(which, "-+0123456789") == ""
	if digits || len(which) > maxName || strings.ContainsFunc(which, func(r rune) bool { return r <= ' ' || r == ':' || r >= 0x7f }) {
		return Bind{}, must("fd:// and a descriptor's number, or its name in LISTEN_FDNAMES", text)
	}
	return Bind{Network: Descriptor, Name: which}, nil
}

// maxName is the longest name of a descriptor.
const maxName = 255

// parseUnix reads the path of unix:path and of unix:///path.
func parseUnix(text, path string) (Bind, error) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || path == "@" {
		return Bind{}, must("unix: and a path", text)
	}
	return Bind{Network: Unix, Path: path}, nil
}

func unknownScheme(scheme, text string) error {
	switch scheme {
	case "quic", "lmtps":
		return errors.New("`" + scheme + "://` is not in this version")
	}
	return must(allBindForms, text)
}

// Addresses returns what to listen on, from whichever of Bind, UDS, FD or Host and Port is set. With a certificate, HTTP is in TLS unless
// the address says http://.
func (c *Config) Addresses() []Bind {
	binds := c.addresses()
	for i := range binds {
		if b := &binds[i]; b.Protocol == HTTP && !b.Plain && len(c.SSLCertFiles) > 0 {
			b.TLS = true
		}
	}
	return binds
}

func (c *Config) addresses() []Bind {
	switch {
	case len(c.Bind) > 0:
		binds := make([]Bind, 0, len(c.Bind))
		for _, text := range c.Bind {
			if b, err := ParseBind(text); err == nil { // checked when it was set
				binds = append(binds, b)
			}
		}
		return binds
	case c.UDS != "":
		return []Bind{{Network: Unix, Path: c.UDS}}
	case c.FD >= 0:
		return []Bind{{Network: Descriptor, FD: c.FD}}
	}
	return []Bind{{Network: TCP, Host: c.Host, Port: c.Port}}
}

func checkBind(text string) error {
	_, err := ParseBind(text)
	return err
}

func checkHost(text string) error {
	if _, err := netip.ParseAddr(text); err == nil || !strings.ContainsAny(text, ":/[] ") {
		return nil
	}
	return must("a host name or an IP address, without a port", text)
}

// addressWays are the ways to say where to listen; only one can be meant.
var addressWays = [][]string{{"host", "port"}, {"uds"}, {"fd"}, {"bind"}}

// chooseAddress keeps the one way that the highest source uses to say where to listen: a --port on the command line wins over the
// bind of a file. Two ways in one source contradict each other.
func (l *loader) chooseAddress() {
	top := byDefault
	for _, way := range addressWays {
		top = max(top, l.wayRank(way))
	}
	if top == byDefault {
		return
	}
	l.addressed = true
	var winner []string
	for _, way := range addressWays {
		if l.wayRank(way) != top {
			continue
		}
		if winner != nil {
			l.contradiction(winner, way)
		}
		winner = way
	}
	for _, way := range addressWays {
		if l.wayRank(way) < top {
			l.drop(way, l.wayGiven(winner).source)
		}
	}
}

// wayGiven returns the highest given of a way's settings.
func (l *loader) wayGiven(way []string) *given {
	var top *given
	for _, name := range way {
		if g := l.given[name]; g != nil && (top == nil || g.rank > top.rank) {
			top = g
		}
	}
	return top
}

func (l *loader) wayRank(way []string) rank {
	if g := l.wayGiven(way); g != nil {
		return g.rank
	}
	return byDefault
}

func (l *loader) contradiction(one, other []string) {
	a, b := l.wayGiven(one), l.wayGiven(other)
	l.problem("", fmt.Sprintf("can't use both `%s` and `%s`: each says where to listen", a.label, b.label),
		"to listen on several addresses repeat `--bind`")
}

func (l *loader) drop(way []string, winner string) {
	for _, name := range way {
		if g := l.given[name]; g != nil {
			l.sources[name] = fmt.Sprintf("default: %s gives way to %s", g.source, winner)
			delete(l.given, name)
		}
	}
}
