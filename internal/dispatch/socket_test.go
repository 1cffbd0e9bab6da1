package dispatch

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/wire"
)

// acceptFrame is an ACCEPT with a subprotocol and one field.
func acceptFrame(id uint32, subprotocol string) []byte {
	payload := binary.LittleEndian.AppendUint16(nil, 1)
	payload = append(payload, make([]byte, 6)...)
	payload = append(payload, 3, 0, 1, 0) // the field table: "x-a: b"
	payload = append(payload, subprotocol+"x-ab"...)
	return wire.AppendFrame(nil, wire.Header{Stream: id, Type: wire.Accept, Aux: uint16(len(subprotocol))}, payload)
}

// socket opens a WebSocket and has the worker accept it.
func (s *setting) socket(w *fakeWorker) (*fakeClient, *started) {
	s.t.Helper()
	c := s.openAs(0, "ws", exchange.WebSocket)
	s.turn()
	r := w.ends[0].take()
	w.ends[0].send(acceptFrame(r.id, "chat"))
	if s.turn(); c.socket == nil {
		s.t.Fatal("not accepted")
	}
	return c, r
}

func TestAnAcceptedWebSocketLeavesItsPlaceToOthers(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 1)
	c := s.openAs(0, "ws", exchange.WebSocket)
	waiting := s.open(0, "waiting")
	s.turn()
	r := w.ends[0].take()
	if w.ends[0].take() != nil {
		t.Fatal("a second request while the handshake has the only place")
	}
	w.ends[0].send(acceptFrame(r.id, "chat"))
	s.turn()
	if c.socket.subprotocol != "chat" || c.socket.fields != 1 || w.target.Sockets() != 1 {
		t.Fatalf("%+v, %d sockets", c.socket, w.target.Sockets())
	}
	next := w.ends[0].take()
	if next == nil {
		t.Fatal("an accepted WebSocket keeps its place")
	}
	w.ends[0].head(next.id, 200, "", true)
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Close, Aux: 4000, Length: 3}, []byte("bye"))
	s.turn()
	if !waiting.ended || c.socket.closed != 4000 || c.socket.reason != "bye" {
		t.Fatalf("%v, %+v", waiting.ended, c.socket)
	}
	s.atRest()
}

func TestMessagesGoBothWaysWithCredit(t *testing.T) {
	s := newSetting(t, 1)
	s.group.MessageCost = 100
	w := s.worker("w", 1)
	c, r := s.socket(w)
	end := w.ends[0]
	end.say(wire.Header{Stream: r.id, Type: wire.Window, Length: 250}, nil)
	end.say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 1, Flags: wire.More, Length: 2}, []byte("he"))
	end.say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 1, Length: 3}, []byte("llo"))
	s.turn()
	if c.credit != 250 || !slices.Equal(c.socket.messages, []string{"1 he…", "1 llo"}) {
		t.Fatalf("credit %d, %q", c.credit, c.socket.messages)
	}
	for i, step := range []struct {
		part string
		more bool
		left int
	}{{"a", false, 150}, {strings.Repeat("b", 120), true, 30}, {"", false, -70}} {
		if left := c.stream.Message([]byte(step.part), exchange.Binary, step.more); left != step.left {
			t.Errorf("step %d leaves %d, not %d", i, left, step.left)
		}
	}
	end.say(wire.Header{Stream: r.id, Type: wire.Window, Length: 170}, nil)
	s.turn()
	if c.credit != 100 {
		t.Errorf("credit %d", c.credit)
	}
	end.take()
	if want := []string{"a", strings.Repeat("b", 120) + "…", ""}; !slices.Equal(r.messages, want) {
		t.Errorf("%q", r.messages)
	}
	c.gone = true
	c.stream.Close(exchange.CloseAbnormal, nil)
	s.turn()
	if end.take(); r.closed != exchange.CloseAbnormal {
		t.Errorf("closed with %d", r.closed)
	}
	s.atRest()
}

