package wscases

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// key returns a masking key, another one each time.
func (k *client) key() (key [4]byte) {
	k.keys = k.keys*1664525 + 1013904223
	binary.BigEndian.PutUint32(key[:], k.keys|1)
	return key
}

// send sends a frame, or a message in fragments.
func (k *client) send(s *step) error {
	f := s.frame
	payload := f.payload
	if f.deflated && f.op == 0 || f.op < 3 && k.packed {
		return errors.New("a compressed message is sent with one line")
	}
	if f.deflated {
		if !k.agreed.on {
			return errors.New("permessage-deflate was not agreed")
		}
		payload = k.pack.message(payload)
		f.first |= 0x40
	}
	k.note(&f)
	if s.size == 0 {
		return k.write(maskFrame(&f, payload, k.maskKey(&f)))
	}
	var out []byte
	for at := 0; at == 0 || at < len(payload); at += s.size {
		part := f
		end := min(at+s.size, len(payload))
		if at > 0 {
			part.op, part.first = 0, f.first&0x80
		}
		if end < len(payload) {
			part.first &^= 0x80
		}
		out = append(out, maskFrame(&part, payload[at:end], k.maskKey(&f))...)
		if s.pings {
			k.pings++
			out = append(out, maskFrame(&frame{op: 9, first: 0x80, declare: -1}, nil, k.key())...)
		}
	}
	return k.write(out)
}

func (k *client) maskKey(f *frame) [4]byte {
	if f.zeroKey {
		return [4]byte{}
	}
	return k.key()
}

// note remembers messages for "< echo".
func (k *client) note(f *frame) {
	switch f.op {
	case 1, 2:
		k.sending = message{f.op, f.payload}
	case 0:
		k.sending.payload = append(k.sending.payload[:len(k.sending.payload):len(k.sending.payload)], f.payload...)
	case 8:
		k.closing = true
		return
	default:
		return
	}
	if f.first&0x80 != 0 {
		k.sent = append(k.sent, k.sending)
	}
}

// maskFrame is a frame's bytes, right or wrong as f has it.
func maskFrame(f *frame, payload []byte, key [4]byte) []byte {
	n := len(payload)
	if f.declare >= 0 {
		n = f.declare
	}
	mask := byte(0x80)
	if f.unmasked {
		mask = 0
	}
	b := []byte{f.first | f.op}
	switch {
	case f.bits == 64 || f.bits == 0 && n > 0xffff:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	case f.bits == 16 || n > 125:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = append(b, mask|byte(n))
	}
	if f.unmasked {
		return append(b, payload...)
	}
	b = append(b, key[:]...)
	start := len(b)
	b = append(b, payload...)
	for i := range payload {
		b[start+i] ^= key[i&3]
	}
	return b
}

// read reads one frame of the server, and finds fault with everything that RFC 6455 §5 forbids it.
func (k *client) read() error {
	first, err := k.in.ReadByte()
	if err != nil {
		k.closed = true
		return fmt.Errorf("the connection ends: %w", err)
	}
	op, final := first&0x0f, first&0x80 != 0
	n, err := k.length()
	if err != nil {
		return fmt.Errorf("in a frame's header: %w", err)
	}
	compressed := first&0x40 != 0
	switch {
	case first&0x30 != 0:
		return errors.New("a reserved bit from the server")
	case op > 2 && op < 8 || op > 10:
		return fmt.Errorf("opcode %d from the server", op)
	case op >= 8 && (!final || n > 125 || compressed):
		return errors.New("a control frame that is fragmented, too long or compressed")
	case op == 0 && (!k.inside || compressed):
		return errors.New("a continuation of nothing, or one that says it is compressed")
	case (op == 1 || op == 2) && k.inside:
		return errors.New("a new message inside another")
	case compressed && !k.agreed.on:
		return errors.New("a compressed message without permessage-deflate")
	case n > 1<<30:
		return fmt.Errorf("a frame of %d bytes", n)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(k.in, payload); err != nil {
		return fmt.Errorf("in a frame's payload: %w", err)
	}
	if op >= 8 {
		return k.control(op, payload)
	}
	if op != 0 {
		k.coming, k.unpacks = message{op: op}, compressed
	}
	k.coming.payload = append(k.coming.payload, payload...)
	if k.inside = !final; final {
		return k.whole()
	}
	return nil
}

// length reads a frame's length, which is in its shortest form, and not masked.
func (k *client) length() (uint64, error) {
	second, err := k.in.ReadByte()
	if err != nil || second < 126 {
		return uint64(second), err
	}
	if second&0x80 != 0 {
		return 0, errors.New("the server masks")
	}
	size, least := 2, uint64(126)
	if second == 127 {
		size, least = 8, 0x10000
	}
	var b [8]byte
	_, err = io.ReadFull(k.in, b[8-size:])
	n := binary.BigEndian.Uint64(b[:])
	if err == nil && n < least {
		err = fmt.Errorf("the length %d in %d bytes", n, size)
	}
	return n, err
}

// control takes in a control frame.
func (k *client) control(op byte, payload []byte) error {
	switch op {
	case 9:
		return k.write(maskFrame(&frame{op: 10, first: 0x80, declare: -1}, payload, k.key()))
	case 8:
		k.closed = true
		if len(payload) == 1 || len(payload) > 1 && !sendable(int(binary.BigEndian.Uint16(payload))) || len(payload) > 2 && !utf8.Valid(payload[2:]) {
			return fmt.Errorf("the server closes with %q", payload)
		}
	}
	k.controls = append(k.controls, message{op, payload})
	return nil
}

// sendable tells whether a close code may be on the wire (RFC 6455 §7.4).
func sendable(code int) bool {
	return code >= 1000 && code < 5000 && code != 1004 && code != 1005 && code != 1006 && (code < 1015 || code >= 3000)
}

// whole takes in a message that is complete.
func (k *client) whole() (err error) {
	if k.unpacks {
		if k.coming.payload, err = k.unpack.message(k.coming.payload); err != nil {
			return fmt.Errorf("in compressed data: %w", err)
		}
	}
	if k.coming.op == 1 && !utf8.Valid(k.coming.payload) {
		return errors.New("the server sends text that is not UTF-8")
	}
	k.messages = append(k.messages, k.coming)
	return nil
}
