package websocket

import (
	"crypto/sha1"
	"encoding/base64"

	"github.com/awaitd/awaitd/internal/exchange"
)

// keyGUID is what RFC 6455 §1.3 has the server put behind the client's key.
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	keyText    = 24 // 16 bytes in base64
	acceptText = 28 // a SHA-1 in base64
)

// Offer is what is to be remembered of a handshake until the application has answered it.
type Offer struct {
	Deflate   Deflate // what was agreed; for Reader.Reset and Writer.Reset
	accept    [acceptText]byte
	upgrade   bool   // HTTP/1.1, where the answer tells of the upgrade and has the key's answer
	protocols []byte // a copy of the subprotocols, as the client listed them
}

// Refusal is a handshake that can't be accepted. It is answered with Status and, if there are any, Lines; the connection lives on.
// All values are predeclared below.
type Refusal struct {
	Status int
	Reason string
	Lines  string // more fields of the answer, each "name: value\r\n"; with Upgrade, its Connection says so
}

// Error returns the reason.
func (r *Refusal) Error() string { return r.Reason }

// Refusals (RFC 6455 §4.2.1).
var (
	ErrMethod     = &Refusal{Status: 400, Reason: "the method of a WebSocket handshake is GET"}
	ErrContent    = &Refusal{Status: 400, Reason: "a WebSocket handshake has no content"}
	ErrConnection = &Refusal{Status: 400, Reason: "Connection without upgrade"}
	ErrKeyMissing = &Refusal{Status: 400, Reason: "Sec-WebSocket-Key is missing"}
	ErrKeyTwice   = &Refusal{Status: 400, Reason: "more than one Sec-WebSocket-Key"}
	ErrKey        = &Refusal{Status: 400, Reason: "Sec-WebSocket-Key is not 16 bytes in base64"}
	ErrExtensions = &Refusal{Status: 400, Reason: "malformed Sec-WebSocket-Extensions"}
	ErrVersion    = &Refusal{Status: 426, Reason: "the only version of WebSocket known here is 13", Lines: versionLine + upgradeLine}
	// ErrVersionCONNECT is ErrVersion where there is no Upgrade: HTTP/2 and 3.
	ErrVersionCONNECT = &Refusal{Status: 400, Reason: "the only version of WebSocket known here is 13", Lines: versionLine}
)

const (
	versionLine  = "sec-websocket-version: 13\r\n"
	upgradeLine  = "upgrade: websocket\r\n"
	upgradeLines = upgradeLine + "connection: upgrade\r\n"
)

// Wanted tells whether a request asks for the upgrade to WebSocket. A protocol asks only about requests with an Upgrade field. On
// HTTP/1.0 there is none, whatever the field says (RFC 9110 §7.8).
func Wanted(req *exchange.Request) bool {
	if req.Version != exchange.HTTP11 {
		return false
	}
	for _, f := range req.Fields {
		if f.Name.Len() == len("upgrade") && isFold(f.Name.Of(req.Buf), "upgrade") && lists(f.Value.Of(req.Buf), "websocket") {
			return true
		}
	}
	return false
}

// seen is what a handshake's fields say.
type seen struct {
	key, version       []byte
	keys, versions     int
	upgrade, malformed bool // Connection has the option; Sec-WebSocket-Extensions breaks the grammar
}

// Check judges a handshake: on HTTP/1.1 a request that is Wanted (RFC 6455 §4.2.1), on HTTP/2 and 3 an extended CONNECT with the protocol
// websocket, which has neither key nor upgrade (RFC 8441 §5, RFC 9220). Either the Refusal is nil, or o holds nothing of use. What
// the request's Origin is worth, the application decides.
func (e *Engine) Check(req *exchange.Request, o *Offer) *Refusal {
	*o = Offer{upgrade: req.Version < exchange.HTTP2}
	var s seen
	g := negotiation{settings: e.settings}
	for _, f := range req.Fields {
		s.note(f.Name.Of(req.Buf), f.Value.Of(req.Buf), &g, o)
	}
	if o.upgrade {
		if r := s.checkUpgrade(req); r != nil {
			return r
		}
	}
	switch {
	case s.versions != 1 || string(s.version) != "13":
		if o.upgrade {
			return ErrVersion
		}
		return ErrVersionCONNECT
	case s.malformed:
		return ErrExtensions
	}
	if o.upgrade {
		o.accept = acceptKey(s.key)
	}
	o.Deflate = g.agreed
	return nil
}

// note takes in a field.
func (s *seen) note(name, value []byte, g *negotiation, o *Offer) {
	switch len(name) {
	case len("connection"):
		s.upgrade = s.upgrade || isFold(name, "connection") && lists(value, "upgrade")
	case len("sec-websocket-key"):
		if isFold(name, "sec-websocket-key") {
			s.key = value
			s.keys++
		}
	case len("sec-websocket-version"):
		if isFold(name, "sec-websocket-version") {
			s.version = value
			s.versions++
		}
	case len("sec-websocket-protocol"):
		if isFold(name, "sec-websocket-protocol") {
			o.protocols = append(append(o.protocols, value...), ',')
		}
	case len("sec-websocket-extensions"):
		if isFold(name, "sec-websocket-extensions") {
			s.malformed = !g.read(value) || s.malformed
		}
	}
}

// checkUpgrade checks what only HTTP/1.1 has.
func (s *seen) checkUpgrade(req *exchange.Request) *Refusal {
	switch {
	case string(req.Method.Of(req.Buf)) != "GET":
		return ErrMethod
	case !req.End || len(req.Body) > 0:
		return ErrContent
	case !s.upgrade:
		return ErrConnection
	case s.keys == 0:
		return ErrKeyMissing
	case s.keys > 1:
		return ErrKeyTwice
	case !validKey(s.key):
		return ErrKey
	}
	return nil
}

// validKey tells whether a key is 16 bytes in base64. The bits that are left over in its last digit may be anything, as everywhere.
func validKey(key []byte) bool {
	var b [keyText]byte
	n, err := base64.StdEncoding.Decode(b[:], key[:min(len(key), keyText)])
	return err == nil && n == 16 && len(key) == keyText
}

// acceptKey answers the client's key (RFC 6455 §4.2.2).
func acceptKey(key []byte) (accept [acceptText]byte) {
	var both [keyText + len(keyGUID)]byte
	sum := sha1.Sum(append(append(both[:0], key...), keyGUID...))
	base64.StdEncoding.Encode(accept[:], sum[:])
	return accept
}