// spec: jobs 6
func TestPingsGoBothWays(t *testing.T) {
	s := newSetting(t, 1)
	s.group.MessageCost = 100
	w := s.worker("w", 1)
	c, r := s.socket(w)
	end := w.ends[0]
	end.say(wire.Header{Stream: r.id, Type: wire.Window, Length: 250}, nil)
	end.say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 1, Length: 1000}, make([]byte, 1000)) // all the credit
	end.say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 9, Length: 4}, []byte("ping"))
	s.turn()
	if w.violated != nil || len(c.socket.messages) != 2 || c.socket.messages[1] != "9 ping" {
		t.Fatalf("%v, %q", w.violated, c.socket.messages[1:])
	}
	if left := c.stream.Message([]byte("pong"), exchange.Pong, false); left != 150 {
		t.Errorf("a pong leaves %d", left)
	}
	s.turn()
	if end.take(); !slices.Equal(r.messages, []string{"pong"}) {
		t.Errorf("%q", r.messages)
	}
}

func TestALongMessageGoesInFramesThatFit(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 1)
	c, r := s.socket(w)
	most := w.ends[0].link.Out.MaxFrame() - wire.HeaderSize
	c.stream.Message([]byte(strings.Repeat("x", most+1)), exchange.Text, false)
	s.turn()
	w.ends[0].take()
	if want := []string{strings.Repeat("x", most) + "…", "x"}; !slices.Equal(r.messages, want) {
		t.Errorf("%d parts", len(r.messages))
	}
}

// spec: websocket 4
func TestAWebSocketThatIsNotAcceptedIsAnsweredLikeARequest(t *testing.T) {
	for name, c := range map[string]struct {
		say    func(e *workerEnd, id uint32)
		status int
		failed exchange.Reason
	}{
		"closed":  {func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Close, Aux: 1000}, nil) }, 403, 0},
		"denied":  {func(e *workerEnd, id uint32) { e.head(id, 401, "who?", true) }, 401, 0},
		"raised":  {func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Reset, Aux: 1}, nil) }, 0, exchange.AppError},
		"a crash": {nil, 0, exchange.WorkerDied},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 1)
			client := s.openAs(0, "ws", exchange.WebSocket)
			s.turn()
			if r := w.ends[0].take(); c.say != nil {
				c.say(w.ends[0], r.id)
			} else {
				w.die()
			}
			s.turn()
			if client.status != c.status || client.failed != c.failed || !client.ended {
				t.Errorf("%d, %v", client.status, client.failed)
			}
			s.atRest()
		})
	}
}

func TestWebSocketsEndWithTheirWorker(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(s *setting, w *fakeWorker)
		code exchange.CloseCode
	}{
		"retired": {func(s *setting, w *fakeWorker) { s.endpoints[0].withdraw(w.ends[0].link) }, exchange.CloseRestarting},
		"died":    {func(_ *setting, w *fakeWorker) { w.die() }, exchange.CloseFailed},
		"reset": {func(_ *setting, w *fakeWorker) {
			w.ends[0].say(wire.Header{Stream: w.ends[0].started[0].id, Type: wire.Reset, Aux: 1}, nil)
		}, exchange.CloseFailed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 10)
			client, r := s.socket(w)
			c.end(s, w)
			s.turn()
			if client.socket.closed != c.code || !client.ended {
				t.Errorf("%+v", client.socket)
			}
			if w.ends[0].take(); name == "retired" && r.closed != exchange.CloseRestarting {
				t.Errorf("the application is told %d", r.closed)
			}
			s.atRest()
			if n := w.target.Sockets(); n != 0 {
				t.Errorf("%d sockets", n)
			}
		})
	}
}

func TestAWebSocketThatIsAcceptedByAWorkerThatIsAboutToGo(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	c := s.openAs(0, "ws", exchange.WebSocket)
	s.turn()
	r := w.ends[0].take()
	w.target.draining.Store(true)
	s.endpoints[0].withdraw(w.ends[0].link)
	w.ends[0].send(acceptFrame(r.id, ""))
	s.turn()
	if w.ends[0].take(); c.socket.closed != exchange.CloseRestarting || r.closed != exchange.CloseRestarting {
		t.Errorf("the client is told %d, the application %d", c.socket.closed, r.closed)
	}
	s.atRest()
	if n := w.target.Sockets(); n != 0 {
		t.Errorf("%d sockets", n)
	}
}

func TestAClientMayLeaveWhileItsWebSocketIsAccepted(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	c := s.openAs(0, "ws", exchange.WebSocket)
	c.socket = &fakeSocket{} // leaves
	s.turn()
	r := w.ends[0].take()
	w.ends[0].send(acceptFrame(r.id, ""))
	w.ends[0].say(wire.Header{Stream: r.id, Type: wire.Message, Aux: 1, Length: 1}, []byte("x"))
	s.turn()
	if w.ends[0].take(); !r.gone {
		t.Error("the application was not told")
	}
	s.atRest()
}

