// Package wire is how the server and a worker talk: links of two rings in shared memory, doorbells, and the frames on them.
//
// docs/reference/wire.md specifies the layout; python/awaitd/_wire is the other side of it, and testdata/vectors.json holds
// frames that both sides are tested with. The server's half lives here and trusts nothing that a worker can write: indices that
// the server owns are kept in private memory, a frame's header is copied before it is looked at, every length is checked, and a
// violation is an error that names the rule broken (see Violation). The caller kills the worker for it.
//
// Rings use sync/atomic on the mapped memory and nothing else: one producer, one consumer, no locks.
package wire

import "encoding/binary"

// Version of the wire; both sides compare it first.
const Version = 1

// Magic opens a link's memory: "AWLK".
const Magic = 0x4b4c5741

// Ring sizes. A ring touches all of its pages in time, so they stay small; a frame is at most a quarter of its ring.
const (
	MinRing     = 16 << 10
	DefaultRing = 256 << 10
	MaxRing     = 16 << 20
)

// Layout of a link's memory.
const (
	offMagic   = 0
	offVersion = 4
	offSize    = 8

	offToWorker = 64  // four words of the to-worker ring, a cache line each
	offToServer = 320 // the same for the to-server ring

	offHead            = 0
	offTail            = 64
	offConsumerWaiting = 128
	offProducerWaiting = 192

	headerPage = 4096
)

// HeaderSize is the length of a frame's header.
const HeaderSize = 16

// pad is the stream of a frame that only fills the ring up to its end.
const pad = 0xFFFFFFFF

// le is the byte order of the wire.
var le = binary.LittleEndian

// Type of a frame.
type Type uint8

// Frame types.
const (
	Open      Type = 1
	Data      Type = 2
	End       Type = 3
	Reset     Type = 4
	Window    Type = 5
	Head      Type = 6
	Inform    Type = 7
	File      Type = 8
	Accept    Type = 9
	Message   Type = 10
	Close     Type = 11
	Command   Type = 13
	Reply     Type = 14
	Ping      Type = 15
	Pong      Type = 16
	Debug     Type = 17
	Broadcast Type = 18
)

// Flags of a frame.
const (
	EndStream     = 1  // the sender's side of the stream ends with this frame
	HasTrailers   = 2  // on Head: an End with trailers follows
	More          = 4  // on Message: it goes on in the next Message
	WantsContinue = 8  // on Open: the client waits for 100
	WantsPings    = 16 // on Accept: the application hears of the client's pings and pongs
)

// Code of a Reset.
type Code uint16

// Reset codes.
const (
	Cancelled     Code = 0
	AppError      Code = 1
	Deadline      Code = 2
	Stopping      Code = 3
	Refused       Code = 4
	ProtocolError Code = 5
	TooLarge      Code = 6
)

// Violation is a rule of the wire that a worker broke. It is an error; the text names the rule.
type Violation string

// Error returns the rule that was broken.
func (v Violation) Error() string { return "wire violation: " + string(v) }

// Header is a frame's header, copied out of the ring.
type Header struct {
	Size   uint32
	Stream uint32
	Type   Type
	Flags  uint8
	Aux    uint16
	Length uint32
}

// put writes the header at the start of b.
func (h Header) put(b []byte) {
	_ = b[HeaderSize-1]
	le.PutUint32(b[0:], h.Size)
	le.PutUint32(b[4:], h.Stream)
	b[8] = byte(h.Type)
	b[9] = h.Flags
	le.PutUint16(b[10:], h.Aux)
	le.PutUint32(b[12:], h.Length)
}

// headerOf copies a header out of b.
func headerOf(b []byte) Header {
	_ = b[HeaderSize-1]
	return Header{
		Size:   le.Uint32(b[0:]),
		Stream: le.Uint32(b[4:]),
		Type:   Type(b[8]),
		Flags:  b[9],
		Aux:    le.Uint16(b[10:]),
		Length: le.Uint32(b[12:]),
	}
}

// align rounds n up to a multiple of 8.
func align(n int) int { return (n + 7) &^ 7 }
