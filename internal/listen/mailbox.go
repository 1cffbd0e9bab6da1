package listen

import (
	"net"
	"os"
	"path/filepath"
)

// Mailbox is a unix datagram socket at which processes of this machine leave word.
type Mailbox struct {
	Name string // its path, or behind an @ its abstract name

	conn *net.UnixConn
	room string // the folder that was made for it; empty: none
}

// NewMailbox opens a mailbox under a name that the kernel picks, or in a folder of its own that nobody else may enter.
func NewMailbox() (*Mailbox, error) {
	m := &Mailbox{}
	if !autobinds {
		room, err := os.MkdirTemp("", "awaitd-")
		if err != nil {
			return nil, err
		}
		m.room, m.Name = room, filepath.Join(room, "notify")
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: m.Name})
	if err == nil {
		err = nameSenders(conn)
	}
	if m.conn = conn; err != nil {
		m.Close()
		return nil, err
	}
	m.Name = conn.LocalAddr().String()
	return m, nil
}

// Sender is a process that has left word. Without an id the kernel does not tell which.
type Sender struct{ PID, UID int }

// maxWord is the longest datagram that is read; what is longer is cut.
const maxWord = 4 << 10

// Receive waits for the next datagram. Descriptors that came along are closed: who waits for that (systemd-notify does) knows then
// that the word has arrived. It ends by Close.
func (m *Mailbox) Receive() (word []byte, from Sender, err error) {
	word = make([]byte, maxWord)
	var more [256]byte
	n, rest, _, _, err := m.conn.ReadMsgUnix(word, more[:])
	if err != nil {
		return nil, Sender{}, err
	}
	return word[:n], openMore(more[:rest]), nil
}

// Close closes the mailbox.
func (m *Mailbox) Close() {
	if m.conn != nil {
		_ = m.conn.Close()
	}
	if m.room != "" {
		_ = os.RemoveAll(m.room)
	}
}
