"""Whatever a WSGI application can do wrong: the client is told that something was, the log what, and the worker lives on."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import Server, StartServer, eventually
from rawhttp import Connection, fetch
from wsgi_mistakes import AFTER, BEFORE, WHOLE

HERE = Path(__file__).parent

STATUS = 'expected a str of three digits, a space and a reason phrase, as in "200 OK" (PEP 3333)'
FINAL = "it is no final one, which are from 200 to 999"
CONTROL = "control characters are not allowed"
TOKEN = "expected one or more token characters (RFC 9110)"
TUPLE = "each header must be a tuple (name, value), got"
LIST = "response headers must be a list of tuples, not"
NUMBER = "of header 'Content-Length': expected a number of bytes"
RETURN = "the application must return an iterable of bytes (PEP 3333), not"
YIELD = "the application's iterable must yield bytes, not"
NOT_CALLED = "AssertionError: the application did not call start_response before its first output"
TWICE = "AssertionError: start_response was called a second time without exc_info"
EXC_INFO = "TypeError: exc_info must be (type, exception, traceback) as sys.exc_info() returns it, not"

RULES = {
    "status is bytes": f"TypeError: invalid status b'200 OK': {STATUS}",
    "status is an int": f"TypeError: invalid status 200: {STATUS}",
    "status is None": f"TypeError: invalid status None: {STATUS}",
    "status is empty": f"ValueError: invalid status '': {STATUS}",
    "status without a space": f"ValueError: invalid status '200OK': {STATUS}",
    "status of words": f"ValueError: invalid status 'OK': {STATUS}",
    "status of two digits": f"ValueError: invalid status '20 OK': {STATUS}",
    "status of four digits": f"ValueError: invalid status '2000 OK': {STATUS}",
    "status with other digits": "ValueError: invalid status '\u0662\u0660\u0660 OK': it has characters outside latin-1",
    "status is interim": f"ValueError: invalid status '100 Continue': {FINAL}",
    "status is too small": f"ValueError: invalid status '099 Odd': {FINAL}",
    "status with CR LF": rf"ValueError: invalid status '200 OK\r\nX-Evil: 1': {CONTROL}",
    "status with LF at its end": rf"ValueError: invalid status '200 OK\n': {CONTROL}",
    "status with NUL": rf"ValueError: invalid status '200 O\x00K': {CONTROL}",
    "status outside latin-1": "ValueError: invalid status '200 \u20ac': it has characters outside latin-1",
    "status too long": "a reason phrase has at most 1,024 characters",
    "headers are a tuple": f"TypeError: {LIST} tuple",
    "headers are a dict": f"TypeError: {LIST} dict",
    "headers are None": f"TypeError: {LIST} NoneType",
    "headers are an iterator": f"TypeError: {LIST} list_iterator",
    "header is a list": f"TypeError: {TUPLE} ['A', 'b']",
    "header is a str": f"TypeError: {TUPLE} 'A: b'",
    "header of three": f"TypeError: {TUPLE} ('A', 'b', 'c')",
    "header of one": f"TypeError: {TUPLE} ('A',)",
    "name is bytes": "TypeError: header name must be str, not bytes",
    "name is empty": f"ValueError: invalid header name '': {TOKEN}",
    "name with a space": f"ValueError: invalid header name 'X Field': {TOKEN}",
    "name with a colon": f"ValueError: invalid header name 'X:': {TOKEN}",
    "name with CR LF": rf"ValueError: invalid header name 'X\r\nY': {TOKEN}",
    "name outside ASCII": f"ValueError: invalid header name 'X-\xe9': {TOKEN}",
    "name outside latin-1": "ValueError: header name has characters outside latin-1: 'X-\u20ac'",
    "value is bytes": "TypeError: header value must be str, not bytes",
    "value is an int": "TypeError: header value must be str, not int",
    "value is None": "TypeError: header value must be str, not NoneType",
    "value with CR LF": rf"ValueError: invalid value 'b\r\nX-Evil: 1' of header 'A': {CONTROL}",
    "value with LF": rf"ValueError: invalid value 'b\nc' of header 'A': {CONTROL}",
    "value with CR": rf"ValueError: invalid value 'b\rc' of header 'A': {CONTROL}",
    "value with NUL": rf"ValueError: invalid value '\x00' of header 'A': {CONTROL}",
    "value with DEL": rf"ValueError: invalid value '\x7f' of header 'A': {CONTROL}",
    "value outside latin-1": "ValueError: header value has characters outside latin-1: '\u20ac'",
    "value too long": "ValueError: header value is 70000 bytes long; the limit is 65535",
    "too many fields": "ValueError: the header fields take 315000 bytes; the limit is",
    "length is a word": f"ValueError: invalid value 'five' {NUMBER}",
    "length is negative": f"ValueError: invalid value '-5' {NUMBER}",
    "length is empty": f"ValueError: invalid value '' {NUMBER}",
    "start_response without headers": "TypeError: start_response() missing required argument 'response_headers' (pos 2)",
    "start_response with another keyword": "TypeError: 'reason' is an invalid keyword argument for start_response()",
    "exc_info is no tuple": "TypeError: exc_info must be a tuple, not str",
    "start_response twice": TWICE,
    "no start_response": NOT_CALLED,
    "no start_response and no body": NOT_CALLED,
    "no start_response in a generator": NOT_CALLED,
    "no start_response, with a generator's end": NOT_CALLED,
    "returns None": f"TypeError: {RETURN} NoneType; is there a return missing?",
    "returns str": f"TypeError: {RETURN} str; put it into a list",
    "returns bytes": f"TypeError: {RETURN} bytes; put it into a list",
    "returns bytearray": f"TypeError: {RETURN} bytearray",
    "returns an int": f"TypeError: {RETURN} int",
    "returns a coroutine": f"TypeError: {RETURN} coroutine; it is asynchronous, and was taken for WSGI: --interface asgi3 says",
    "returns an asynchronous generator": f"TypeError: {RETURN} async_generator; it is asynchronous",
    "returns a list of str": f"TypeError: {YIELD} str",
    "returns a tuple of str": f"TypeError: {YIELD} str",
    "returns what has no iterator": "TypeError: iter() returned non-iterator of type 'int'",
    "__iter__ raises": "LookupError: in __iter__",
    "yields str": f"TypeError: {YIELD} str",
    "yields str after empty bytes": f"TypeError: {YIELD} str",
    "yields None": f"TypeError: {YIELD} NoneType",
    "yields an int": f"TypeError: {YIELD} int",
    "yields bytearray": f"TypeError: {YIELD} bytearray",
    "yields memoryview": f"TypeError: {YIELD} memoryview",
    "yields a list": f"TypeError: {YIELD} list",
    "writes str": "TypeError: write() takes bytes, not str",
    "writes None": "TypeError: write() takes bytes, not NoneType",
    "writes bytearray": "TypeError: write() takes bytes, not bytearray",
    "raises": "ValueError: at once",
    "raises StopIteration": "StopIteration: at once",
    "raises GeneratorExit": "GeneratorExit: at once",
    "raises CancelledError": "CancelledError: at once",
    "raises KeyboardInterrupt": "KeyboardInterrupt: at once",
    "raises BaseException": "BaseException: at once",
    "raises what can't be printed": "Unprintable",
    "raises what has a long name": "\u20acLongLong",
    "raises in the generator": "KeyError: 'first'",
    "raises in the generator after empty bytes": "KeyError: 'second'",
    "raises GeneratorExit in the generator": "GeneratorExit: first",
    "raises later": "KeyError: 'later'",
    "raises BaseException later": "BaseException: later",
    "yields str later": f"TypeError: {YIELD} str",
    "yields None later": f"TypeError: {YIELD} NoneType",
    "writes str later": "TypeError: write() takes bytes, not str",
    "start_response twice, later": TWICE,
    "exc_info later": "ValueError: told late",
    "exc_info of None later": f"{EXC_INFO} (None, None, None)",
    "exc_info of one later": f"{EXC_INFO} (ValueError('x'),)",
    "exc_info of words later": f"{EXC_INFO} ('a', 'b', 'c')",
    "exc_info with no traceback later": "TypeError: __traceback__ must be a traceback or None",
    "close raises": "ValueError: in close",
    "close can't be called": "TypeError: 'int' object is not callable",
}
CLOSED = {name for name in RULES if re.match(r"yields|raises.*(generator|later)|__iter__|close raises", name)}


@pytest.fixture(scope="module", params=["1", "4"])
def server(start_server: StartServer, request: pytest.FixtureRequest) -> Server:
    return start_server("wsgi_mistakes:app", HERE, "--no-access-log", "--threads", request.param)


def exception_said(server: Server, rule: str) -> str:
    """The id that the log has for it; the rule is there once, behind the traceback."""
    server.wait_for(re.escape(rule))
    text = server.stderr.text()
    found = re.search(r"exception in WSGI application \[id ([0-9a-f]{16})\]\n", text)
    assert found, text
    assert text.count(rule) == 1
    return found[1]


def closed(server: Server) -> int:
    found = json.loads(fetch(server, "/log").body)
    return int(found.count("closed"))


# spec: wsgi 9
# spec: wsgi 5
# spec: wsgi 3
@pytest.mark.parametrize("name", BEFORE)
def test_before_the_head_it_is_a_500_that_the_log_explains(server: Server, name: str) -> None:
    server.stderr.clear()
    with Connection(server) as connection:
        response = connection.get(f"/mistake?name={quote(name)}")
        assert (response.status, response["content-type"]) == (500, "text/plain; charset=utf-8")
        assert "x-evil" not in response
        error = re.search("error id: ([0-9a-f]{16})", response.text)
        assert error
        if name == "lengths differ":
            server.wait_for(f"invalid Content-Length in the response.* id={error[1]}")
        else:
            assert exception_said(server, RULES[name]) == error[1]
        assert connection.get("/hello").body == b"hello"
    assert closed(server) == (name in CLOSED)


# spec: wsgi 9
# spec: wsgi 3
# spec: wsgi 5
@pytest.mark.parametrize("name", AFTER)
def test_after_the_head_it_is_an_abort_that_the_log_explains(server: Server, name: str) -> None:
    server.stderr.clear()
    with Connection(server) as connection:
        connection.request("GET", f"/mistake?name={quote(name)}")
        assert connection.head().status == 200
        assert connection.chunk() == b"part"
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.chunk()
    exception_said(server, RULES[name])
    assert fetch(server, "/hello").body == b"hello"
    assert closed(server) == (name in CLOSED)


# spec: wsgi 9
# spec: wsgi 5
@pytest.mark.parametrize("name", AFTER)
def test_after_the_head_http_1_0_is_reset(server: Server, name: str) -> None:
    """An end in good order would be the end of the body."""
    with Connection(server) as connection:
        connection.send(f"GET /mistake?name={quote(name)} HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            connection.rest()
    closed(server)


# spec: wsgi 5
# spec: wsgi 9
@pytest.mark.parametrize("name", WHOLE)
def test_after_the_whole_response_only_the_log_knows(server: Server, name: str) -> None:
    server.stderr.clear()
    with Connection(server) as connection:
        assert connection.get(f"/mistake?name={quote(name)}").body == b"all"
        assert connection.get("/hello").body == b"hello"
    exception_said(server, RULES[name])
    assert closed(server) == (name in CLOSED)


def test_the_tables_are_the_same() -> None:
    assert set(RULES) | {"lengths differ"} == set(BEFORE) | set(AFTER) | set(WHOLE)


# spec: wsgi 9
def test_the_worker_is_still_the_same_and_nothing_was_left_behind(server: Server) -> None:
    """Every mistake again and again, clients that leave among them: no object more than before, and no exception."""
    with Connection(server) as connection:
        pid = connection.get("/pid").body

        def all_mistakes() -> list[int]:
            for name in BEFORE:
                assert connection.get(f"/mistake?name={quote(name)}").status == 500
            for name in [*AFTER, *WHOLE]:
                with Connection(server) as another:
                    another.request("GET", f"/mistake?name={quote(name)}").head()
            closed(server)
            found = json.loads(connection.get("/objects").body)
            assert isinstance(found, list)
            return found

        for _ in range(3):
            all_mistakes()
        before = all_mistakes()
        for _ in range(5):
            after = all_mistakes()
        assert after[0] - before[0] < 50
        assert after[1] <= before[1]
        assert connection.get("/pid").body == pid


# spec: wsgi 9
# spec: process 3
@pytest.mark.parametrize("threads", ["1", "4"])
def test_an_exit_ends_the_worker_and_another_takes_over(start_server: StartServer, threads: str) -> None:
    server = start_server("wsgi_mistakes:app", HERE, "--no-access-log", "--threads", threads)
    pid = fetch(server, "/pid").body
    assert fetch(server, "/exit").status == 500
    server.wait_for(r"exception in WSGI application \[id [0-9a-f]+\]")
    eventually(lambda: (answer := fetch(server, "/pid")).status == 200 and answer.body != pid)
