package server

import (
	"crypto/tls"
	"errors"

	"github.com/awaitd/awaitd/internal/certs"
	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// openCerts reads the certificates that the settings name.
func (s *Server) openCerts() error {
	c := s.cfg
	if len(c.SSLCertFiles) == 0 || s.program != nil {
		return nil
	}
	opts := certs.Options{Password: c.SSLKeyFilePassword, ClientCAs: c.SSLCACerts, Clients: clientAuth(c), Log: s.log}
	for i, file := range c.SSLCertFiles {
		pair := certs.Pair{Cert: file, Key: file}
		if i < len(c.SSLKeyFiles) {
			pair.Key = c.SSLKeyFiles[i]
		}
		opts.Pairs = append(opts.Pairs, pair)
	}
	var err error
	s.certs, err = certs.Open(opts)
	if e, ok := errors.AsType[*certs.Error](err); ok {
		return &fault.Fault{Problem: e.Error(), Hint: e.Hint, Code: fault.Usage}
	}
	return err
}

// clientAuth is whether clients are asked for a certificate.
func clientAuth(c *config.Config) tls.ClientAuthType {
	switch c.SSLCertReqs {
	case "optional":
		return tls.VerifyClientCertIfGiven
	case "required":
		return tls.RequireAndVerifyClientCert
	}
	return tls.NoClientCert
}
