"""httpx over awaitd's transports, by a sidecar: what goes there and back, and what fails."""

import asyncio
import contextlib
import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from origin import BAD, Origin, serve

import awaitd
from awaitd import _outbound


def test_a_request_and_its_response(client: Any, origin: Origin) -> None:
    response = client.get(origin.url + "/fields")
    assert response.status_code == 200
    assert response.text == "hello"
    assert response.http_version == "HTTP/1.1"
    assert response.headers.raw[:3] == [(b"X-One", b"1"), (b"x-TWO", b"2"), (b"X-One", b"3")]  # in their order, with their case
    assert response.reason_phrase == "OK"
    assert response.elapsed.total_seconds() > 0
    assert client.request("HEAD", origin.url + "/empty").content == b""
    assert client.get(origin.url + "/chunked").text == "one two three"
    assert client.get(origin.url + "/to-the-end").text == "until the end"
    assert client.get(origin.url + "/interim").text == "hello"
    assert pickle.loads(pickle.dumps(response)).text == "hello"


def test_what_is_sent_is_what_httpx_says(client: Any, origin: Origin) -> None:
    head = client.get(origin.url + "/heads?a=b%20c", headers={"X-Thing": "1", "user-agent": "me"}).text.split("\r\n")
    assert head[0] == "GET /heads?a=b%20c HTTP/1.1"
    sent = httpx.Request("GET", origin.url + "/heads", headers={"Accept": "*/*", "X-Thing": "1", "user-agent": "me"})
    assert {f"{name.decode()}: {value.decode()}" for name, value in sent.headers.raw} <= set(head[1:])


@pytest.mark.parametrize("size", [0, 1, 300_000, 5_000_000])
def test_bodies_of_any_size_go_there_and_back(client: Any, origin: Origin, size: int) -> None:
    body = os.urandom(size)
    assert client.post(origin.url + "/echo", content=body).content == body
    pieces = [body[i : i + 100_000] for i in range(0, size, 100_000)]
    assert client.post(origin.url + "/echo", content=iter(pieces)).content == body


def test_connections_are_used_again(client_of: Any) -> None:
    with serve() as origin:
        client = client_of()
        for _ in range(5):
            client.get(origin.url + "/hello")
        assert origin.connections == 1


def test_a_kept_connection_that_the_server_has_closed_is_no_failure(client_of: Any) -> None:
    with serve() as origin:
        client = client_of()
        for _ in range(3):
            assert client.get(origin.url + "/hello").text == "hello"
            for sock in list(origin.open):
                sock.shutdown(socket.SHUT_RDWR)


def test_an_answer_before_the_end_of_the_body_is_heard(client: Any, origin: Origin) -> None:
    response = client.post(origin.url + "/413", content=b"x" * 100_000)
    assert response.status_code == 413
    assert response.text == "too much"


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_has_httpxs_exception_and_the_pool_goes_on(client_of: Any, origin: Origin, name: str) -> None:
    client = client_of(timeout=httpx.Timeout(5, read=0.3 if BAD[name][1] == "ReadTimeout" else 5))
    for _ in range(2):
        with pytest.raises(httpx.TransportError) as raised:
            client.get(f"{origin.url}/bad/{name}", headers={"Authorization": "secret-word"})
        assert type(raised.value).__name__ == BAD[name][1], raised.value
        assert "secret-word" not in str(raised.value)
        assert raised.value.request.method == "GET"
        assert client.get(origin.url + "/hello").text == "hello"


