"""What the load generators say, and when it voids a row."""

import shutil
import socket
import threading
from pathlib import Path

import pytest

import load
from load import Load, LoadFailed
from rows import ECHO, ECHO_1M, HEADERS, ROWS, Request

WRK = """Running 5s test @ http://127.0.0.1:9000/
Requests/sec: 100000.00
BENCH {"requests": 500000, "seconds": 5, "bytes": 75000000, "p50": 600, "p90": 800, "p99": 1300, "p999": 2000, "max": 9000, %s}
"""
CLEAN = '"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0'


def test_wrk_counters_are_read() -> None:
    answer = load.parse_wrk(WRK % CLEAN)
    assert (answer.requests, answer.rate, answer.bytes_each, answer.latency_us["p99"]) == (500_000, 100_000, 150, 1300)
    assert answer.failures == ()


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout"])
def test_each_kind_of_wrk_error_is_a_failure(kind: str) -> None:
    answer = load.parse_wrk(WRK % CLEAN.replace(f'"{kind}": 0', f'"{kind}": 3'))
    assert answer.failures == (f"wrk: 3 {kind} errors",)


def test_no_reply_at_all_is_a_failure() -> None:
    assert load.parse_wrk((WRK % CLEAN).replace("500000", "0")).failures == ("wrk: no replies",)


def test_wrk_without_a_result_is_an_error_with_its_words() -> None:
    with pytest.raises(LoadFailed, match="unable to connect"):
        load.parse_wrk("unable to connect to 127.0.0.1:9000 Connection refused")


def test_client_line_is_read() -> None:
    line = (
        '{"requests":10,"failures":2,"reasons":["status 500"],"seconds":2,"bytes":1150,"ended":3,'
        '"latency_us":{"p50":1,"p90":2,"p99":3,"p999":4,"max":5},"late_us":{"p99":60},"client_cpu_us":700}'
    )
    answer = load.parse_client(line)
    assert answer.failures == ("2 wrong or missing replies", "status 500")
    assert (answer.failed, answer.ended, answer.kinds) == (2, 3, {})
    assert (answer.rate, answer.late_p99_us, answer.cpu_us, answer.latency_us["p999"]) == (5, 60, 700, 4)


def test_replies_of_another_length_than_the_verified_ones_are_a_failure() -> None:
    answer = Load(1000, 1.0, 115_000, {})
    assert load.check_bytes(answer, 115.0, 1) == ()
    assert load.check_bytes(answer, 114.0, 1) == ()
    assert load.check_bytes(answer, 102.0, 1) == ("wrk: 115.0 bytes per reply, the verified ones had 102.0",)
    assert load.check_bytes(answer, 128.0, 1) == ("wrk: 115.0 bytes per reply, the verified ones had 128.0",)


def test_part_of_one_more_reply_per_connection_is_no_wrong_body() -> None:
    assert load.check_bytes(Load(100, 1.0, 100 * 2**20 + 8 * 2**19, {}), 2**20, 8) == ()
    assert load.check_bytes(Load(100, 1.0, 100 * 2**20 + 12 * 2**20, {}), 2**20, 8) != ()


def test_echo_is_verified_with_random_bodies() -> None:
    command = load.client(9000, Request("/echo", "POST", body="1k.txt", echo=1024), 64, "-count", "1")
    assert command[-2:] == ["-echo", "1024"]
    assert "-body" not in command


def test_fields_are_verified_as_they_are_measured() -> None:
    command = load.client(9000, HEADERS, 64)
    assert command[command.index("-fields") + 1] == "99"


def test_a_mix_is_asked_for_and_read() -> None:
    command = load.client(9000, ROWS["mixed"].request, 64)
    shares = [command[i + 1].split(",") for i, word in enumerate(command) if word == "-also"]
    assert [(path, share) for path, share, _ in shares] == [("/wait", "0.01"), ("/burn", "0.01")]
    assert [Path(file).read_bytes() for *_, file in shares] == [b"waited", b"burnt"]
    line = (
        '{"requests":1,"failures":0,"reasons":[],"seconds":2,"bytes":9,"ended":0,"latency_us":{},"late_us":{"p99":6},'
        '"client_cpu_us":7,"kinds":{"/wait":{"requests":1,"latency_us":{"p50":9}}}}'
    )
    assert load.parse_client(line).kinds == {"/wait": {"p50": 9, "requests": 1}}


def test_drip_line_is_read() -> None:
    drip = load.parse_drip('{"connections":10000,"open":9990,"cut":20,"sent":70000,"seconds":7.02}')
    assert (drip.connections, drip.open, drip.cut, drip.sent, drip.seconds) == (10_000, 9990, 20, 70_000, 7.02)


def asked_by_wrk(request: Request) -> tuple[list[bytes], bytes]:
    """The lines of the head and the body of wrk's first request."""
    found: list[bytes] = []

    def take() -> None:
        while not found:  # wrk's first connection only tries whether there is a server
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as file:
                while (line := file.readline()) not in {b"", b"\r\n"}:
                    found.append(line.rstrip())
                length = next((int(line.split(b":")[1]) for line in found if line.startswith(b"Content-Length:")), 0)
                body.append(file.read(length))
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" if found else b"")

    body: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        load.wrk(listener.getsockname()[1], request, 1, 1)
        thread.join(10)
    return found, body[-1]


@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
class TestWrkSends:
    def test_a_hundred_fields(self) -> None:
        (line, *fields), body = asked_by_wrk(HEADERS)
        assert (line, body, len(fields)) == (b"GET / HTTP/1.1", b"", 100)
        more = sorted(field for field in fields if not field.startswith(b"Host: "))
        assert more == [b"x-field-%02d: 0123456789abcdefgh%02d" % (n, n) for n in range(1, 100)]

    def test_a_body_of_the_length_that_is_verified(self) -> None:
        for request in (ECHO, ECHO_1M):
            (line, *fields), body = asked_by_wrk(request)
            assert (line, len(fields), len(body)) == (b"POST /echo HTTP/1.1", 3, request.echo)
