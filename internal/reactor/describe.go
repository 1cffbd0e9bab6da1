package reactor

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
)

// described is what an application may know of a connection's TLS: the keys of ASGI's extension `tls`, and the cipher's name.
type described struct {
	Version    uint16   `json:"tls_version"`
	Cipher     uint16   `json:"cipher_suite"`
	CipherName string   `json:"cipher_name"`
	Server     string   `json:"server_name,omitempty"` // that the client has asked for
	ClientName string   `json:"client_cert_name,omitempty"`
	Chain      []string `json:"client_cert_chain,omitempty"` // PEM
}

// describe makes JSON of what a handshake has agreed on (docs/reference/wire.md). A chain that is too long for a frame is cut after
// the client's own certificate.
func describe(state *tls.ConnectionState) []byte {
	d := described{
		Version: state.Version, Cipher: state.CipherSuite, CipherName: tls.CipherSuiteName(state.CipherSuite), Server: state.ServerName,
	}
	total := 0
	for i, cert := range state.PeerCertificates {
		if i == 0 {
			d.ClientName = cert.Subject.String()
		}
		text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
		if total += len(text); total > mostChain && i > 0 {
			break
		}
		d.Chain = append(d.Chain, text)
	}
	text, err := json.Marshal(&d)
	if err != nil || len(text) > mostDescribed {
		return []byte("{}")
	}
	return text
}

// How long certificates may be: they go with every request.
const (
	mostChain     = 6 << 10
	mostDescribed = 10 << 10
)
