package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"
)

// made is a certificate with its key, in PEM.
type made struct{ cert, key []byte }

var serials int64

func make1(t *testing.T, key crypto.Signer, until time.Duration, names ...string) made {
	t.Helper()
	serials++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(until),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return made{block("CERTIFICATE", der), block("PRIVATE KEY", private)}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// put writes a file, in place of the one that is there.
func put(t *testing.T, path string, parts ...[]byte) string {
	t.Helper()
	if err := os.WriteFile(path+".new", bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// shown is the certificate that a client gets who asks for a name.
func shown(t *testing.T, cfg *tls.Config, name string) *x509.Certificate {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go func() { _ = tls.Server(there, cfg).Handshake() }()
	client := tls.Client(here, &tls.Config{ServerName: name, InsecureSkipVerify: true}) //nolint:gosec // it is looked at
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return client.ConnectionState().PeerCertificates[0]
}

func TestKeysOfEveryKindAreRead(t *testing.T) {
	dir := t.TempDir()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	ec := ecKey(t)
	ecDER, _ := x509.MarshalECPrivateKey(ec)
	encrypted, err := pkcs8.MarshalPrivateKey(ec, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  crypto.Signer
		text []byte
	}{
		"PKCS 8, RSA":     {rsaKey, nil},
		"PKCS 1":          {rsaKey, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
		"PKCS 8, Ed25519": {edKey, nil},
		"SEC 1":           {ec, append(block("EC PARAMETERS", []byte{6, 8}), block("EC PRIVATE KEY", ecDER)...)},
		"encrypted":       {ec, block("ENCRYPTED PRIVATE KEY", encrypted)},
	} {
		m := make1(t, c.key, time.Hour, "a.example")
		if c.text != nil {
			m.key = c.text
		}
		one := put(t, filepath.Join(dir, "one.pem"), m.key, m.cert)
		s, err := Open(Options{Pairs: []Pair{{one, one}}, Password: "secret", Log: silent()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := shown(t, s.Config(), "a.example"); got.Subject.CommonName != "a.example" {
			t.Errorf("%s: %v", name, got.Subject)
		}
	}
}

func TestWhatCantBeUsedIsSaid(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	key := ecKey(t)
	good, other := make1(t, key, time.Hour, "a"), make1(t, ecKey(t), time.Hour, "b")
	encrypted, _ := pkcs8.MarshalPrivateKey(key, []byte("secret"), nil)
	old := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "DES-CBC,00"}, Bytes: []byte{1},
	})
	cert, keyFile := put(t, at("cert"), good.cert), put(t, at("key"), good.key)
	for name, c := range map[string]struct {
		options    Options
		want, hint string
	}{
		"no file":        {Options{Pairs: []Pair{{at("nowhere"), keyFile}}}, "can't use `" + at("nowhere") + "`: no such file or directory", ""},
		"a folder":       {Options{Pairs: []Pair{{dir, keyFile}}}, "is a directory", ""},
		"no certificate": {Options{Pairs: []Pair{{keyFile, keyFile}}}, "no certificate (PEM) is in it", ""},
		"no key":         {Options{Pairs: []Pair{{cert, cert}}}, "no private key (PEM) is in it", ""},
		"another's key":  {Options{Pairs: []Pair{{cert, put(t, at("other"), other.key)}}}, "it is not the private key of the certificate in `" + cert, "comes first"},
		"no password":    {Options{Pairs: []Pair{{cert, put(t, at("enc"), block("ENCRYPTED PRIVATE KEY", encrypted))}}}, "the key is encrypted", "--ssl-keyfile-password"},
		"bad password":   {Options{Pairs: []Pair{{cert, at("enc")}}, Password: "guess"}, "the key can't be decrypted", "right?"},
		"old encryption": {Options{Pairs: []Pair{{cert, put(t, at("old"), old)}}}, "not safe any more", "openssl pkcs8"},
		"a broken key":   {Options{Pairs: []Pair{{cert, put(t, at("broken"), block("PRIVATE KEY", []byte("x")))}}}, "asn1", ""},
		"broken":         {Options{Pairs: []Pair{{put(t, at("bad"), block("CERTIFICATE", []byte("x"))), keyFile}}}, "x509", ""},
		"too large":      {Options{Pairs: []Pair{{put(t, at("large"), make([]byte, mostRead+1)), keyFile}}}, "too large", ""},
		"no authority":   {Options{Pairs: []Pair{{cert, keyFile}}, ClientCAs: keyFile}, "no certificate (PEM) is in it", ""},
	} {
		c.options.Log = silent()
		_, err := Open(c.options)
		e, ok := err.(*Error)
		if !ok || !strings.Contains(err.Error(), c.want) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTheCertificateOfTheNameIsShown(t *testing.T) {
	dir := t.TempDir()
	var pairs []Pair
	for _, name := range []string{"first.example", "*.wild.example", "last.example"} {
		m := make1(t, ecKey(t), time.Hour, name)
		file := put(t, filepath.Join(dir, name), m.cert, m.key)
		pairs = append(pairs, Pair{file, file})
	}
	s, err := Open(Options{Pairs: pairs, Log: silent()})
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.Config("http/1.1")
	for name, want := range map[string]string{
		"first.example": "first.example", "last.example": "last.example", "a.wild.example": "*.wild.example", "else.example": "first.example",
	} {
		if got := shown(t, cfg, name).Subject.CommonName; got != want {
			t.Errorf("%s: shown is that of %s", name, got)
		}
	}
}

func TestFilesThatChangeAreReadAgain(t *testing.T) {
	var log strings.Builder
	dir := t.TempDir()
	key := ecKey(t)
	first, second := make1(t, key, time.Hour, "a"), make1(t, ecKey(t), 2*time.Hour, "a")
	cert, keyFile := put(t, filepath.Join(dir, "cert"), first.cert), put(t, filepath.Join(dir, "key"), first.key)
	s, err := Open(Options{Pairs: []Pair{{cert, keyFile}}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	s.now = func() time.Time { return clock }
	cfg := s.Config()
	before := shown(t, cfg, "a")
	put(t, cert, second.cert)
	if !shown(t, cfg, "a").Equal(before) {
		t.Error("looked at within the second")
	}
	for range 2 { // the key is yet to come
		clock = clock.Add(2 * lookInterval)
		if !shown(t, cfg, "a").Equal(before) {
			t.Error("a certificate without its key is shown")
		}
	}
	if n := strings.Count(log.String(), "stay as they were"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	put(t, keyFile, second.key)
	clock = clock.Add(2 * lookInterval)
	if shown(t, cfg, "a").Equal(before) || !strings.Contains(log.String(), "were read again") {
		t.Errorf("the new one is not shown:\n%s", log.String())
	}
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(2 * lookInterval)
	if shown(t, cfg, "a").Equal(before) {
		t.Error("the old one is back")
	}
}

func TestCertificatesThatNoClientWillAcceptAreMentioned(t *testing.T) {
	var log strings.Builder
	m := make1(t, ecKey(t), -time.Minute, "a")
	file := put(t, filepath.Join(t.TempDir(), "a"), m.cert, m.key)
	if _, err := Open(Options{Pairs: []Pair{{file, file}}, Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "has expired") {
		t.Error(log.String())
	}
}
