package websocket

import "strconv"

// negotiation reads Sec-WebSocket-Extensions (RFC 6455 §9.1):
//
//	list  = offer *( "," offer )
//	offer = token *( ";" token [ "=" ( token / quoted-string ) ] )
//
// Offers come in the client's order of preference; the first that can be accepted is. An offer of something unknown, or with a
// parameter that is unknown, repeated or has a wrong value, is declined (RFC 7692 §5.1, §7.1); what breaks the grammar is refused.
type negotiation struct {
	settings Settings
	agreed   Deflate
}

// params are the parameters of one offer of permessage-deflate.
type params struct {
	serverNoTakeover, clientNoTakeover bool
	clientBitsKnown                    bool // client_max_window_bits is there
	serverBits, clientBits             uint8
}

// read takes one field's value. ok is false if it breaks the grammar.
func (g *negotiation) read(list []byte) (ok bool) {
	s := scanner{rest: list}
	for {
		s.space()
		if len(s.rest) == 0 {
			return true
		}
		if s.take(',') { // an empty element (RFC 9110 §5.6.1.2)
			continue
		}
		if !g.offer(&s) {
			return false
		}
		if s.space(); len(s.rest) > 0 && !s.take(',') {
			return false
		}
	}
}

// offer reads one offer, and accepts it if it can and none was before.
func (g *negotiation) offer(s *scanner) (ok bool) {
	name := s.token()
	if len(name) == 0 {
		return false
	}
	var p params
	fits := g.settings.Deflate && !g.agreed.On && isFold(name, "permessage-deflate")
	for s.space(); s.take(';'); s.space() {
		s.space()
		name := s.token()
		if len(name) == 0 {
			return false
		}
		var value []byte
		s.space()
		given := s.take('=')
		if given {
			s.space()
			if value, ok = s.value(); !ok {
				return false
			}
		}
		fits = fits && p.set(name, value, given)
	}
	if fits {
		g.accept(&p)
	}
	return true
}

// set takes in a parameter and tells whether it is one of RFC 7692 §7.1, for the first time, with a value that it may have.
func (p *params) set(name, value []byte, given bool) bool {
	switch {
	case isFold(name, "server_no_context_takeover"):
		first := !p.serverNoTakeover
		p.serverNoTakeover = true
		return first && !given
	case isFold(name, "client_no_context_takeover"):
		first := !p.clientNoTakeover
		p.clientNoTakeover = true
		return first && !given
	case isFold(name, "server_max_window_bits"):
		first := p.serverBits == 0
		p.serverBits = windowBits(value)
		return first && p.serverBits != 0
	case isFold(name, "client_max_window_bits"):
		first := !p.clientBitsKnown
		p.clientBitsKnown = true
		if given {
			p.clientBits = windowBits(value)
		}
		return first && given == (p.clientBits != 0)
	}
	return false
}

// windowBits reads 8 to 15, without leading zeros; 0 stands for everything else.
func windowBits(b []byte) uint8 {
	switch {
	case len(b) == 1 && (b[0] == '8' || b[0] == '9'):
		return b[0] - '0'
	case len(b) == 2 && b[0] == '1' && b[1]-'0' <= 5:
		return 10 + b[1] - '0'
	}
	return 0
}

// accept answers an offer. Contexts are not kept unless the settings say so; then the client may still object.
func (g *negotiation) accept(p *params) {
	g.agreed = Deflate{
		On:             true,
		ServerTakeover: g.settings.Takeover && !p.serverNoTakeover,
		ClientTakeover: g.settings.Takeover && !p.clientNoTakeover,
		ServerBits:     maxWindowBits,
		ClientBits:     maxWindowBits,
	}
	if p.serverBits != 0 {
		g.agreed.ServerBits = p.serverBits
	}
	if p.clientBits != 0 {
		g.agreed.ClientBits = p.clientBits
	}
	g.agreed.serverBitsAsked = p.serverBits != 0
	g.agreed.clientBitsAsked = p.clientBits != 0
}

// AppendValue appends what is to be answered in Sec-WebSocket-Extensions; nothing if d is not on.
func (d Deflate) AppendValue(dst []byte) []byte {
	if !d.On {
		return dst
	}
	dst = append(dst, "permessage-deflate"...)
	if !d.ServerTakeover {
		dst = append(dst, "; server_no_context_takeover"...)
	}
	if !d.ClientTakeover {
		dst = append(dst, "; client_no_context_takeover"...)
	}
	if d.serverBitsAsked {
		dst = strconv.AppendUint(append(dst, "; server_max_window_bits="...), uint64(d.ServerBits), 10)
	}
	if d.clientBitsAsked {
		dst = strconv.AppendUint(append(dst, "; client_max_window_bits="...), uint64(d.ClientBits), 10)
	}
	return dst
}

// scanner reads the grammar's pieces.
type scanner struct{ rest []byte }

func (s *scanner) space() {
	for len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t') {
		s.rest = s.rest[1:]
	}
}

func (s *scanner) take(c byte) bool {
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) token() []byte {
	n := 0
	for n < len(s.rest) && isTokenChar(s.rest[n]) {
		n++
	}
	t := s.rest[:n]
	s.rest = s.rest[n:]
	return t
}

// value reads a token, or a quoted string that holds one (RFC 6455 §9.1).
func (s *scanner) value() (v []byte, ok bool) {
	if !s.take('"') {
		v = s.token()
		return v, len(v) > 0
	}
	for len(s.rest) > 0 {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return v, isToken(v)
		case c == '\\' && len(s.rest) > 0:
			c = s.rest[0]
			s.rest = s.rest[1:]
		}
		v = append(v, c)
	}
	return nil, false
}
