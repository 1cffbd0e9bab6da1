package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/awaitd/awaitd/internal/fault"
)

// maxRootPath: longer is no prefix; it goes into every request's frame.
const maxRootPath = 1024

func checkTarget(target string) error {
	_, bare := splitInterface(target)
	module, attribute, named := strings.Cut(bare, ":")
	switch {
	case module == "" || named && attribute == "" || strings.ContainsAny(module, " \t"):
		return must("module:attribute", target)
	case strings.HasSuffix(module, ".py") || strings.ContainsAny(module, `/\`):
		return &fault.Fault{
			Problem: fmt.Sprintf("must be a module, not a file, got `%s`", target),
			Hint:    moduleHint(module, attribute),
			Code:    fault.Usage,
		}
	}
	return nil
}

// moduleHint says how to name the application in a file that was given for a module.
func moduleHint(file, attribute string) string {
	if attribute == "" {
		attribute = "app"
	}
	dir, name := path.Split(filepath.ToSlash(file))
	target := strings.TrimSuffix(name, ".py") + ":" + attribute
	if dir = path.Clean(dir); dir != "." {
		return fmt.Sprintf("name the module and its folder: `--app-dir %s %s`", dir, target)
	}
	return fmt.Sprintf("name the module: `%s`", target)
}

// splitInterface takes the `asgi:` or `wsgi:` off a target. It is a prefix only before module:attribute, since a module may well
// be called asgi.
func splitInterface(target string) (name, rest string) {
	prefix, rest, _ := strings.Cut(target, ":")
	if !strings.Contains(rest, ":") {
		return "", target
	}
	switch prefix {
	case "asgi":
		return "asgi3", rest
	case "wsgi":
		return "wsgi", rest
	}
	return "", target
}

// isReference tells whether text has the form module:attribute.
func isReference(text string) bool {
	module, attribute, ok := strings.Cut(text, ":")
	return ok && module != "" && attribute != "" && !strings.ContainsAny(text, " /\\")
}

func checkRootPath(text string) error {
	switch {
	case text == "":
		return nil
	case !strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/") || strings.ContainsAny(text, "?# \t\r\n"):
		return must("a path such as /api, with a slash in front and none at the end", text)
	case len(text) > maxRootPath:
		return must(fmt.Sprintf("%d bytes at most", maxRootPath), len(text))
	}
	return nil
}

func checkGlob(text string) error {
	if _, err := path.Match(text, ""); err != nil || text == "" {
		return must("a pattern such as *.html", text)
	}
	return nil
}

// checkNetwork checks who may be trusted: an IP address, a network (RFC 4632), a word for all.
func checkNetwork(text string) error {
	if text == "*" || text == "unix" {
		return nil
	}
	if network, err := netip.ParsePrefix(text); err == nil {
		if network != network.Masked() {
			return must("a network by its first address, such as "+network.Masked().String(), text)
		}
		return nil
	}
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return nil
	}
	return must("an IP address, a network such as 10.0.0.0/8, `unix` or `*`", text)
}

// checkHeader checks Name:Value (RFC 9110 §5.5, §5.6.2).
func checkHeader(text string) error {
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" || strings.ContainsFunc(name, notToken) || strings.ContainsFunc(value, isControl) {
		return must("Name:Value", text)
	}
	return nil
}

// checkVariable checks NAME=value.
func checkVariable(text string) error {
	name, _, ok := strings.Cut(text, "=")
	if !ok || name == "" || strings.ContainsAny(name, " \t\x00") || strings.Contains(text, "\x00") {
		return must("NAME=VALUE", text)
	}
	return nil
}

func notToken(r rune) bool {
	letter := 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// checkTogether finds what is wrong only in combination, or with the folders that the settings name.
func (l *loader) checkTogether(c *Config) {
	l.checkFolders("app-dir", c.AppDir)
	l.checkFolders("reload-dir", c.ReloadDirs...)
	l.checkBinds(c)
	l.checkTLS(c)
	head := c.LimitRequestLine + c.LimitRequestFieldSize + 4*c.LimitRequestFields
	if head > MaxHead {
		l.problem("", fmt.Sprintf(
			"can't keep the request limits: a line of %d bytes, a field of %d bytes and a table of %d fields take %d bytes, but a "+
				"request's head has %d", c.LimitRequestLine, c.LimitRequestFieldSize, c.LimitRequestFields, head, MaxHead),
			"lower `--limit-request-line`, `--limit-request-field-size` or `--limit-request-fields`")
	}
}

// checkBinds finds addresses that are given twice. Two free ports are two addresses.
func (l *loader) checkBinds(c *Config) {
	seen := map[Bind]bool{}
	for _, at := range c.Addresses() {
		if at.Network == Unix && !strings.HasPrefix(at.Path, "@") {
			at.Path = filepath.Clean(l.path(at.Path))
		}
		where := Bind{Network: at.Network, Host: strings.ToLower(at.Host), Port: at.Port, Path: at.Path, FD: at.FD, Name: at.Name}
		if seen[where] && (at.Network != TCP && at.Network != UDP || at.Port != 0) {
			l.problem(l.wayGiven([]string{"bind"}).label, fmt.Sprintf("`%s` is given twice", where), "leave one of them out")
		}
		seen[where] = true
	}
}

// checkTLS finds settings of TLS that do not go together.
func (l *loader) checkTLS(c *Config) {
	if n, m := len(c.SSLCertFiles), len(c.SSLKeyFiles); n != m && m > 0 {
		l.problem("", fmt.Sprintf("can't pair %s with %s", count(n, "certificate"), count(m, "private key")),
			"give as many `--ssl-certfile` as `--ssl-keyfile`, in the same order")
	}
	if c.SSLCertReqs != "none" && c.SSLCACerts == "" {
		l.problem("", fmt.Sprintf("can't tell whose certificates to accept from clients: `--ssl-cert-reqs %s` without `--ssl-ca-certs`",
			c.SSLCertReqs), "name the certificates of those who sign them with `--ssl-ca-certs`")
	}
	if len(c.SSLCertFiles) > 0 {
		return
	}
	for _, at := range c.Addresses() {
		if at.TLS || at.Protocol.IsMail() && c.SMTPTLS == "required" {
			l.problem("", fmt.Sprintf("can't offer TLS on %s without a certificate", at),
				"name one with `--ssl-certfile`, and its key with `--ssl-keyfile`")
			return
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// checkTargets finds addresses that lead nowhere, and an application that nothing leads to.
func (l *loader) checkTargets(c *Config) {
	for _, at := range c.Addresses() {
		if at.Target != "" {
			continue
		}
		if c.Target == "" {
			l.problem("", "no application is named", "name it as module:attribute: `awaitd main:app`; `awaitd --help` lists the settings")
		}
		return
	}
	if c.Target != "" {
		l.problem("", fmt.Sprintf("no address leads to `%s`", c.Target), "add one, such as `--bind 127.0.0.1:8000`, or leave it out")
	}
}

// checkFolders checks folders that were given, not those of a default.
func (l *loader) checkFolders(name string, folders ...string) {
	given := l.given[name]
	if given == nil {
		return
	}
	for _, folder := range folders {
		if err := isFolder(l.path(folder)); err != nil {
			l.problem(given.label, fmt.Sprintf("can't use folder `%s`: %v", folder, err), "")
		}
	}
}

func isFolder(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return reason(err)
	}
	if !info.IsDir() {
		return errors.New("not a folder")
	}
	return nil
}

// reason strips the operation and the path that an *os.PathError repeats.
func reason(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
