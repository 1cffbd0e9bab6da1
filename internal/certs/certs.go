// Package certs has the server's TLS certificates: it reads them from files, and again when the files have changed, so that a renewed
// certificate is used without a restart and without a lost connection.
//
// A Store is used by many handshakes at once. It looks at the files in the course of a handshake, once a second at most.
package certs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/youmark/pkcs8"
)

// Pair is a certificate, with those that lead to its root behind it, and its private key: PEM files, or one with both.
type Pair struct{ Cert, Key string }

// Options is where certificates are, and whose are asked for.
type Options struct {
	Pairs     []Pair // the first whose names have the one that a client asks for is shown, or else the first
	Password  string // of the keys that are encrypted
	ClientCAs string // PEM file of those who sign clients' certificates; empty: nobody
	Clients   tls.ClientAuthType
	Log       *slog.Logger
}

// Store has certificates.
type Store struct {
	opts    Options
	now     func() time.Time
	current atomic.Pointer[contents]
	looked  atomic.Int64 // when the files were looked at last, in nanoseconds
	looking sync.Mutex   // held by the handshake that looks
	refused []stamp      // of files that could not be used: said once
}

// contents is what the files had when they had certain stamps.
type contents struct {
	stamps []stamp
	certs  []tls.Certificate
	cas    *x509.CertPool
}

// stamp tells a file from the one that was at its path before.
type stamp struct {
	info os.FileInfo
	err  string
}

func (a stamp) same(b stamp) bool {
	if a.info == nil || b.info == nil {
		return a.info == nil && b.info == nil && a.err == b.err
	}
	return os.SameFile(a.info, b.info) && a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime())
}

// lookInterval is how often the files are looked at, at most.
const lookInterval = time.Second

// Open reads the certificates.
func Open(opts Options) (*Store, error) {
	s := &Store{opts: opts, now: time.Now}
	c, err := s.read()
	if err != nil {
		return nil, err
	}
	s.current.Store(c)
	s.looked.Store(s.now().UnixNano())
	s.mention(c)
	return s, nil
}

// Config makes a server's configuration that always shows the newest certificates, and speaks one of the protocols, if there are any
// (ALPN, RFC 7301).
func (s *Store) Config(protocols ...string) *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, ClientAuth: s.opts.Clients}
	type fitted struct {
		of     *contents
		config *tls.Config
	}
	var last atomic.Pointer[fitted] // most handshakes get the same
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := s.newest()
		if f := last.Load(); f != nil && f.of == now {
			return f.config, nil
		}
		f := &fitted{now, base.Clone()}
		f.config.GetConfigForClient, f.config.Certificates, f.config.ClientCAs = nil, now.certs, now.cas
		last.Store(f)
		return f.config, nil
	}
	return base
}

// newest returns what the files have, or had before they were changed to something that can't be used.
func (s *Store) newest() *contents {
	now, looked := s.now().UnixNano(), s.looked.Load()
	if now-looked >= int64(lookInterval) && s.looked.CompareAndSwap(looked, now) {
		s.look()
	}
	return s.current.Load()
}

// look reads the files again if they have changed.
func (s *Store) look() {
	if !s.looking.TryLock() {
		return
	}
	defer s.looking.Unlock()
	stamps := s.stamps()
	if slices.EqualFunc(stamps, s.current.Load().stamps, stamp.same) || slices.EqualFunc(stamps, s.refused, stamp.same) {
		return
	}
	c, err := s.read()
	if err != nil {
		s.refused = stamps
		s.opts.Log.Warn("the TLS certificates stay as they were: what their files have now can't be used", "error", err)
		return
	}
	s.refused = nil
	s.current.Store(c)
	s.opts.Log.Info("TLS certificates were read again", "valid_until", c.certs[0].Leaf.NotAfter.UTC().Format(time.RFC3339))
	s.mention(c)
}

// mention warns of certificates that clients won't accept.
func (s *Store) mention(c *contents) {
	for i, cert := range c.certs {
		switch leaf, now := cert.Leaf, s.now(); {
		case now.After(leaf.NotAfter):
			s.opts.Log.Warn("a TLS certificate has expired", "file", s.opts.Pairs[i].Cert, "expired", leaf.NotAfter.UTC().Format(time.RFC3339))
		case now.Before(leaf.NotBefore):
			s.opts.Log.Warn("a TLS certificate is not valid yet", "file", s.opts.Pairs[i].Cert,
				"valid_from", leaf.NotBefore.UTC().Format(time.RFC3339))
		}
	}
}

