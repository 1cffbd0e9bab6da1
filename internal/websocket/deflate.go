package websocket

import "strconv"

// Deflate is what was agreed on about permessage-deflate (RFC 7692 §7.1).
type Deflate struct {
	On               bool
	ServerNoTakeover bool  // the server compresses each message on its own
	ClientNoTakeover bool  // so does the client
	clientBits       uint8 // the client may use a window of so many bits at most; 0: it did not ask
}

// maxBits is the size of the largest window, and the only one that our compressor has.
const maxBits = 15

// negotiate chooses from the offers of a Sec-WebSocket-Extensions field: the first that can be taken.
func negotiate(list []byte, takeover bool) Deflate {
	for len(list) > 0 {
		var offer []byte
		if offer, list = cutList(list, ','); len(offer) > 0 {
			if d, ok := take(offer, takeover); ok {
				return d
			}
		}
	}
	return Deflate{}
}

// take looks whether an offer can be taken. A parameter that is unknown, given twice or not as it should be makes it void (§7.1).
func take(offer []byte, takeover bool) (d Deflate, ok bool) {
	name, rest := cutList(offer, ';')
	if !isFold(name, "permessage-deflate") {
		return d, false
	}
	d = Deflate{On: true, ServerNoTakeover: !takeover, ClientNoTakeover: !takeover}
	seen := [4]bool{}
	for len(rest) > 0 {
		var parameter []byte
		parameter, rest = cutList(rest, ';')
		key, value := cutList(parameter, '=')
		has := len(key) < len(parameter)
		which := -1
		switch {
		case isFold(key, "server_no_context_takeover"):
			which, ok = 0, !has
			d.ServerNoTakeover = true
		case isFold(key, "client_no_context_takeover"):
			which, ok = 1, !has
			d.ClientNoTakeover = true
		case isFold(key, "server_max_window_bits"):
			bits, valid := windowBits(value)
			which, ok = 2, valid && bits == maxBits // a smaller window is not ours to give
		case isFold(key, "client_max_window_bits"):
			bits, valid := windowBits(value)
			which, ok = 3, valid || !has
			d.clientBits = maxBits
			if has {
				d.clientBits = bits
			}
		}
		if which < 0 || !ok || seen[which] {
			return Deflate{}, false
		}
		seen[which] = true
	}
	return d, true
}

// windowBits reads a number from 8 to 15 without leading zeros, quoted or not.
func windowBits(value []byte) (uint8, bool) {
	text, _ := cutList(value, ';')
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	n, err := strconv.ParseUint(string(text), 10, 8)
	return uint8(n), err == nil && n >= 8 && n <= maxBits && text[0] != '0'
}

// appendField appends the field that tells the client what was agreed on.
func (d Deflate) appendField(dst []byte) []byte {
	if !d.On {
		return dst
	}
	dst = append(dst, "sec-websocket-extensions: permessage-deflate"...)
	if d.ServerNoTakeover {
		dst = append(dst, "; server_no_context_takeover"...)
	}
	if d.ClientNoTakeover {
		dst = append(dst, "; client_no_context_takeover"...)
	}
	if d.clientBits != 0 && d.clientBits != maxBits {
		dst = strconv.AppendUint(append(dst, "; client_max_window_bits="...), uint64(d.clientBits), 10)
	}
	return append(dst, "\r\n"...)
}
