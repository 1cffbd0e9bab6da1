package dispatch

import (
	"encoding/binary"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// telling is a BROADCAST that has been read, and is given to one WebSocket after the other, over several turns if there are many.
// Its frame stays in the ring meanwhile.
type telling struct {
	exchange.Broadcast
	ids []byte // of the streams that are still to be told; shared memory
}

// left says whether somebody has not been told.
func (t *telling) left() bool { return len(t.ids) > 0 }

const idSize = 4

func (l *link) handleBroadcast(f wire.Frame) error {
	ids, message, err := wire.Recipients(f)
	if err != nil {
		return err
	}
	l.endpoint.broadcasts++
	l.telling.ids = ids
	l.telling.Broadcast = exchange.Broadcast{Payload: message, Kind: exchange.MessageKind(f.Aux), ID: l.endpoint.broadcasts}
	return nil
}

// tell gives the message to at most max WebSockets, and returns to how many.
func (l *link) tell(max int) int {
	t, n := &l.telling, 0
	for ; n < max && t.left(); n++ {
		id := binary.LittleEndian.Uint32(t.ids)
		t.ids = t.ids[idSize:]
		if s := l.find(id); s != nil && s.state != late && l.check(l.tellOne(s)) {
			t.ids = nil
		}
	}
	if !t.left() {
		*t = telling{}
	}
	return n
}

func (l *link) tellOne(s *stream) error {
	if !s.accepted() || s.piped() || s.sending != 0 {
		return wire.Violation("a BROADCAST to a stream that can't be sent a message")
	}
	if err := s.spend(uint32(len(l.telling.Payload))); err != nil {
		return err
	}
	s.socket.Broadcast(&l.telling.Broadcast)
	return nil
}