def test_connections_that_fail(client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(httpx.ConnectError, match="refused"):
        client.get(f"http://127.0.0.1:{port}/")
    with pytest.raises(httpx.ConnectError, match="name not found"):
        client.get("http://no-such-name.invalid/")
    with pytest.raises(httpx.UnsupportedProtocol):
        client.get("ftp://127.0.0.1/")


def test_the_four_timeouts(client_of: Any, origin: Origin) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(3):  # what the queue takes; then nothing answers
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        with pytest.raises(httpx.ConnectTimeout):
            client_of(timeout=httpx.Timeout(5, connect=0.3)).get(f"http://127.0.0.1:{full.getsockname()[1]}/")
    with pytest.raises(httpx.ReadTimeout):
        client_of(timeout=httpx.Timeout(5, read=0.3)).get(origin.url + "/stall")
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(httpx.WriteTimeout):
        client_of(timeout=httpx.Timeout(5, write=0.3)).post(
            f"http://127.0.0.1:{deaf.getsockname()[1]}/", content=b"x" * (32 << 20)
        )


def test_the_wait_for_a_connection_has_an_end() -> None:
    async def main() -> None:
        limits = httpx.Limits(max_connections=1)
        with serve() as origin:
            transport = awaitd.AsyncTransport(limits=limits)
            async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(5, pool=0.3)) as client:
                async with client.stream("GET", origin.url + "/large"):
                    with pytest.raises(httpx.PoolTimeout):
                        await client.get(origin.url + "/hello")
                assert (await client.get(origin.url + "/hello")).text == "hello"
                assert origin.connections == 2

    asyncio.run(main())


def test_nothing_is_injected(client: Any, origin: Origin) -> None:
    for headers in ({"X": "a\r\nY: b"}, {"X": "a\0b"}, {"X\r\nY": "a"}):
        with pytest.raises((httpx.LocalProtocolError, ValueError)):
            client.get(origin.url + "/hello", headers=headers)
    with pytest.raises(httpx.LocalProtocolError):
        client.request("GET / HTTP/1.1\r\nX: y\r\n", origin.url + "/hello")
    assert "y" not in client.get(origin.url + "/heads").text.split("\r\n\r\n")[0].split("\r\n")


@pytest.mark.parametrize("uvloop", [False, True])
def test_a_cancelled_task_ends_its_exchange_at_once(uvloop: bool) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(transport=awaitd.AsyncTransport(), timeout=60) as client:
            origin = stack.enter_context(serve())
            for path in ("/stall", "/slow"):
                task = asyncio.create_task(client.get(origin.url + path))
                assert await asyncio.to_thread(origin.began.acquire, timeout=5)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await asyncio.to_thread(origin.left.acquire, timeout=5)
            assert (await client.get(origin.url + "/hello")).text == "hello"

    with contextlib.ExitStack() as stack:
        if uvloop:
            pytest.importorskip("uvloop").run(main())
        else:
            asyncio.run(main())


def test_a_response_that_is_not_read_holds_the_server_back_and_ends_with_its_closing() -> None:
    async def main() -> None:
        with serve() as origin:
            async with httpx.AsyncClient(transport=awaitd.AsyncTransport()) as client:
                async with client.stream("GET", origin.url + "/large") as response:
                    iterator = response.aiter_raw()
                    assert await anext(iterator)
                    (exchange,) = [x for x in gc.get_objects() if isinstance(x, _outbound.Exchange) and not x.ended]
                    assert sum(map(len, exchange.chunks)) <= _outbound.WINDOW
                assert (await client.get(origin.url + "/hello")).text == "hello"
                total = 0
                async with client.stream("GET", origin.url + "/large") as response:
                    async for piece in response.aiter_raw():
                        total += len(piece)
                assert total == 64 << 20

    asyncio.run(main())


def test_many_at_once(origin: Origin) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(transport=awaitd.AsyncTransport()) as client:
            bodies = [os.urandom(n * 997 % 50_000) for n in range(300)]
            answers = await asyncio.gather(*(client.post(origin.url + "/echo", content=body) for body in bodies))
            assert [a.content for a in answers] == bodies

    asyncio.run(main())


def test_threads_share_a_link(origin: Origin) -> None:
    failures: list[BaseException] = []

    def work(client: httpx.Client, n: int) -> None:
        try:
            for i in range(30):
                body = bytes([n]) * (i * 3001)
                assert client.post(origin.url + "/echo", content=body).content == body
        except BaseException as error:
            failures.append(error)

    with httpx.Client(transport=awaitd.Transport(), timeout=30) as client:
        threads = [threading.Thread(target=work, args=(client, n)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)


def test_private_addresses_can_be_denied(client_of: Any, origin: Origin) -> None:
    client = client_of({"deny": "private"})
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]"):
        with pytest.raises(httpx.ConnectError, match=r"denied|unreachable"):
            client.get(f"http://{host}:{origin.port}/hello")


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="http1 and http2"):
        awaitd.Transport(http1=False)
    with pytest.raises(ValueError, match="deny must be"):
        awaitd.Transport(deny="all")
    with pytest.raises(httpx.LocalProtocolError, match="no-such-file"):
        httpx.Client(transport=awaitd.Transport(verify="/no-such-file")).get("http://127.0.0.1:1/")


