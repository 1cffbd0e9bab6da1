package wscases

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/klauspost/compress/flate"
)

const marker = "\x00\x00\xff\xff"

// packer compresses as was agreed (RFC 7692 §7.2.1).
type packer struct {
	out       bytes.Buffer
	writer    *flate.Writer
	noContext bool
}

func newPacker(a agreement) *packer {
	p := &packer{noContext: a.clientNoTakeover}
	if a.clientBits < 15 && a.on {
		p.writer, _ = flate.NewWriterWindow(&p.out, 1<<a.clientBits)
	} else {
		p.writer, _ = flate.NewWriter(&p.out, flate.DefaultCompression)
	}
	return p
}

func (p *packer) message(payload []byte) []byte {
	p.out.Reset()
	if p.noContext {
		p.writer.Reset(&p.out)
	}
	_, _ = p.writer.Write(payload)
	_ = p.writer.Flush()
	return bytes.Clone(bytes.TrimSuffix(p.out.Bytes(), []byte(marker)))
}

// unpacker inflates what the server compressed, and sees that it keeps to the window. It is written to be strict, not fast.
type unpacker struct {
	agreed  agreement
	context []byte
	in      []byte // of the message, with its marker
	bit     int
	out     []byte
	most    int // the largest distance that may be used
}

var (
	errCutOff = errors.New("deflate: the data ends too soon")
	errBlock  = errors.New("deflate: wrong block")
)

// message inflates a message, and keeps the context if so agreed.
func (u *unpacker) message(p []byte) ([]byte, error) {
	u.in, u.bit, u.out, u.most = append(p, marker...), 0, u.context, 1<<u.agreed.serverBits
	before := len(u.out)
	for u.bit < 8*len(u.in) {
		last, err := u.block()
		if err != nil {
			return nil, err
		}
		if rest := 8*len(u.in) - u.bit; last && rest > 0 {
			return nil, fmt.Errorf("deflate: %d bits behind the last block", rest)
		}
	}
	message := u.out[before:]
	u.context = nil
	if !u.agreed.serverNoTakeover {
		u.context = bytes.Clone(u.out[max(0, len(u.out)-u.most):])
	}
	return message, nil
}

// bits reads n bits, the lowest first.
func (u *unpacker) bits(n int) (v int, err error) {
	if u.bit+n > 8*len(u.in) {
		return 0, errCutOff
	}
	for i := range n {
		v |= int(u.in[u.bit/8]>>(u.bit%8)&1) << i
		u.bit++
	}
	return v, nil
}

// block reads one block (RFC 1951 §3.2.3).
func (u *unpacker) block() (last bool, err error) {
	head, err := u.bits(3)
	if err != nil {
		return false, err
	}
	switch head >> 1 {
	case 0:
		err = u.stored()
	case 1:
		lengths := make([]int, 288)
		for i := range lengths {
			lengths[i] = [...]int{8, 9, 7, 8}[ranges(i)]
		}
		err = u.codes(newCode(lengths), newCode(bytes32(5)))
	case 2:
		err = u.dynamic()
	default:
		err = errBlock
	}
	return head&1 != 0, err
}

// ranges are those of the fixed code (RFC 1951 §3.2.6).
func ranges(symbol int) int {
	switch {
	case symbol < 144:
		return 0
	case symbol < 256:
		return 1
	case symbol < 280:
		return 2
	}
	return 3
}

func bytes32(n int) []int {
	lengths := make([]int, 30)
	for i := range lengths {
		lengths[i] = n
	}
	return lengths
}

func (u *unpacker) stored() error {
	at := (u.bit + 7) / 8
	if at+4 > len(u.in) {
		return errCutOff
	}
	n := int(u.in[at]) | int(u.in[at+1])<<8
	if n^0xffff != int(u.in[at+2])|int(u.in[at+3])<<8 {
		return errBlock
	}
	if at += 4; at+n > len(u.in) {
		return errCutOff
	}
	u.out = append(u.out, u.in[at:at+n]...)
	u.bit = 8 * (at + n)
	return nil
}

// code is a Huffman code: how many codes have each length, and the symbols in their order (RFC 1951 §3.2.2).
type code struct {
	count   [16]int
	symbols []int
}

func newCode(lengths []int) *code {
	c := &code{}
	for length := 1; length < 16; length++ {
		for symbol, l := range lengths {
			if l == length {
				c.count[length]++
				c.symbols = append(c.symbols, symbol)
			}
		}
	}
	return c
}

// symbol reads the next one.
func (u *unpacker) symbol(c *code) (int, error) {
	word, first, index := 0, 0, 0
	for length := 1; length < 16; length++ {
		b, err := u.bits(1)
		if err != nil {
			return 0, err
		}
		word |= b
		if word-first < c.count[length] {
			return c.symbols[index+word-first], nil
		}
		index += c.count[length]
		first = (first + c.count[length]) << 1
		word <<= 1
	}
	return 0, errBlock
}

// dynamic reads a block with its own codes (RFC 1951 §3.2.7).
func (u *unpacker) dynamic() error {
	literals, err1 := u.bits(5)
	distances, err2 := u.bits(5)
	count, err3 := u.bits(4)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	literals, distances = literals+257, distances+1
	order := [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	lengths := make([]int, 19)
	for _, at := range order[:count+4] {
		var err error
		if lengths[at], err = u.bits(3); err != nil {
			return err
		}
	}
	c, all := newCode(lengths), []int{}
	for len(all) < literals+distances {
		s, err := u.symbol(c)
		if err != nil {
			return err
		}
		value, extra, least := s, 0, 1
		switch s {
		case 16:
			if len(all) == 0 {
				return errBlock
			}
			value, extra, least = all[len(all)-1], 2, 3
		case 17:
			value, extra, least = 0, 3, 3
		case 18:
			value, extra, least = 0, 7, 11
		}
		n, err := u.bits(extra)
		if err != nil {
			return err
		}
		for range n + least {
			all = append(all, value)
		}
	}
	if len(all) != literals+distances {
		return errBlock
	}
	return u.codes(newCode(all[:literals]), newCode(all[literals:]))
}

// Bases and extra bits of lengths and distances (RFC 1951 §3.2.5).
var (
	lengthBase    = [...]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra   = [...]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase  = [...]int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceExtra = [...]int{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// codes reads literals and matches to the block's end.
func (u *unpacker) codes(literals, distances *code) error {
	for {
		s, err := u.symbol(literals)
		switch {
		case err != nil:
			return err
		case s < 256:
			u.out = append(u.out, byte(s))
			continue
		case s == 256:
			return nil
		case s-257 >= len(lengthBase):
			return errBlock
		}
		n, err1 := u.bits(lengthExtra[s-257])
		d, err2 := u.symbol(distances)
		if err := errors.Join(err1, err2); err != nil || d >= len(distanceBase) {
			return errors.Join(errBlock, err)
		}
		extra, err := u.bits(distanceExtra[d])
		distance := distanceBase[d] + extra
		if err != nil || distance > len(u.out) || distance > u.most {
			return fmt.Errorf("deflate: a distance of %d after %d bytes, in a window of %d: %w", distance, len(u.out), u.most, errors.Join(errBlock, err))
		}
		for range lengthBase[s-257] + n {
			u.out = append(u.out, u.out[len(u.out)-distance])
		}
	}
}