// stamps are those of all the files.
func (s *Store) stamps() []stamp {
	var all []stamp
	for _, p := range s.opts.Pairs {
		all = append(all, stampOf(p.Cert), stampOf(p.Key))
	}
	if s.opts.ClientCAs != "" {
		all = append(all, stampOf(s.opts.ClientCAs))
	}
	return all
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{err: err.Error()}
	}
	return stamp{info: info}
}

// read reads all the files. If one changes meanwhile, its stamp has changed, too: they are read again next time.
func (s *Store) read() (*contents, error) {
	c := &contents{stamps: s.stamps()}
	for _, p := range s.opts.Pairs {
		cert, err := ReadPair(p, s.opts.Password)
		if err != nil {
			return nil, err
		}
		c.certs = append(c.certs, cert)
	}
	if s.opts.ClientCAs != "" {
		text, err := readFile(s.opts.ClientCAs)
		if err != nil {
			return nil, err
		}
		if c.cas = x509.NewCertPool(); !c.cas.AppendCertsFromPEM(text) {
			return nil, &Error{File: s.opts.ClientCAs, Problem: "no certificate (PEM) is in it"}
		}
	}
	return c, nil
}

// Error is what is wrong with a file.
type Error struct {
	File    string
	Problem string
	Hint    string
}

// Error names the file and the problem.
func (e *Error) Error() string { return fmt.Sprintf("can't use `%s`: %s", e.File, e.Problem) }

// mostRead is the largest file that is read.
const mostRead = 4 << 20

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > mostRead {
		return nil, &Error{File: path, Problem: "it is too large for certificates"}
	}
	text, err := os.ReadFile(path)
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return nil, &Error{File: path, Problem: pe.Err.Error()}
	}
	return text, err
}

// ReadPair reads a certificate and its key.
func ReadPair(p Pair, password string) (tls.Certificate, error) {
	chain, err := readFile(p.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	var cert tls.Certificate
	for block := range blocks(chain) {
		if block.Type == "CERTIFICATE" {
			cert.Certificate = append(cert.Certificate, block.Bytes)
		}
	}
	if len(cert.Certificate) == 0 {
		return cert, &Error{File: p.Cert, Problem: "no certificate (PEM) is in it"}
	}
	if cert.Leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
		return cert, &Error{File: p.Cert, Problem: err.Error()}
	}
	key, err := readKey(p.Key, password)
	if err != nil {
		return cert, err
	}
	public, ok := cert.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return cert, &Error{
			File: p.Key, Problem: fmt.Sprintf("it is not the private key of the certificate in `%s`", p.Cert),
			Hint: "the certificate of the server itself comes first in its file, those that have signed it behind",
		}
	}
	cert.PrivateKey = key
	return cert, nil
}

// readKey reads the first private key of a file.
func readKey(path, password string) (crypto.Signer, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	for block := range blocks(text) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		key, err := parseKey(block, password)
		if err != nil {
			err.File = path
			return nil, err
		}
		return key, nil
	}
	return nil, &Error{File: path, Problem: "no private key (PEM) is in it"}
}

func parseKey(block *pem.Block, password string) (crypto.Signer, *Error) {
	var key any
	var err error
	switch {
	case block.Headers["DEK-Info"] != "":
		return nil, &Error{
			Problem: "the key is encrypted in a way that is not safe any more", Hint: "convert it: `openssl pkcs8 -topk8 -in OLD -out NEW`",
		}
	case block.Type == "ENCRYPTED PRIVATE KEY" && password == "":
		return nil, &Error{Problem: "the key is encrypted", Hint: "give its password with `--ssl-keyfile-password`"}
	case block.Type == "ENCRYPTED PRIVATE KEY":
		if key, err = pkcs8.ParsePKCS8PrivateKey(block.Bytes, []byte(password)); err != nil {
			return nil, &Error{Problem: "the key can't be decrypted", Hint: "is the password of `--ssl-keyfile-password` right?"}
		}
	case block.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, &Error{Problem: err.Error()}
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, &Error{Problem: "the key is of a kind that can't sign"}
	}
	return signer, nil
}

// blocks are those of a PEM text.
func blocks(text []byte) func(yield func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		for {
			var block *pem.Block
			if block, text = pem.Decode(text); block == nil || !yield(block) {
				return
			}
		}
	}
}
