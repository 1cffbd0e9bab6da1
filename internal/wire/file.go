package wire

// FileRequest is a decoded FILE frame: a part of a file to send to the client, named by its path or by the token of a
// descriptor that came over the control socket.
type FileRequest struct {
	Path          string // empty: Token counts
	Token         uint64
	Offset, Count int64 // Count < 0: to the end
}

const fileFixed = 16

// DecodeFile decodes a FILE frame.
func DecodeFile(f Frame) (FileRequest, error) {
	if len(f.Payload) < fileFixed || uint64(f.Length) > uint64(len(f.Payload)-fileFixed) {
		return FileRequest{}, Violation("a FILE frame is too short")
	}
	fixed := [fileFixed]byte(f.Payload)
	r := FileRequest{Offset: int64(le.Uint64(fixed[0:])), Count: int64(le.Uint64(fixed[8:]))}
	if r.Offset < 0 || r.Count < -1 {
		return FileRequest{}, Violation("a FILE frame's range is out of range")
	}
	name := f.Payload[fileFixed : fileFixed+int(f.Length)]
	switch {
	case f.Aux == 0 && len(name) > 0:
		r.Path = string(name)
	case f.Aux == 1 && len(name) == 8:
		r.Token = le.Uint64([]byte(string(name)))
	default:
		return FileRequest{}, Violation("a FILE frame names no file")
	}
	return r, nil
}
