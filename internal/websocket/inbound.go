package websocket

import "github.com/awaitd/awaitd/internal/exchange"

// Inbound reads what one client sends. The zero value is not ready: use Reset.
type Inbound struct {
	reader   reader
	text     validator
	codec    *Codec
	packed   *packed // a compressed message that is under way
	window   []byte  // context takeover: the end of what the client has sent, inflated
	takeover bool
}

// Reset makes in ready for a new connection. No message is larger than limit; codec is nil if no compression was agreed on.
func (in *Inbound) Reset(limit int64, codec *Codec, d Deflate) {
	*in = Inbound{reader: reader{limit: limit, deflate: d.On}, codec: codec, takeover: d.On && !d.ClientNoTakeover}
}

// Next looks at buf, and returns the first event in it with the number of bytes that are used up. Of messages it gives at most credit bytes,
// and none without credit. After an error the connection must be closed with its code.
func (in *Inbound) Next(buf []byte, credit int) (ev Event, n int, err *Error) {
	if in.Holds() {
		ev, err = in.inflate(credit)
		return ev, 0, err
	}
	for {
		part, m, err := in.reader.next(buf[n:], credit)
		n += m
		switch {
		case err != nil || part.Kind != Part:
			return part, n, err
		case in.reader.packed:
			if in.gather(part); part.More {
				continue // it is inflated when it is whole
			}
			ev, err = in.inflate(credit)
			return ev, n, err
		case len(part.Data) == 0 && part.More:
			continue
		}
		return part, n, in.check(part)
	}
}

// Idle says whether no message is under way.
func (in *Inbound) Idle() bool { return in.reader.message == 0 && in.packed == nil }

// Holds says whether a message is here that was not given yet: Next goes on with it, without input.
func (in *Inbound) Holds() bool { return in.packed != nil && in.packed.whole }

// Waits says whether more input is of no use: a message is here, or begins, that there is no credit for.
func (in *Inbound) Waits() bool { return in.reader.inFrame || in.Holds() }

// check looks whether text is text.
func (in *Inbound) check(part Event) *Error {
	if part.Message == exchange.Text && (!in.text.write(part.Data) || !part.More && !in.text.end()) {
		return errUTF8
	}
	return nil
}

// Close gives back what is held.
func (in *Inbound) Close() {
	if in.packed != nil {
		in.codec.drop(in.packed)
		in.packed = nil
	}
	in.window = nil
}

// gather keeps a part of a compressed message.
func (in *Inbound) gather(part Event) {
	if in.packed == nil {
		in.packed = in.codec.gather(part.Message)
	}
	p := in.packed
	p.data = append(p.data, part.Data...)
	p.whole = !part.More
}

// inflate gives the next part of a compressed message that is here whole. One that may be larger than the limit is inflated twice: what
// is too big must not be passed on in part.
func (in *Inbound) inflate(credit int) (Event, *Error) {
	p := in.packed
	if !p.counted {
		if err := in.codec.count(p, in.window, in.reader.limit); err != nil || !p.counted {
			return Event{Kind: Again}, err
		}
	}
	if credit <= 0 {
		return Event{}, nil
	}
	data, end, err := in.codec.inflate(p, in.window, credit)
	if err != nil {
		return Event{}, err
	}
	if in.takeover {
		in.window = slide(in.window, data)
	}
	part := Event{Kind: Part, Data: data, Message: p.message, More: !end}
	if end {
		in.packed = nil
		in.codec.drop(p)
	}
	return part, in.check(part)
}

// slide appends to a window of what can be referred to.
func slide(window, data []byte) []byte {
	if len(data) >= windowSize {
		return append(window[:0], data[len(data)-windowSize:]...)
	}
	if over := len(window) + len(data) - windowSize; over > 0 {
		window = window[:copy(window, window[over:])]
	}
	return append(window, data...)
}