func TestWebSocketsAreSpreadOverTheWorkers(t *testing.T) {
	s := newSetting(t, 1)
	workers := []*fakeWorker{s.worker("a", 100), s.worker("b", 100)}
	for range 10 {
		s.openAs(0, "ws", exchange.WebSocket)
		s.turn()
		for _, w := range workers {
			if r := w.ends[0].take(); r != nil {
				w.ends[0].send(acceptFrame(r.id, ""))
			}
		}
		s.turn()
	}
	if a, b := workers[0].target.Sockets(), workers[1].target.Sockets(); a != 5 || b != 5 {
		t.Errorf("%d and %d", a, b)
	}
}

func TestOnlyAsynchronousWorkersTakeWebSockets(t *testing.T) {
	s := newSetting(t, 1)
	if e := s.endpoints[0]; !e.Takes(exchange.HTTP) || !e.Takes(exchange.WebSocket) || !e.Takes(exchange.TCP) {
		t.Error("what is taken before the first worker")
	}
	w := s.worker("threads", 1)
	w.target.Threaded, s.endpoints[0].threaded = true, true
	if s.endpoints[0].Takes(exchange.WebSocket) || s.endpoints[0].Takes(exchange.TCP) {
		t.Error("threads take it")
	}
	s.openAs(0, "ws", exchange.WebSocket)
	s.turn()
	if w.ends[0].take() != nil {
		t.Error("threads are given it")
	}
}

func TestAWorkerThatBreaksTheRulesOfWebSocketsIsFound(t *testing.T) {
	message := func(id uint32, aux uint16, flags uint8, length uint32) wire.Header {
		return wire.Header{Stream: id, Type: wire.Message, Aux: aux, Flags: flags, Length: length}
	}
	for name, say := range map[string]func(e *workerEnd, id uint32){
		"a second ACCEPT": func(e *workerEnd, id uint32) { e.send(acceptFrame(id, "")) },
		"HEAD":            func(e *workerEnd, id uint32) { e.head(id, 200, "", true) },
		"DATA":            func(e *workerEnd, id uint32) { e.data(id, "x", false) },
		"END":             func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.End}, nil) },
		"INFORM": func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.Inform, Aux: 103}, make([]byte, 8))
		},
		"FILE": func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.File, Flags: 1, Aux: 1, Length: 8}, make([]byte, 24))
		},
		"no kind":         func(e *workerEnd, id uint32) { e.say(message(id, 0, 0, 1), []byte("x")) },
		"an unknown kind": func(e *workerEnd, id uint32) { e.say(message(id, 3, 0, 1), []byte("x")) },
		"two kinds in one": func(e *workerEnd, id uint32) {
			e.say(message(id, 1, wire.More, 1), []byte("x"))
			e.say(message(id, 2, 0, 1), []byte("x"))
		},
		"a pong":              func(e *workerEnd, id uint32) { e.say(message(id, 10, 0, 1), []byte("x")) },
		"a ping that goes on": func(e *workerEnd, id uint32) { e.say(message(id, 9, wire.More, 1), []byte("x")) },
		"a long ping":         func(e *workerEnd, id uint32) { e.say(message(id, 9, 0, 126), make([]byte, 126)) },
		"a ping inside a message": func(e *workerEnd, id uint32) {
			e.say(message(id, 1, wire.More, 1), []byte("x"))
			e.say(message(id, 9, 0, 1), []byte("x"))
		},
		"past the frame":    func(e *workerEnd, id uint32) { e.say(message(id, 1, 0, 100), []byte("x")) },
		"past the credit":   func(e *workerEnd, id uint32) { e.say(message(id, 1, 0, 1001), make([]byte, 1001)) },
		"close: a bad code": func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Close, Aux: 1005}, nil) },
		"close: code 0":     func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Close}, nil) },
		"close: a long reason": func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.Close, Aux: 1000, Length: 124}, make([]byte, 124))
		},
		"close: past the frame": func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.Close, Aux: 1000, Length: 100}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 1)
			_, r := s.socket(w)
			say(w.ends[0], r.id)
			if s.turn(); w.violated == nil {
				t.Error("not found")
			}
		})
	}
	for name, say := range map[string]func(e *workerEnd, id uint32){
		"ACCEPT for a request":  func(e *workerEnd, id uint32) { e.send(acceptFrame(id, "")) },
		"MESSAGE for a request": func(e *workerEnd, id uint32) { e.say(message(id, 1, 0, 1), []byte("x")) },
		"CLOSE for a request":   func(e *workerEnd, id uint32) { e.say(wire.Header{Stream: id, Type: wire.Close, Aux: 1000}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 1)
			s.open(0, "x")
			s.turn()
			say(w.ends[0], w.ends[0].take().id)
			if s.turn(); w.violated == nil {
				t.Error("not found")
			}
		})
	}
}

