"""The ASGI side, seen from both ends at once: what applications are given, and what becomes of what they send."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness import Server, StartServer, eventually
from rawhttp import Connection, fetch

HERE = Path(__file__).parent


def event(server: Server, of: str, word: str) -> list[str]:
    """Waits until the application has noted a word, and gives all it has noted there."""
    return list(json.loads(fetch(server, f"/event?of={of}&is={word}").body))


def noted(server: Server, of: str) -> list[str]:
    return list(json.loads(fetch(server, f"/all-events?of={of}").body))


def scope(server: Server, target: str) -> dict[str, Any]:
    return dict(json.loads(fetch(server, target).body))


# spec: http 12
def test_scope_has_every_key_with_its_type(server: Server) -> None:
    with Connection(server) as connection:
        port = connection.socket.getsockname()[1]
        found = json.loads(connection.get("/a%20b?c=d%20e", x_one="1").body)
    types = found.pop("types")
    assert found == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a b",
        "raw_path": "/a%20b",
        "query_string": "c=d%20e",
        "root_path": "",
        "headers": [["host", "test"], ["x-one", "1"]],
        "client": ["127.0.0.1", port],
        "server": ["127.0.0.1", int(server.url.rpartition(":")[2])],
        "state": {"shared": ["from the lifespan"]},
        "extensions": found["extensions"],
        "body": "",
    }
    assert types["raw_path"] == types["query_string"] == "bytes"
    assert types["path"] == types["root_path"] == "str"
    assert (types["state"], types["extensions"]) == ("dict", "dict")


# spec: http 12
@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a%2Fb", "/a/b", ""),
        ("/caf%C3%A9", "/café", ""),
        ("/%ff%C3%A9", "/\N{REPLACEMENT CHARACTER}é", ""),
        ("/a%2525", "/a%25", ""),
        ("//a/../b/./c", "//a/../b/./c", ""),
        ("/a?", "/a", ""),
        ("/a?b?c=%41", "/a", "b?c=%41"),
        ("/a%3Fb?c", "/a?b", "c"),
    ],
)
def test_path_is_decoded_once_and_raw_path_is_as_received(server: Server, target: str, path: str, query: str) -> None:
    found = scope(server, target)
    assert (found["path"], found["raw_path"], found["query_string"]) == (path, target.partition("?")[0], query)


# spec: http 12
def test_root_path_is_in_front_of_path(start_server: StartServer) -> None:
    found = scope(start_server("app:mirror", HERE, "--root-path", "/api"), "/users")
    assert (found["root_path"], found["path"], found["raw_path"]) == ("/api", "/api/users", "/users")


# spec: http 12
def test_http_1_0_is_named(server: Server) -> None:
    with Connection(server) as connection:
        assert json.loads(connection.send("GET / HTTP/1.0\r\n\r\n").response().body)["http_version"] == "1.0"


# spec: http 12
def test_client_and_server_of_a_unix_socket(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("uds") / "s"
    server = start_server("app:app", HERE, "--uds", str(path))
    found = scope(server, "/")
    assert (found["client"], found["server"]) == (None, [str(path), None])


# spec: http 12
def test_state_and_extensions_belong_to_one_request(server: Server) -> None:
    assert fetch(server, "/contexts").status == 200  # adds to both
    found = scope(server, "/")
    assert found["state"] == {"shared": ["from the lifespan"]}
    assert "own" not in found["extensions"]


# spec: http 13
def test_a_request_without_a_body_has_one_empty_message(server: Server) -> None:
    assert json.loads(fetch(server, "/sizes?note=bodyless").body) == [0]
    disconnects = ",".join(["http.disconnect"] * 3)
    assert event(server, "bodyless", disconnects) == ["begun", "received", disconnects]


# spec: http 13
def test_a_body_comes_in_messages_of_64_kib_at_most(server: Server) -> None:
    with Connection(server) as connection:
        found = json.loads(connection.request("POST", "/sizes", bytes(300_000)).response().body)
    assert sum(found) == 300_000
    assert max(found) <= 65536


# spec: http 13
def test_a_body_is_passed_on_as_it_comes(server: Server) -> None:
    with Connection(server) as connection:
        connection.send("POST /sizes?note=parts HTTP/1.1\r\nhost: test\r\ncontent-length: 6\r\n\r\nabc")
        assert event(server, "parts", "received") == ["begun", "received"]
        assert json.loads(connection.send("def").response().body) == [3, 3]


# spec: http 13
@pytest.mark.parametrize("leave", ["close", "reset", "finish_sending"])
def test_receive_waits_for_the_client_to_leave_and_says_so_for_ever(server: Server, leave: str) -> None:
    name = f"left-by-{leave}"
    with Connection(server) as connection:
        connection.request("GET", f"/until-disconnect?note={name}").head()
        getattr(connection, leave)()
        eventually(lambda: len(noted(server, name)) == 2)
    # spec: http 15
    gone = "http.disconnect http.disconnect http.disconnect awaitd.ClientDisconnected"
    assert noted(server, name)[1] == gone


# spec: http 14
def test_a_cancelled_receive_loses_nothing(server: Server) -> None:
    with Connection(server) as connection:
        connection.send("POST /cancelled-receive?note=cancel HTTP/1.1\r\nhost: test\r\ncontent-length: 6\r\n\r\n")
        event(server, "cancel", "cancelled")
        connection.send("abc")
        connection.send("def")
        assert connection.response().body == b"abcdef"


# spec: http 15
def test_send_alone_tells_that_the_client_is_gone_and_nothing_is_logged(server: Server) -> None:
    with Connection(server) as connection:
        connection.request("GET", "/never-receives?note=alone").head()
        event(server, "alone", "sending")
    event(server, "alone", "ClientDisconnected")
    assert fetch(server, "/hello").status == 200
    assert "ClientDisconnected" not in server.output()


# spec: http 16
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_request_whose_client_left_in_the_queue_is_never_started(start_server: StartServer, leave: str) -> None:
    server = start_server("app:app", HERE, "--limit-concurrency", "1", "--limit-queue", "1")
    with Connection(server) as blocking, Connection(server) as queued:
        assert blocking.request("GET", "/until-disconnect").head().status == 200
        queued.request("GET", "/hello?note=queued")
        assert fetch(server, "/hello").status == 503  # so it is in the queue
        getattr(queued, leave)()
        assert server.stdout.wait_for("note=queued HTTP/1.1. 499 ")
    assert noted(server, "queued") == []


# spec: http 17
def test_messages_out_of_order_or_of_wrong_types_raise_at_the_caller(server: Server) -> None:
    found = json.loads(fetch(server, "/refused-messages?note=refused").body)
    assert "http.response.start" in found["body first"]
    assert "http.response.bdy" in found["unknown type"]
    assert all(not said.startswith("accepted") for said in found.values()), found
    eventually(lambda: len(noted(server, "refused")) == 2)
    assert noted(server, "refused")[1] != "accepted"


def script(*steps: Any) -> str:
    return f"GET /script HTTP/1.1\r\nhost: test\r\nx-script: {json.dumps(steps)}\r\n\r\n"


# spec: http 18
def test_an_exception_before_start_is_a_500_with_an_id_that_is_in_the_log(server: Server) -> None:
    with Connection(server) as connection:
        response = connection.send(script({"raise": "before the start"})).response()
        assert response.status == 500
        id = re.search("error id: ([0-9a-f]{16})", response.text)
        assert id
        assert connection.get("/hello").status == 200
    server.wait_for(rf"exception in ASGI application \[id {id[1]}\]")
    server.wait_for("RuntimeError: before the start")


# spec: http 18
def test_an_exception_after_start_aborts_without_the_last_chunk(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(script([200, []], ["hello", True], {"raise": "after the start"}))
        assert connection.head().status == 200
        assert connection.chunk() == b"hello"
        assert connection.ends()
    server.wait_for("RuntimeError: after the start")


# spec: http 18
def test_an_exception_after_start_aborts_a_body_that_ends_with_the_connection(server: Server) -> None:
    with Connection(server) as connection:
        raw = script([200, []], ["hello", True], {"gate": "cut"}, {"raise": "after the start"})
        connection.send(raw.replace("HTTP/1.1", "HTTP/1.0"))
        assert connection.head().status == 200
        assert connection.read(5) == b"hello"
        fetch(server, "/open-gate?gate=cut")
        with pytest.raises(ConnectionResetError):
            connection.rest()


# spec: http 18
def test_the_applications_own_500_wins(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(script([500, [["x-own", "1"]]], "my own page", {"raise": "re-raised"}))
        response = connection.response()
        assert (response.status, response["x-own"], response.text) == (500, "1", "my own page")
        assert connection.get("/hello").status == 200


# spec: http 18
@pytest.mark.parametrize("steps", [[], [[200, []]], [[200, []], ["some", True]]], ids=["nothing", "only start", "no end"])
def test_an_application_that_returns_too_early_does_not_leave_the_client_waiting(server: Server, steps: list[Any]) -> None:
    with Connection(server) as connection:
        connection.send(script(*steps))
        if len(steps) < 2:
            assert connection.response().status == 500
        else:
            assert connection.head().status == 200
            assert connection.chunk() == b"some"
            assert connection.ends()


# spec: http 19
def test_the_head_is_sent_when_no_body_follows_in_the_same_turn(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.request("GET", "/trickle?gate=body").head().status == 200
        fetch(server, "/open-gate?gate=body")
        assert connection.chunk() + connection.chunk() == b"one,two"


# spec: http 22
@pytest.mark.parametrize("options", [(), ("--interface", "asgi2")])
def test_double_callables_of_asgi_2(start_server: StartServer, options: tuple[str, ...]) -> None:
    server = start_server("app:Asgi2", HERE, *options)
    assert fetch(server, "/").text == "double"
    server.wait_for("asgi2")


# spec: http 23
def test_contexts_are_separate_and_the_current_task_is_real(server: Server) -> None:
    found = [json.loads(fetch(server, "/contexts").body) for _ in range(3)]
    assert found == [{"seen": "nothing", "task": "Task"}] * 3


# spec: http 23
def test_background_work_goes_on_after_the_response(server: Server) -> None:
    with Connection(server) as connection:
        assert connection.get("/afterwards?gate=background&note=background").text == "answered"
        assert connection.get("/hello").status == 200  # on the same connection
        assert noted(server, "background") == ["begun"]
        fetch(server, "/open-gate?gate=background")
        event(server, "background", "done")
        event(server, "background", "task%20done")
