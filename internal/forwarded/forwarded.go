// Package forwarded finds out who the client of a request is when proxies stand in between, from X-Forwarded-For, -Proto and
// -Host or from Forwarded (RFC 7239).
//
// Each proxy appends to those headers whom it talks to, so a list is as good as the hops that wrote it. Only the peer is known
// for certain. If it is trusted, the last element tells its own client; if that one is trusted, too, the element before tells
// the client's client, and so on:
//
//	X-Forwarded-For: 9.9.9.9, 198.51.100.7, 10.0.0.2       peer 10.0.0.1
//	                 claimed  the client    trusted             trusted
//
// The invariant: nothing that an untrusted hop wrote has a say. So lists are read from the right, over all lines of a name; the
// first hop that is not trusted is the client, and what is on its left is not even looked at. It can't break the reading of what
// is on its right either, not with a quote that it leaves open.
//
// The two families are never mixed. With one line of X-Forwarded-For, -Proto or -Host in a request, Forwarded means nothing: a
// proxy that sets the first passes a client's Forwarded through. One that sets Forwarded has to remove X-Forwarded-For, -Proto
// and -Host.
package forwarded

import (
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/http1"
)

// maxHops is how many elements of a list are looked at. Chains of proxies are shorter by far; a head of commas isn't.
const maxHops = 64

// The headers, in lower case.
const (
	xFor      = "x-forwarded-for"
	xProto    = "x-forwarded-proto"
	xHost     = "x-forwarded-host"
	forwarded = "forwarded"
)

// Apply sets the client, the scheme and the Host of a request to what trusted proxies say they are. Without a trusted peer it
// does nothing. The client's port is 0 if it isn't told.
//
// Only the value of Host changes among the fields, to a span of the header that told it. A request without Host gets one: its
// name is the end of the name "X-Forwarded-Host", or the parameter's in Forwarded.
func (t *Trust) Apply(req *exchange.Request) {
	if !t.Has(req.Client) {
		return
	}
	h := find(req)
	switch {
	case h.client.end != 0 || h.proto.end != 0 || h.host.end != 0:
		t.applyFamily(req, &h)
	case h.forwarded.end != 0:
		t.applyForwarded(req, &h)
	}
}

// headers are the fields that Apply reads.
type headers struct {
	client, proto, host list // X-Forwarded-For, -Proto, -Host
	forwarded           list
	hostField           int // index of Host, or -1
}

func find(req *exchange.Request) headers {
	h := headers{
		client:    list{name: xFor},
		proto:     list{name: xProto},
		host:      list{name: xHost},
		forwarded: list{name: forwarded, quotes: true},
		hostField: -1,
	}
	for i, f := range req.Fields {
		switch f.Name.Len() {
		case len("host"):
			if isFold(f.Name.Of(req.Buf), "host") {
				h.hostField = i
			}
		case len(forwarded):
			h.forwarded.note(req, i)
		case len(xFor):
			h.client.note(req, i)
		case len(xHost):
			h.host.note(req, i)
		case len(xProto):
			h.proto.note(req, i)
		}
	}
	return h
}

// applyFamily reads X-Forwarded-For, -Proto and -Host.
func (t *Trust) applyFamily(req *exchange.Request, h *headers) {
	hop := 0 // counted from the right; the last if there is none
	r := h.client.reader(req)
	for i := range maxHops {
		s, ok := r.next()
		if !ok {
			break
		}
		client, ok := parseNode(s.Of(req.Buf))
		if !ok {
			break
		}
		req.Client, hop = client, i
		if !t.Has(client) {
			break
		}
	}
	if s, _, ok := h.proto.pick(req, hop, h.client.count); ok {
		setScheme(req, s.Of(req.Buf))
	}
	if s, name, ok := h.host.pick(req, hop, h.client.count); ok {
		name.Start = name.End - uint32(len("host"))
		setHost(req, h.hostField, name, s)
	}
}

// applyForwarded reads Forwarded. If the last element has no address, its proto and host count all the same: they are the
// trusted peer's word.
func (t *Trust) applyForwarded(req *exchange.Request, h *headers) {
	var said element
	r := h.forwarded.reader(req)
	for i := range maxHops {
		s, ok := r.next()
		if !ok {
			break
		}
		e, ok := parseElement(req.Buf, s)
		if !ok {
			break
		}
		client, ok := parseNode(e.node.text(req.Buf))
		if ok || i == 0 {
			said = e
		}
		if !ok {
			break
		}
		req.Client = client
		if !t.Has(client) {
			break
		}
	}
	setScheme(req, said.proto.text(req.Buf))
	setHost(req, h.hostField, said.host.name, said.host.value) // one with escapes is refused: no host has a backslash
}

// setScheme leaves the scheme as it is if the word is not a known one.
func setScheme(req *exchange.Request, word []byte) {
	switch {
	case isFold(word, "https"), isFold(word, "wss"):
		req.Scheme = exchange.Secure
	case isFold(word, "http"), isFold(word, "ws"):
		req.Scheme = exchange.Plain
	}
}

func setHost(req *exchange.Request, field int, name, value exchange.Span) {
	switch {
	case !http1.ValidHost(value.Of(req.Buf)):
	case field < 0:
		req.Fields = append(req.Fields, exchange.Field{Name: name, Value: value})
	default:
		req.Fields[field].Value = value
	}
}

// isFold tells whether b is word, which is of lower-case letters and hyphens, in any case. A control character may pass for a
// hyphen: names are checked before they come here.
func isFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if c|0x20 != word[i] {
			return false
		}
	}
	return true
}