// socketBudget is what an idle WebSocket may take on this side, in bytes.
const socketBudget = 192

func TestAWebSocketsStreamIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(stream{}) + unsafe.Sizeof(linkSlot{}); n > socketBudget {
		t.Errorf("%d bytes, want at most %d", n, socketBudget)
	}
}

// recipients is the payload of a BROADCAST.
func recipients(message string, ids ...uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(ids)))
	b = append(b, 0, 0, 0, 0)
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	return append(b, message...)
}

func broadcastFrame(kind exchange.MessageKind, message string, ids ...uint32) []byte {
	h := wire.Header{Type: wire.Broadcast, Aux: uint16(kind), Length: uint32(len(message))}
	return wire.AppendFrame(nil, h, recipients(message, ids...))
}

// spec: websocket 11
func TestABroadcastReachesAllThatItNames(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	var clients []*fakeClient
	var ids []uint32
	for range 3 {
		c, r := s.socket(w)
		clients, ids = append(clients, c), append(ids, r.id)
	}
	end := w.ends[0]
	end.say(wire.Header{Stream: ids[1], Type: wire.Close, Aux: 1000}, nil)
	end.send(broadcastFrame(exchange.Text, "all", append(ids, 12345, ids[0])...))
	end.say(wire.Header{Stream: ids[2], Type: wire.Message, Aux: 2, Length: 4}, []byte("next"))
	s.turn()
	for i, want := range [][]string{{"1 all", "1 all"}, nil, {"1 all", "2 next"}} {
		if got := clients[i].socket.messages; !slices.Equal(got, want) {
			t.Errorf("%d: %q", i, got)
		}
	}
	if a, b := clients[0].socket.broadcasts, clients[2].socket.broadcasts; len(a) != 2 || a[0] != a[1] || a[0] != b[0] {
		t.Errorf("one message, but %v and %v", a, b)
	}
	if w.violated != nil {
		t.Error(w.violated)
	}
}

// spec: websocket 11
func TestABroadcastToMoreThanATurnTakesSeveral(t *testing.T) {
	s := newSetting(t, 1)
	w := s.worker("w", 10)
	c, r := s.socket(w)
	end := w.ends[0]
	end.send(broadcastFrame(exchange.Text, "", slices.Repeat([]uint32{r.id}, 2*framesPerTurn+1)...))
	end.say(wire.Header{Stream: r.id, Type: wire.Close, Aux: 1000}, nil)
	for turn, want := range []int{framesPerTurn - 1, 2*framesPerTurn - 1, 2*framesPerTurn + 1} { // the frame counts, too
		if n := s.endpoints[0].Poll(); len(c.socket.messages) != want || n == 0 {
			t.Fatalf("turn %d: %d told, %d", turn, len(c.socket.messages), n)
		}
	}
	if !c.ended {
		t.Error("what came behind is not handled")
	}
	s.atRest()
}

func TestABroadcastTakesCreditAndWaitsForTheEndOfAMessage(t *testing.T) {
	for name, violate := range map[string]func(e *workerEnd, id uint32){
		"credit": func(e *workerEnd, id uint32) {
			e.send(broadcastFrame(exchange.Text, strings.Repeat("x", 1000), id))
			e.send(broadcastFrame(exchange.Text, "x", id))
		},
		"message": func(e *workerEnd, id uint32) {
			e.say(wire.Header{Stream: id, Type: wire.Message, Aux: 1, Flags: wire.More, Length: 2}, []byte("he"))
			e.send(broadcastFrame(exchange.Text, "x", id))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetting(t, 1)
			w := s.worker("w", 10)
			c, r := s.socket(w)
			violate(w.ends[0], r.id)
			if s.turn(); w.violated == nil || len(c.socket.messages) != 1 {
				t.Errorf("%v, %d messages", w.violated, len(c.socket.messages))
			}
		})
	}
}
