package wire

// FileRequest is a decoded FILE frame: a part of a file to send to the client. The file is a descriptor that came, or is to come,
// over the control socket under the token. No frame names a file by its path: a worker has no more to send than it could open.
type FileRequest struct {
	Token         uint64
	Offset, Count int64 // Count < 0: to the end
}

const (
	fileSize  = 24 // of the payload
	fileToken = 1  // aux: by token
)

// DecodeFile decodes a FILE frame.
func DecodeFile(f Frame) (FileRequest, error) {
	if len(f.Payload) < fileSize || f.Length != 8 || f.Aux != fileToken {
		return FileRequest{}, Violation("a FILE frame that names no descriptor")
	}
	b := [fileSize]byte(f.Payload)
	r := FileRequest{Offset: int64(le.Uint64(b[0:])), Count: int64(le.Uint64(b[8:])), Token: le.Uint64(b[16:])}
	if r.Offset < 0 || r.Count < -1 {
		return FileRequest{}, Violation("a FILE frame's range is out of range")
	}
	return r, nil
}