def sidecar() -> int:
    session = _outbound._process.session
    assert session is not None
    assert session._process is not None
    return session._process.pid


def test_a_sidecar_that_was_killed_has_a_successor(client: Any, origin: Origin) -> None:
    client.get(origin.url + "/hello")
    pid = sidecar()
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(httpx.TransportError):  # what was under way, or noticed it
        client.get(origin.url + "/hello")
    assert client.get(origin.url + "/hello").text == "hello"
    assert sidecar() != pid


PROGRAM = """
import asyncio, os, sys, httpx, awaitd
from awaitd import _outbound
with httpx.Client(transport=awaitd.Transport()) as client:
    print(client.get(sys.argv[1]).text, flush=True)
    if (child := os.fork()) == 0:
        print(client.get(sys.argv[1]).text, flush=True)
        async def main():
            async with httpx.AsyncClient(transport=awaitd.AsyncTransport()) as c:
                return (await c.get(sys.argv[1])).text
        print(asyncio.run(main()), flush=True)
        sys.exit(0)
    os.waitpid(child, 0)
    print(client.get(sys.argv[1]).text, flush=True)
    print(_outbound._process.session._process.pid, flush=True)
"""


def test_a_fork_starts_anew_and_the_sidecar_ends_with_its_program(origin: Origin) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, origin.url + "/hello"], capture_output=True, text=True, timeout=60)
    *hellos, pid = run.stdout.split()
    assert hellos == ["hello"] * 4
    assert not run.stderr
    assert not Path(f"/proc/{pid}").exists()


MIXED = int(os.environ.get("FAILURES", "2000"))


def test_failures_leave_nothing_behind(origin: Origin) -> None:
    """FAILURES=100000 is the whole."""
    names = [name for name, (_, kind) in BAD.items() if kind != "ReadTimeout" and name != "endless-head"]

    async def main() -> None:
        limits = httpx.Limits(max_connections=20)
        async with httpx.AsyncClient(transport=awaitd.AsyncTransport(limits=limits), timeout=30) as client:

            async def one(n: int) -> None:
                kind = n % 4
                if kind == 0:
                    assert (await client.get(origin.url + "/hello")).text == "hello"
                elif kind == 1:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.002):
                            await client.get(origin.url + "/hello")
                else:
                    with pytest.raises(httpx.TransportError):
                        await client.get(f"{origin.url}/bad/{names[n % len(names)]}")

            async def worker(n: int) -> None:
                for i in range(MIXED // 40):
                    await one(n + i)

            await client.get(origin.url + "/hello")
            pid = sidecar()
            before = len(os.listdir(f"/proc/{pid}/fd"))
            await asyncio.gather(*(worker(n) for n in range(40)))
            assert (await client.get(origin.url + "/hello")).text == "hello"
            deadline = time.monotonic() + 20
            while len(os.listdir(f"/proc/{pid}/fd")) > before + 21 and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
            assert len(os.listdir(f"/proc/{pid}/fd")) <= before + 21  # idle connections of the pool
            link = _outbound.loop_link(asyncio.get_running_loop())
            assert not link.calls.handlers()

    asyncio.run(main())
    gc.collect()
    assert not [x for x in gc.get_objects() if isinstance(x, _outbound.Exchange) and not x.ended]


def test_httpx2_has_its_own_classes(origin: Origin) -> None:
    httpx2 = pytest.importorskip("httpx2")

    async def main() -> None:
        async with httpx2.AsyncClient(transport=awaitd.AsyncTransport()) as client:
            response = await client.get(origin.url + "/chunked")
            assert response.text == "one two three"
            assert isinstance(response, httpx2.Response)
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get(origin.url + "/bad/nothing")

    asyncio.run(main())
    with httpx2.Client(transport=awaitd.Transport()) as client:
        assert client.post(origin.url + "/echo", content=b"x" * 300_000).content == b"x" * 300_000
