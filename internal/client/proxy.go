package client

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/proxy"
)

// Proxy is a proxy: by HTTP (RFC 9110 §9.3.6) or by SOCKS5 (RFC 1928).
type Proxy struct {
	Scheme         string // http, https, socks5; socks5h, where the proxy looks names up, is what both mean
	Host           string // host:port
	User, Password string
	Fields         []Field     // for an HTTP proxy
	TLS            *tls.Config // to an https proxy; nil: as for origins
}

// forwards says whether the proxy takes requests for http origins as they are.
func (p *Proxy) forwards() bool { return p.Scheme == "http" || p.Scheme == "https" }

// fields are what an HTTP proxy is told besides.
func (p *Proxy) fields() []Field {
	if p.User == "" && p.Password == "" {
		return p.Fields
	}
	word := base64.StdEncoding.EncodeToString([]byte(p.User + ":" + p.Password))
	return append([]Field{{"Proxy-Authorization", "Basic " + word}}, p.Fields...)
}

// tunnel has the proxy connect to an origin.
func (p *Proxy) tunnel(ctx context.Context, raw net.Conn, host string, limit time.Duration) *Error {
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if limit > 0 {
		_ = raw.SetDeadline(time.Now().Add(limit))
	}
	var err *Error
	if p.forwards() {
		err = p.connect(raw, host)
	} else {
		err = p.socks(ctx, raw, host)
	}
	if err != nil {
		return err.of(ctx)
	}
	_ = raw.SetDeadline(time.Time{})
	return nil
}

// connect asks an HTTP proxy.
func (p *Proxy) connect(raw net.Conn, host string) *Error {
	b := fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", host, host)
	for _, f := range p.fields() {
		if !isToken(f.Name) || !isValue(f.Value) {
			return &Error{LocalProtocolError, "illegal header field for a proxy"}
		}
		b = appendField(b, f)
	}
	if _, err := raw.Write(append(b, "\r\n"...)); err != nil {
		return failed(err, ProxyError, ConnectTimeout)
	}
	// One byte at a time: what is behind the head is the origin's.
	one, head := make([]byte, 1), []byte(nil)
	for !strings.HasSuffix(string(head[max(0, len(head)-4):]), "\r\n\r\n") {
		if len(head) > maxHead {
			return &Error{ProxyError, "the proxy's answer is too long"}
		}
		if _, err := raw.Read(one); err != nil {
			return failed(err, ProxyError, ConnectTimeout)
		}
		head = append(head, one[0])
	}
	line, _, _ := strings.Cut(string(head), "\r\n")
	_, status, phrase, ok := parseStatus(line)
	if !ok {
		return &Error{ProxyError, "the proxy's answer is no HTTP"}
	}
	if status < 200 || status > 299 {
		return &Error{ProxyError, strings.TrimSpace(fmt.Sprintf("%d %s", status, phrase))}
	}
	return nil
}

// given is a dialer whose connection there is already.
type given struct{ net.Conn }

// Dial returns it.
func (g given) Dial(_, _ string) (net.Conn, error) { return g.Conn, nil }

// socks asks a SOCKS5 proxy.
func (p *Proxy) socks(ctx context.Context, raw net.Conn, host string) *Error {
	var auth *proxy.Auth
	if p.User != "" || p.Password != "" {
		auth = &proxy.Auth{User: p.User, Password: p.Password}
	}
	d, err := proxy.SOCKS5("tcp", p.Host, auth, given{raw})
	if err == nil {
		_, err = d.Dial("tcp", host)
	}
	if err == nil {
		return nil
	}
	if isTimeout(err) || ctx.Err() != nil {
		return &Error{ConnectTimeout, "the proxy did not answer in time"}
	}
	text := plain(err)
	if at := strings.LastIndex(text, "socks "); at >= 0 {
		text = text[at:]
	}
	return &Error{ProxyError, text}
}
