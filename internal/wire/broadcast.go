package wire

// broadcastSize is the length of the part of a BROADCAST's payload before the streams' ids: their number, and four zero bytes.
const broadcastSize = 8

// Recipients takes a BROADCAST apart: the ids of the streams, four bytes each, and the message. Both lie in shared memory.
func Recipients(f Frame) (ids, message []byte, err error) {
	if f.Aux != 1 && f.Aux != 2 {
		return nil, nil, Violation("a BROADCAST that is neither text nor binary")
	}
	if len(f.Payload) < broadcastSize {
		return nil, nil, Violation("a BROADCAST frame without its number of streams")
	}
	count, rest := uint64(le.Uint32(f.Payload)), f.Payload[broadcastSize:]
	if count == 0 || 4*count+uint64(f.Length) > uint64(len(rest)) {
		return nil, nil, Violation("a BROADCAST for nobody, or that reaches past its frame")
	}
	return rest[:4*count], rest[4*count:][:f.Length], nil
}
