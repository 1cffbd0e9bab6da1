// Package websocket is the WebSocket engine of a server: it judges handshakes, takes the frames of clients apart and frames what is
// sent to them, as RFC 6455 says, with the extension permessage-deflate of RFC 7692.
//
// The package is sans-I/O: bytes in, events out; it knows no socket, no clock, no goroutine and no HTTP. The life of a
// WebSocket, as its owner sees it:
//
//	Wanted, Check     the request's head → an Offer, or a Refusal to answer with
//	Offer.AppendLines the application's Acceptance → the lines of the answer, when it has been judged
//	Reader.Next       bytes from the client → parts of messages, pings, pongs, a close; or a Violation
//	Writer.Append     parts of messages → frames; AppendPing, AppendPong, AppendClose → control frames
//
// An Engine belongs to one goroutine, and so do the Readers and Writers that use it. It holds what they need only while they work on
// something: decompressors, the one compressor, buffers. A connection without a message under way is two small values
// (Reader and Writer), unless its context is kept (Settings.Takeover).
//
// It keeps these invariants. What the client sends has the same outcome however its bytes were split on their way. No message
// over the limit is held in memory: a frame's declared length counts before its payload, and of a compressed message that might
// inflate to more, the size is found out before any of it is passed on. No call does more than a bounded amount of work.
//
// Where the RFCs leave a choice, the stricter way is taken: a length that could be written shorter is an error (§5.2 has "MUST"
// for the sender only), and so is invalid UTF-8 as soon as it can be known (§8.1), not at the end of the message.
package websocket

import "math"

// Settings are a server's choices about WebSockets.
type Settings struct {
	// MaxSize is the most bytes of a message from a client, inflated and over all its fragments; 0: no limit.
	MaxSize int64
	// Deflate agrees to permessage-deflate when a client offers it.
	Deflate bool
	// Takeover keeps the compression context between messages when a client doesn't object. It compresses a stream of alike small
	// messages much better, and costs up to 32 KiB for each connection that receives compressed messages, and up to 8 KiB for
	// each that sends them. Without it a connection between two messages costs nothing.
	Takeover bool
}

// Engine is what the WebSockets of one goroutine share: the settings, and what is needed to inflate and deflate, which they have only
// for as long as they work on a message.
type Engine struct {
	settings   Settings
	limit      uint64 // settings.MaxSize, or more than there can be
	deflater   deflater
	inflations []*inflation // to be used again
	gathers    [][]byte     // likewise
	inflaters  []*inflater  // likewise; 36 KiB each
	output     []byte       // of inflating: valid until the next call
}

// NewEngine returns an Engine for the WebSockets of one goroutine.
func NewEngine(s Settings) *Engine {
	e := &Engine{settings: s, limit: math.MaxInt64}
	if s.MaxSize > 0 {
		e.limit = uint64(s.MaxSize)
	}
	return e
}

// Settings returns what the engine was made with.
func (e *Engine) Settings() Settings { return e.settings }
