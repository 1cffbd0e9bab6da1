package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/awaitd/awaitd/internal/certs"
	"github.com/awaitd/awaitd/internal/client"
)

// Description is a transport's settings, as a program gives them.
type Description struct {
	HTTP1          bool       `json:"http1"`
	HTTP2          bool       `json:"http2"`
	MaxConnections int        `json:"max_connections"` // 0: no limit
	MaxKeepalive   int        `json:"max_keepalive"`   // negative: no limit
	Expiry         float64    `json:"expiry"`          // seconds; negative: none
	Retries        int        `json:"retries"`
	Unix           string     `json:"uds"`
	LocalAddress   string     `json:"local_address"`
	Proxy          *ProxyOf   `json:"proxy"`
	Environ        *EnvironOf `json:"environ"` // proxies by the environment, in its place
	TLS            SecurityOf `json:"tls"`
	Deny           string     `json:"deny"` // private, or nothing
}

// SecurityOf says how a server's certificate is judged, and which of the client's are shown.
type SecurityOf struct {
	Verify   bool   `json:"verify"`
	Hostname bool   `json:"hostname"` // the certificate must be of that name
	CAFile   string `json:"ca_file"`  // of these, all that are given count; if none is, the system's
	CAFolder string `json:"ca_folder"`
	CAs      string `json:"cas"` // PEM
	Cert     string `json:"cert"`
	Key      string `json:"key"`
	Password string `json:"password"`
}

// ProxyOf describes a proxy.
type ProxyOf struct {
	URL      string      `json:"url"` // scheme://host:port
	User     string      `json:"user"`
	Password string      `json:"password"`
	Headers  [][2]string `json:"headers"`
	TLS      *SecurityOf `json:"tls"`
}

// EnvironOf is what the environment says of proxies.
type EnvironOf struct {
	HTTP  string `json:"http"`
	HTTPS string `json:"https"`
	All   string `json:"all"`
	No    string `json:"no"`
}

// key is the same for the same settings.
func (d Description) key() string {
	b, _ := json.Marshal(d) // it has nothing that JSON has not
	return string(b)
}

// settings are the client's. What is wrong with a description is said in its words.
func (d Description) settings() (client.Settings, error) {
	s := client.Settings{
		HTTP1: d.HTTP1, HTTP2: d.HTTP2, MaxConnections: d.MaxConnections, MaxIdle: d.MaxKeepalive,
		IdleFor: time.Duration(d.Expiry * float64(time.Second)), Retries: d.Retries, Unix: d.Unix, LocalAddress: d.LocalAddress,
	}
	var err error
	if s.TLS, err = d.TLS.config(); err != nil {
		return s, err
	}
	if d.LocalAddress != "" && net.ParseIP(d.LocalAddress) == nil {
		return s, fmt.Errorf("local_address %q is no IP address", d.LocalAddress)
	}
	switch d.Deny {
	case "":
	case "private":
		s.Deny = client.DenyPrivate
	default:
		return s, fmt.Errorf("deny must be \"private\", not %q", d.Deny)
	}
	switch {
	case d.Proxy != nil:
		p, err := d.Proxy.proxy()
		if err != nil {
			return s, err
		}
		s.Proxy = func(bool, string) *client.Proxy { return p }
	case d.Environ != nil:
		s.Proxy, err = d.Environ.proxies()
	}
	return s, err
}

// config makes a TLS configuration.
func (t *SecurityOf) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !t.Verify}
	if t.CAFile != "" || t.CAFolder != "" || t.CAs != "" {
		c.RootCAs = x509.NewCertPool()
		if err := t.roots(c.RootCAs); err != nil {
			return nil, err
		}
	}
	if t.Verify && !t.Hostname { // the chain counts, whatever the name
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(s tls.ConnectionState) error {
			o := x509.VerifyOptions{Roots: c.RootCAs, Intermediates: x509.NewCertPool()}
			for _, cert := range s.PeerCertificates[1:] {
				o.Intermediates.AddCert(cert)
			}
			_, err := s.PeerCertificates[0].Verify(o)
			return err
		}
	}
	if t.Cert == "" {
		return c, nil
	}
	key := t.Key
	if key == "" {
		key = t.Cert
	}
	pair, err := certs.ReadPair(certs.Pair{Cert: t.Cert, Key: key}, t.Password)
	if err != nil {
		return nil, err
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// roots reads the certificates of authorities.
func (t *SecurityOf) roots(pool *x509.CertPool) error {
	if t.CAs != "" && !pool.AppendCertsFromPEM([]byte(t.CAs)) {
		return fmt.Errorf("there is no certificate in what verify has loaded")
	}
	if t.CAFile != "" {
		b, err := os.ReadFile(t.CAFile)
		if err != nil {
			return fmt.Errorf("can't read the certificates of verify: %w", err)
		}
		if !pool.AppendCertsFromPEM(b) {
			return fmt.Errorf("there is no certificate in %s", t.CAFile)
		}
	}
	if t.CAFolder == "" {
		return nil
	}
	files, err := os.ReadDir(t.CAFolder)
	if err != nil {
		return fmt.Errorf("can't read the certificates of verify: %w", err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(t.CAFolder + "/" + f.Name()); err == nil {
			pool.AppendCertsFromPEM(b)
		}
	}
	return nil
}

// proxyPorts are where proxies listen whose URL has no port.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

func (p *ProxyOf) proxy() (*client.Proxy, error) {
	u, err := url.Parse(p.URL)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("the proxy's URL is none")
	}
	port := proxyPorts[u.Scheme]
	if port == "" {
		return nil, fmt.Errorf("unknown scheme for proxy URL: %q; expected http, https, socks5 or socks5h", u.Scheme)
	}
	if u.Port() != "" {
		port = u.Port()
	}
	made := &client.Proxy{Scheme: u.Scheme, Host: net.JoinHostPort(u.Hostname(), port), User: p.User, Password: p.Password}
	if u.User != nil && made.User == "" {
		made.User = u.User.Username()
		made.Password, _ = u.User.Password()
	}
	for _, h := range p.Headers {
		made.Fields = append(made.Fields, client.Field{Name: h[0], Value: h[1]})
	}
	if p.TLS != nil {
		made.TLS, err = p.TLS.config()
	}
	return made, err
}

// proxies chooses as programs do by http_proxy, https_proxy, all_proxy and no_proxy.
func (e *EnvironOf) proxies() (func(bool, string) *client.Proxy, error) {
	made := map[string]*client.Proxy{}
	orAll := func(text string) (string, error) {
		if text == "" {
			text = e.All
		}
		if text == "" {
			return "", nil
		}
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		p, err := (&ProxyOf{URL: text}).proxy()
		if err != nil {
			return "", err
		}
		plain := "http://" + p.Host // what the library is told: all it has to know is which
		made[p.Host] = p
		return plain, nil
	}
	plain, err := orAll(e.HTTP)
	if err != nil {
		return nil, err
	}
	secure, err := orAll(e.HTTPS)
	if err != nil {
		return nil, err
	}
	choose := (&httpproxy.Config{HTTPProxy: plain, HTTPSProxy: secure, NoProxy: e.No}).ProxyFunc()
	return func(secure bool, host string) *client.Proxy {
		u := &url.URL{Scheme: "http", Host: host}
		if secure {
			u.Scheme = "https"
		}
		if chosen, err := choose(u); err == nil && chosen != nil {
			return made[chosen.Host]
		}
		return nil
	}, nil
}
