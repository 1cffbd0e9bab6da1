"""What the load generators say, and when it voids a row."""

import pytest

import load
from load import Load, LoadFailed
from rows import Request

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
        '{"requests":10,"failures":2,"reasons":["status 500"],"seconds":2,"bytes":1150,'
        '"latency_us":{"p50":1,"p90":2,"p99":3,"p999":4,"max":5},"late_us":{"p99":60},"client_cpu_us":700}'
    )
    answer = load.parse_client(line)
    assert answer.failures == ("2 wrong or missing replies", "status 500")
    assert (answer.rate, answer.late_p99_us, answer.cpu_us, answer.latency_us["p999"]) == (5, 60, 700, 4)


def test_replies_of_another_length_than_the_verified_ones_are_a_failure() -> None:
    answer = Load(1000, 1.0, 115_000, {})
    assert load.check_bytes(answer, 115.0) == ()
    assert load.check_bytes(answer, 114.0) == ()
    assert load.check_bytes(answer, 128.0) == ("wrk: 115.0 bytes per reply, the verified ones had 128.0",)


def test_echo_is_verified_with_random_bodies() -> None:
    command = load.client(9000, Request("/echo", "POST", body="1k.txt", echo=1024), 64, "-count", "1")
    assert command[-2:] == ["-echo", "1024"]
    assert "-body" not in command
