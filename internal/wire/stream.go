package wire

// A stream id is a direction bit, a generation and a slot; see docs/reference/wire.md.
const (
	slotBits       = 20
	generationBits = 11

	// MaxStreams is how many streams of one direction a link can carry at once.
	MaxStreams = 1 << slotBits

	fromWorker = 1 << 31
)

// StreamID makes the id of a stream that the server opens.
func StreamID(slot, generation uint32) uint32 {
	return slot&(MaxStreams-1) | generation&(1<<generationBits-1)<<slotBits
}

// Slot returns the slot of a stream id; ok is false for a stream that the worker opened.
func Slot(id uint32) (slot uint32, ok bool) { return id & (MaxStreams - 1), id&fromWorker == 0 }
