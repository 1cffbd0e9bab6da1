"""awaitd.broadcast: what one says, and a thousand hear."""

from contextlib import ExitStack

import pytest

from harness import StartServer, family, resident
from rawsocket import BINARY, TEXT, WebSocket, frame

OFFER = "permessage-deflate"
MEMBERS = 1000


# spec: websocket 11
@pytest.mark.parametrize("reactors", ["1", "2"])
def test_one_says_and_a_thousand_hear(run: StartServer, reactors: str) -> None:
    """In order, each once, whether compressed or not, and beside messages of their own."""
    server = run("--workers", "1", "--reactors", reactors)
    with ExitStack() as stack:
        members = [
            stack.enter_context(WebSocket(server, "/room?room=a", sec_websocket_extensions=OFFER if n % 3 == 0 else None))
            for n in range(MEMBERS)
        ]
        other = stack.enter_context(WebSocket(server, "/room?room=b"))
        said = [f"{n} grüße {'x' * 1000}" for n in range(5)]
        speaker = members[1]
        assert not speaker.packed
        for text in said:
            speaker.send(text)
        heard = [speaker.receive() for _ in range(2 * len(said))]
        assert [text for text in heard if text in said] == said
        assert [text for text in heard if text not in said] == ["left out: 0"] * len(said)
        for member in members:
            frames = [member.frame() for _ in said] if member is not speaker else []
            assert all((f.opcode, f.fin, f.packed) == (TEXT, True, member.packed) for f in frames)
            if frames and not member.packed:
                assert [f.payload.decode() for f in frames] == said
            assert len({f.payload for f in frames}) == len(frames)
        packed = members[0].frame if members[0].packed else None
        assert packed
        other.send("alone")
        assert [other.receive(), other.receive()] == ["alone", "left out: 0"]


# spec: websocket 3
# spec: websocket 11
def test_who_does_not_read_is_left_out_and_holds_up_nobody(run: StartServer) -> None:
    server = run("--workers", "1", "--reactors", "1")
    with WebSocket(server, "/room?room=a") as slow, WebSocket(server, "/room?room=a") as speaker:
        message = bytes(60_000)
        left_out, said, sizes = "left out: 0", 0, []
        while left_out == "left out: 0":
            speaker.raw(frame(BINARY, message))
            assert speaker.receive() == message
            left_out = speaker.receive()
            said += 1
        assert left_out == "left out: 1"
        for _ in range(200):
            speaker.raw(frame(BINARY, message))
            assert (speaker.receive(), speaker.receive()) == (message, "left out: 1")
            sizes.append(sum(map(resident, family(server.pid))))
        assert sizes[-1] - sizes[20] < 4 << 20
        for _ in range(said - 1):
            assert slow.receive() == message
        speaker.send("again")
        assert speaker.receive() == "again"
        left = speaker.receive()
        if left == "left out: 0":
            assert slow.receive() == "again"
        speaker.send("at last")
        assert slow.receive() == "at last"
