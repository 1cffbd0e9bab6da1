package websocket

import (
	"errors"
	"fmt"

	"github.com/awaitd/awaitd/internal/exchange"
)

// Errors of an Acceptance: the application's mistakes. What AppendLines returns wraps one of them.
var (
	ErrSubprotocol   = errors.New("the client did not offer the subprotocol")
	ErrAcceptedName  = errors.New("invalid field name in the answer to a WebSocket handshake")
	ErrAcceptedValue = errors.New("invalid field value in the answer to a WebSocket handshake")
	ErrAcceptedField = errors.New("the server's own field in the answer to a WebSocket handshake")
)

// Judge tells whether an application's word can go out: its subprotocol is one of those that the client offered, and its fields are
// none of those that the server sets, and well-formed.
func (o *Offer) Judge(a *exchange.Acceptance) error {
	if p := a.Subprotocol.Of(a.Buf); len(p) > 0 && !o.offered(p) {
		return fmt.Errorf("%w: %.80q", ErrSubprotocol, p)
	}
	for _, f := range a.Fields {
		name := f.Name.Of(a.Buf)
		switch {
		case !isToken(name):
			return fmt.Errorf("%w: %.80q", ErrAcceptedName, name)
		case !isValue(f.Value.Of(a.Buf)):
			return fmt.Errorf("%w: %.80q has a control character", ErrAcceptedValue, name)
		case isOurs(name):
			return fmt.Errorf("%w: %q", ErrAcceptedField, name)
		}
	}
	return nil
}

// isOurs tells whether a field is about the handshake, the connection, or content that a 101 does not have (RFC 9110 §8.6, §15.2.2).
func isOurs(name []byte) bool {
	if prefix := "sec-websocket-"; len(name) >= len(prefix) && isFold(name[:len(prefix)], prefix) {
		return true
	}
	for _, ours := range [...]string{
		"upgrade", "connection", "content-length", "transfer-encoding", "keep-alive", "proxy-connection", "trailer", "te", "http2-settings",
	} {
		if isFold(name, ours) {
			return true
		}
	}
	return false
}

// offered tells whether the client listed a subprotocol. Their names are case-sensitive (RFC 6455 §4.1).
func (o *Offer) offered(protocol []byte) bool {
	for list := o.protocols; len(list) > 0; {
		var e []byte
		if e, list = element(list); string(e) == string(protocol) {
			return true
		}
	}
	return false
}

// AppendLines appends the fields of the answer that accepts the WebSocket, each "name: value\r\n" with the server's names in lower
// case, for the status 101 on HTTP/1.1. If the application's word can't go out, dst comes back as it was, with what Judge says.
func (o *Offer) AppendLines(dst []byte, a *exchange.Acceptance) ([]byte, error) {
	if err := o.Judge(a); err != nil {
		return dst, err
	}
	if o.upgrade {
		dst = append(dst, upgradeLines+"sec-websocket-accept: "...)
		dst = append(dst, o.accept[:]...)
		dst = append(dst, "\r\n"...)
	}
	if o.Deflate.On {
		dst = append(dst, "sec-websocket-extensions: "...)
		dst = append(o.Deflate.AppendValue(dst), "\r\n"...)
	}
	if p := a.Subprotocol.Of(a.Buf); len(p) > 0 {
		dst = append(dst, "sec-websocket-protocol: "...)
		dst = append(append(dst, p...), "\r\n"...)
	}
	for _, f := range a.Fields {
		dst = append(append(dst, f.Name.Of(a.Buf)...), ": "...)
		dst = append(append(dst, f.Value.Of(a.Buf)...), "\r\n"...)
	}
	return dst, nil
}
