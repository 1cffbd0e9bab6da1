package websocket

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Refusal is why a handshake is refused, as a status of HTTP.
type Refusal struct {
	Status int
	Reason string
}

// VersionFields go with status 426: lines with their CRLF (RFC 6455 §4.4).
const VersionFields = "upgrade: websocket\r\nsec-websocket-version: 13\r\n"

// Refusals of a handshake (RFC 6455 §4.2.1, §4.4).
var (
	refuseMethod     = &Refusal{400, "A WebSocket is asked for with GET."}
	refuseVersion11  = &Refusal{400, "A WebSocket needs HTTP/1.1."}
	refuseConnection = &Refusal{400, "The Connection field does not say upgrade."}
	refuseKey        = &Refusal{400, "Sec-WebSocket-Key must be given once: 16 bytes in base64."}
	refuseBody       = &Refusal{400, "The handshake of a WebSocket has no body."}
	refuseVersion    = &Refusal{426, "Sec-WebSocket-Version must be 13."}
)

// Offer is what a client's handshake asks for.
type Offer struct {
	accept  [28]byte // base64 of a SHA-1
	keyed   bool
	Deflate Deflate
}

const (
	keyLength = 24 // base64 of 16 bytes
	magic     = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// Wanted says whether a request of HTTP/1.1 asks for a WebSocket: its Upgrade field names it.
func Wanted(req *exchange.Request) bool {
	for _, f := range req.Fields {
		if f.Name.Len() == len("upgrade") && isFold(f.Name.Of(req.Buf), "upgrade") && hasToken(f.Value.Of(req.Buf), "websocket") {
			return true
		}
	}
	return false
}

// Check judges the handshake of a client that wants a WebSocket by HTTP/1.1 (RFC 6455 §4.2.1). With deflate, compression is agreed on if
// the client offers it; takeover lets contexts be taken over.
func Check(req *exchange.Request, deflate, takeover bool) (o Offer, refusal *Refusal) {
	var connection, version bool
	keys := 0
	for _, f := range req.Fields {
		name, value := f.Name.Of(req.Buf), f.Value.Of(req.Buf)
		switch len(name) {
		case len("connection"):
			connection = connection || isFold(name, "connection") && hasToken(value, "upgrade")
		case len("sec-websocket-key"):
			if isFold(name, "sec-websocket-key") {
				keys++
				o.keyed = o.answer(value)
			}
		case len("sec-websocket-version"):
			version = version || isFold(name, "sec-websocket-version") && string(value) == "13"
		case len("sec-websocket-extensions"):
			if deflate && !o.Deflate.On && isFold(name, "sec-websocket-extensions") {
				o.Deflate = negotiate(value, takeover)
			}
		}
	}
	switch {
	case string(req.Method.Of(req.Buf)) != "GET":
		return o, refuseMethod
	case req.Version != exchange.HTTP11:
		return o, refuseVersion11
	case !connection:
		return o, refuseConnection
	case !version:
		return o, refuseVersion
	case keys != 1 || !o.keyed:
		return o, refuseKey
	case !req.End && req.ContentLength != 0:
		return o, refuseBody
	}
	return o, nil
}

// answer makes the answer to a key. It reports whether the key is one.
func (o *Offer) answer(key []byte) bool {
	var raw [18]byte
	if len(key) != keyLength {
		return false
	}
	if n, err := base64.StdEncoding.Decode(raw[:], key); err != nil || n != 16 {
		return false
	}
	var text [keyLength + len(magic)]byte
	copy(text[copy(text[:], key):], magic)
	sum := sha1.Sum(text[:])
	base64.StdEncoding.Encode(o.accept[:], sum[:])
	return true
}

// Errors of an Acceptance.
var (
	errSubprotocol = errors.New("the client did not offer the subprotocol")
	errField       = errors.New("the server's own field")
)

// ownFields are the server's in the answer to a handshake.
var ownFields = []string{
	"connection", "upgrade", "content-length", "transfer-encoding",
	"sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol", "sec-websocket-version",
}

// CheckAcceptance judges what an application said.
func CheckAcceptance(a *exchange.Acceptance) error {
	for _, f := range a.Fields {
		name := f.Name.Of(a.Buf)
		for _, own := range ownFields {
			if isFold(name, own) {
				return fmt.Errorf("%w: %s", errField, own)
			}
		}
	}
	return nil
}

// CheckSubprotocol finds whether the client of a request offered a subprotocol.
func CheckSubprotocol(req *exchange.Request, chosen []byte) error {
	if len(chosen) == 0 {
		return nil
	}
	for _, f := range req.Fields {
		if !isFold(f.Name.Of(req.Buf), "sec-websocket-protocol") {
			continue
		}
		for rest := f.Value.Of(req.Buf); len(rest) > 0; {
			var item []byte
			if item, rest = cutList(rest, ','); bytes.Equal(item, chosen) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: %q", errSubprotocol, chosen)
}

// AppendFields appends the fields of the answer that are the handshake's own: lines with their CRLF.
func (o *Offer) AppendFields(dst, subprotocol []byte) []byte {
	if o.keyed {
		dst = append(append(append(dst, "sec-websocket-accept: "...), o.accept[:]...), "\r\n"...)
	}
	if len(subprotocol) > 0 {
		dst = append(append(append(dst, "sec-websocket-protocol: "...), subprotocol...), "\r\n"...)
	}
	return o.Deflate.appendField(dst)
}

// isFold compares ASCII without case; lower is in lower case.
func isFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hasToken says whether a list has a token.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		var item []byte
		if item, list = cutList(list, ','); isFold(item, token) {
			return true
		}
	}
	return false
}

// cutList cuts the first item off a list, without the blanks around it. What is in quotes is left whole.
func cutList(list []byte, separator byte) (item, rest []byte) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			return bytes.Trim(list[:i], " \t"), list[i+1:]
		}
	}
	return bytes.Trim(list, " \t"), nil
}
