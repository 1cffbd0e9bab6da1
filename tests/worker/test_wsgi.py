"""WSGI (PEP 3333), on one thread and on several."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from fakeserver import Stream
from frames import END_STREAM, encode, open_frame, variables_extra
from test_descriptors import wait_until
from test_receive import _log

WINDOW = 65520
STATUS_FORM = 'expected a str of three digits, a space and a reason phrase, as in "200 OK" (PEP 3333)'


def environ(worker, path="/environ_of", **changes):
    status, _, body = worker.get(path, **changes)
    assert status == 200
    return json.loads(body)


def test_the_environ(start):
    # spec: wsgi 7
    worker = start("wsgi:app").ready()
    fields = [["host", "example.org"], ["content-type", "text/x"], ["content-length", "0"], ["x-latin", "\xe9"]]
    assert environ(worker, query="a=1", fields=fields) == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ_of",
        "QUERY_STRING": "a=1",
        "RAW_URI": "/environ_of?a=1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "awaitd",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "51234",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "0",
        "HTTP_HOST": "example.org",
        "HTTP_X_LATIN": "\xe9",
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_environ_tells_how_many_there_are(start, workers, threads):
    # spec: wsgi 7
    answer = environ(start("wsgi:app", workers=workers, threads=threads).ready())
    assert (answer["wsgi.multiprocess"], answer["wsgi.multithread"]) == (workers == 2, threads == 2)


def test_options_of_the_whole_server(wsgi):
    # spec: wsgi 7
    answer = environ(wsgi, "*", method="OPTIONS")
    assert (answer["REQUEST_METHOD"], answer["PATH_INFO"], answer["RAW_URI"]) == ("OPTIONS", "", "*")


def test_early_hints(wsgi):
    # spec: wsgi 7
    stream = wsgi.open("/hints")
    hint = stream.next("INFORM")
    assert (hint["aux"], hint["fields"]) == (103, [["Link", "</a.css>; rel=preload"], ["link", "</b>"]])
    assert (stream.next("INFORM")["fields"], stream.next("HEAD")["body"]) == ([], "body")
    assert _log(wsgi, 5) == [
        "TypeError: wsgi.early_hints takes a list of (name, value) tuples, not int",
        "TypeError: each header must be a tuple (name, value), got 'Link'",
        "ValueError: invalid value 'a\\r\\nb' of header 'Link': control characters are not allowed",
        "TypeError: header value must be str, not int",
        "AssertionError: wsgi.early_hints was called after the response had begun",
    ]


def test_the_environ_over_tls_and_other_versions(wsgi):
    # spec: wsgi 7
    secure = environ(wsgi, scheme=1, version=20)
    assert (secure["wsgi.url_scheme"], secure["HTTPS"], secure["SERVER_PROTOCOL"]) == ("https", "on", "HTTP/2")
    assert environ(wsgi, version=10)["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_the_environ_over_a_unix_socket(wsgi):
    # spec: wsgi 7
    unix = environ(wsgi, client="", client_port=0, server="unix", server_port=0, extra=[[1, "/run/a.sock"]])
    assert (unix["SERVER_NAME"], unix["SERVER_PORT"], unix["REMOTE_ADDR"]) == ("localhost", "80", "")


def test_the_environ_by_a_web_server(wsgi):
    # spec: protocols 10
    # spec: wsgi 7
    rows = [
        ("REMOTE_USER", "ann"),
        ("x", "caf\xe9"),
        ("TWICE", "1"),
        ("TWICE", "2"),
        ("N" * 300, "v" * 3000),
        ("1", "2"),
        ("", "x"),
    ]
    named = {"client": "", "client_port": 9, "server": "", "server_port": 8443}
    extra = [[2, "/sub"], [3, "an.example"], [10, "www.example.org"], variables_extra(*rows)]
    for user in ("ann", "bob", "ann"):
        rows[0] = ("REMOTE_USER", user)
        extra[3] = variables_extra(*rows)
        answer = environ(wsgi, "/sub/environ_of", **named, extra=extra, fields=[["1", "field"], ["remote-user", "mallory"]])
        assert (answer["SCRIPT_NAME"], answer["PATH_INFO"]) == ("/sub", "/environ_of")
        assert (answer["REMOTE_ADDR"], answer["SERVER_NAME"], answer["SERVER_PORT"]) == (
            "an.example",
            "www.example.org",
            "8443",
        )
        assert (answer["REMOTE_USER"], answer["x"], answer["TWICE"], answer["N" * 300]) == (user, "caf\xe9", "2", "v" * 3000)
        assert (answer["1"], answer["HTTP_1"], answer["HTTP_REMOTE_USER"]) == ("2", "field", "mallory")
    assert "REMOTE_USER" not in environ(wsgi)


def test_variables_of_tls(wsgi):
    told = {"tls_version": 0x0304, "cipher_suite": 0x1301, "cipher_name": "TLS_AES_128_GCM_SHA256"}
    common = {"HTTPS": "on", "SSL_PROTOCOL": "TLSv1.3", "SSL_CIPHER": "TLS_AES_128_GCM_SHA256"}
    more = {"server_name": "example.org", "client_cert_name": "CN=Zo\xeb", "client_cert_chain": ["pem", "another"]}
    for changes, expected in (
        ({}, {"SSL_CLIENT_VERIFY": "NONE"}),
        (
            more,
            {
                "SSL_CLIENT_VERIFY": "SUCCESS",
                "SSL_TLS_SNI": "example.org",
                "SSL_CLIENT_S_DN": "CN=Zo\xc3\xab",
                "SSL_CLIENT_CERT": "pem",
            },
        ),
    ):
        answer = environ(wsgi, scheme=1, extra=[[4, json.dumps(told | changes)]])
        assert {name: value for name, value in answer.items() if "SSL" in name or name == "HTTPS"} == common | expected
    assert not any(name.startswith("SSL") for name in environ(wsgi, scheme=1))


def test_path_info_is_decoded_as_latin_1(wsgi):
    # spec: wsgi 7
    answer = environ(wsgi, "/caf%C3%A9")
    assert (answer["PATH_INFO"], answer["RAW_URI"]) == ("/caf\xc3\xa9", "/caf%C3%A9")


@pytest.mark.parametrize("path", ["/api/environ_of", "/environ_of"])
def test_the_root_path_is_no_part_of_path_info(start, path):
    # spec: wsgi 7
    answer = environ(start("wsgi:app", root_path="/api").ready(), path)
    assert (answer["SCRIPT_NAME"], answer["PATH_INFO"]) == ("/api", "/environ_of")


def test_fields_that_come_twice_or_in_disguise(wsgi):
    # spec: wsgi 8
    fields = [["cookie", "a=1"], ["cookie", "b=2"], ["accept", "x"], ["accept", "x"], ["proxy", "evil"], ["x_real", "evil"],
              ["x-real", "good"], ["content-length", "0"], ["content-length", "0"]]  # fmt: skip
    answer = environ(wsgi, fields=fields)
    assert {key: value for key, value in answer.items() if key.startswith(("HTTP_", "CONTENT_"))} == {
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_ACCEPT": "x,x",
        "HTTP_X_REAL": "good",
        "CONTENT_LENGTH": "0",
    }


def test_the_usual_reply_is_one_frame(wsgi):
    frame = wsgi.open("/hello").next()
    assert (frame["type"], frame["aux"], frame["body"], frame["flags"]) == ("HEAD", 200, "hello", END_STREAM)


BODY = "abcdef\nsecond line\nthird\nfourth\nfifth"
READS = ["abc", "", "def\n", "seco", "nd line\n", "third\n", "fourth\nfifth", "", "", ""]


@pytest.mark.parametrize("size", [0, 1, 7, 100])
def test_reading_as_from_a_file(wsgi, size):
    """The body inside OPEN, or in DATA frames of a few bytes."""
    # spec: wsgi 4
    if size == 0:
        stream = wsgi.open("/reads", method="POST", body=BODY)
    else:
        stream = wsgi.open("/reads", method="POST", flags=0)
        assert stream.next("WINDOW")["length"] == WINDOW
        for at in range(0, len(BODY), size):
            stream.data(BODY[at : at + size])
        stream.end()
    assert json.loads(stream.response()[2]) == READS


def test_iteration_keeps_newlines(wsgi):
    # spec: wsgi 4
    assert json.loads(wsgi.get("/iterate", body="a\n\nb")[2]) == ["a\n", "\n", "b"]


def test_a_large_upload_is_bounded_by_credit(wsgi):
    # spec: wsgi 4
    # spec: http 24
    stream = wsgi.open("/length", method="POST", flags=0)
    credit, total = 0, 1_000_000
    left = total
    while left:
        while credit == 0:
            credit += stream.next("WINDOW")["length"]
        assert credit <= WINDOW
        n = min(left, credit, 16_000)
        stream.data("x" * n, end=left == n)
        credit -= n
        left -= n
    assert stream.response()[2] == str(total)


def test_credit_that_finds_no_room_is_given_later(start):
    """The ring is full to the last byte with another response when a request asks for its body."""
    # spec: wsgi 4
    # spec: http 24
    worker = start("wsgi:app", threads=2, ring_size=16384).ready()
    big = worker.open("/big", credit=1 << 20)
    reader = worker.open("/length", method="POST", flags=0)
    wait_until(worker, lambda: is_idle(worker))
    reader.next("WINDOW")
    reader.data("12345", end=True)
    assert reader.response()[2] == "5"
    assert len(big.response()[2]) == 612_000


def is_idle(worker):
    """All threads of the worker sleep, and have not run between two looks."""
    tasks = Path(f"/proc/{worker.process.pid}/task")

    def look():
        return [(task / "status").read_text() for task in tasks.iterdir()]

    before = look()
    threading.Event().wait(0.05)
    return before == look() and all("State:\tS" in text for text in before)


def test_a_client_that_leaves_while_its_body_is_read(wsgi):
    stream = wsgi.open("/read_error", method="POST", flags=0)
    stream.next("WINDOW")
    stream.reset()
    assert _log(wsgi, 1) == ["ClientDisconnected: the client left before the end of its request"]


def test_items_go_out_one_by_one(wsgi):
    # spec: wsgi 5
    # spec: wsgi 2
    stream = wsgi.open("/stream", method="POST", flags=0)
    stream.next("WINDOW")
    for n in range(5):
        stream.data("x")
        frame = stream.next("DATA" if n else "HEAD")
        assert frame["body"] == "item"
    stream.end()
    stream.next("END")
    assert _log(wsgi, 1) == ["closed"]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/write", 200, "written and returned"),
        ("/empty_list", 204, ""),
        ("/two_items", 200, "ab"),
        ("/replaced_head", 500, "page"),
        ("/file", 200, "f" * 150_000),
    ],
)
def test_responses(wsgi, path, status, body):
    # spec: wsgi 2
    # spec: wsgi 3
    # spec: wsgi 5
    answer = wsgi.get(path)
    assert (answer[0], answer[2]) == (status, body)
    if path == "/replaced_head":
        assert answer[1] == [["X-New", "1"]]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/raises", "ValueError: before the head"),
        ("/text_chunk", "TypeError: the application's iterable must yield bytes, not str"),
        ("/write_text", "TypeError: write() takes bytes, not str"),
        ("/no_start", "AssertionError: the application did not call start_response before its first output"),
    ],
)
def test_exceptions_before_the_head(wsgi, path, error):
    # spec: wsgi 9
    # spec: wsgi 5
    assert wsgi.open(path, id="00000000000000ff").next()["type"] == "RESET"
    output = wsgi.output()
    assert output.startswith("exception in WSGI application [id 00000000000000ff]\n")
    assert output.endswith(error + "\n")
    assert output.count(error) == 1
    if path == "/text_chunk":
        assert _log(wsgi, 1) == ["closed"]


@pytest.mark.parametrize(("path", "error"), [("/raises_later", "after the head"), ("/late_error", "late")])
def test_exceptions_after_the_head(wsgi, path, error):
    # spec: wsgi 9
    # spec: wsgi 3
    stream = wsgi.open(path)
    assert stream.next("HEAD")["body"] == "part"
    assert stream.next("RESET")["aux"] == 1
    assert f"ValueError: {error}\n" in wsgi.output()


def test_the_end_after_a_deadline_is_said(start):
    # spec: process 9
    worker = start("wsgi:app", threads=2).ready()
    stream, reader = worker.open("/wait_gate"), worker.open("/read_all", method="POST", flags=0)
    reader.next("WINDOW")
    reader.reset(2)
    assert reader.next()["type"] == "RESET"  # what waits for the client is released at once
    stream.reset(2)
    assert worker.get("/open_gate")[0] == 200
    assert stream.next()["type"] == "RESET"
    assert worker.output() == ""


def test_an_exception_in_close(wsgi):
    # spec: wsgi 5
    assert wsgi.get("/raises_in_close")[2] == "all"
    assert _log(wsgi, 1) == ["closed"]
    wsgi.command("drain")
    wsgi.message("drained")
    assert wsgi.output().count("ValueError: in close") == 1


def test_mistakes_are_exceptions_at_the_caller(wsgi):
    # spec: wsgi 3
    # spec: wsgi 5
    assert json.loads(wsgi.get("/mistakes")[2]) == [
        f"TypeError: invalid status 200: {STATUS_FORM}",
        f"ValueError: invalid status 'abc': {STATUS_FORM}",
        "TypeError: exc_info must be a tuple, not str",
        "ValueError: invalid status '100 Continue': it is no final one, which are from 200 to 999",
        "ValueError: invalid status '200 OK\\r\\nX: y': control characters are not allowed",
        "TypeError: response headers must be a list of tuples, not tuple",
        "TypeError: each header must be a tuple (name, value), got ['a', 'b']",
        "TypeError: header value must be str, not bytes",
        "ValueError: invalid value 'b\\r\\n' of header 'a': control characters are not allowed",
        "ValueError: header value has characters outside latin-1: '\u20ac'",
        "ValueError: invalid header name 'a b': expected one or more token characters (RFC 9110)",
        "AssertionError: start_response was called a second time without exc_info",
    ]


@pytest.mark.parametrize(
    ("status", "number", "phrase"),
    [
        ("200 OK", 200, ""),
        ("200", 200, ""),
        ("200 ", 200, ""),
        ("404 Nicht da", 404, "Nicht da"),
        ("200 Fine", 200, "Fine"),
        ("299 Whatever", 299, "Whatever"),
        ("500 \xc4rger", 500, "\xc4rger"),
        ("999  two spaces ", 999, " two spaces "),
        ("404 " + "x" * 1024, 404, "x" * 1024),
    ],
)
def test_the_reason_phrase_goes_out(start, status, number, phrase):
    # spec: wsgi 2
    frame = start("wsgi:app").ready().open("/status", query=quote(status, encoding="latin-1")).next("HEAD")
    assert (frame["aux"], frame.get("phrase", ""), frame["body"], frame["fields"]) == (number, phrase, "body", [["X-A", "1"]])


def test_the_validator_is_content(start):
    # spec: wsgi 1
    worker = start("wsgi:validated").ready()
    assert worker.open("/", method="POST", body="12345", fields=[["host", "a"]]).response()[2] == "<12345>"
    assert _log_free(worker) == ""


def _log_free(worker):
    worker.command("drain")
    worker.message("drained")
    return worker.output()


def test_a_class_as_application(start):
    assert start("wsgi:ClassStyle").ready().get("/")[2] == "class"


@pytest.mark.parametrize("ring_size", [16384, 65536])
def test_a_big_body_by_credit_and_room(start, ring_size):
    # spec: http 24
    worker = start("wsgi:app", threads=2, ring_size=ring_size).ready()
    stream = worker.open("/big", credit=1000)
    assert stream.next("HEAD")["length"] == 1000
    for _ in range(20):
        assert worker.get("/hello")[2] == "hello"
    stream.window(1 << 30)
    assert stream.response_body() == ((bytes(range(256)) * 2000)[1000:] + b"y" * 100_000).decode("latin-1")


def test_a_client_that_leaves_releases_a_blocked_yield(wsgi):
    # spec: wsgi 12
    stream = wsgi.open("/endless", credit=25_000)
    stream.next("HEAD")
    stream.reset()
    assert _log(wsgi, 1) == ["closed"]
    assert wsgi.output() == ""


def test_a_slot_that_is_used_again_before_its_first_thread_is_done(start):
    """A client leaves while its application runs; the slot goes to another, which the first one's end leaves alone."""
    # spec: wsgi 12
    worker = start("wsgi:app", threads=3).ready()
    first = worker.open("/wait_gate")
    first.reset()
    second = Stream(worker, first.link, first.id + (1 << 20))
    first.link.write(encode(open_frame(second.id, path="/big", credit=1000)))
    assert second.next("HEAD")["length"] == 1000
    assert worker.get("/open_gate")[0] == 200
    while worker.get("/running")[2] != '"1"':  # the first one's application has returned; its stream is left at once after
        pass
    for _ in range(20):
        assert worker.get("/hello")[2] == "hello"
    second.window(1 << 30)
    assert len(second.response_body()) == 612_000 - 1000


def test_threads_run_requests_at_once(start):
    # spec: wsgi 10
    worker = start("wsgi:app", threads=4).ready()
    for _ in range(3):
        streams = [worker.open("/together") for _ in range(4)]
        assert [stream.response()[2] for stream in streams] == ["together"] * 4


def test_a_waiting_thread_leads_when_all_are_busy(start):
    """Two threads wait for their bodies and nobody is left to follow; a third request lies in the ring before the bodies."""
    worker = start("wsgi:app", threads=2).ready()
    readers = [worker.open("/read_all", method="POST", flags=0) for _ in range(2)]
    for reader in readers:
        reader.next("WINDOW")
    behind = worker.open("/hello")
    for n in (1, 0):
        readers[n].data(f"body {n}", end=True)
        assert readers[n].response()[2] == f"body {n}"
    assert behind.response()[2] == "hello"


def test_what_was_revoked_holds_no_room_behind_it(start):
    """The one thread reads a body of many times the ring's size; requests that it has not come to lie in between."""
    # spec: wsgi 10
    worker = start("wsgi:app", ring_size=16384).ready()
    reader = worker.open("/length", method="POST", flags=0)
    left, credit = 100_000, 0
    while left:
        behind = [worker.open("/spin") for _ in range(5)]
        while credit < 2000:
            credit += reader.next("WINDOW")["length"]
        reader.data("x" * 2000, end=left == 2000)
        worker.links[0].revoke(*(stream.id for stream in behind))
        left -= 2000
        credit -= 2000
    assert reader.response()[2] == "100000"
    assert worker.get("/hello")[2] == "hello"


def test_one_thread_is_the_main_thread(start):
    # spec: wsgi 10
    assert start("wsgi:app").ready().get("/thread")[2] == '"MainThread"'
    assert start("wsgi:app", threads=2).ready().get("/thread")[2].startswith('"request-')


@pytest.mark.parametrize("threads", [1, 3])
def test_many_requests_at_once(start, threads):
    worker = start("wsgi:app", threads=threads, links=2, ring_size=16384).ready()
    for _ in range(20):
        streams = [worker.open("/hello", link=n % 2) for n in range(30)]
        assert [stream.response()[2] for stream in streams] == ["hello"] * 30


@pytest.mark.parametrize("threads", [1, 3])
def test_system_exit_ends_the_worker(start, threads):
    worker = start("wsgi:app", threads=threads).ready()
    assert worker.open("/exit").next()["type"] == "RESET"
    assert worker.wait() == 7


def test_drain_waits_for_running_threads(start):
    # spec: process 8
    worker = start("wsgi:app", threads=2).ready()
    stream = worker.open("/wait_gate")
    worker.command("drain")
    assert worker.get("/open_gate")[0] == 200
    assert stream.response()[2] == "through"
    worker.message("drained")
    assert worker.stop() == 0


def test_drain_does_not_wait_for_what_was_revoked(start):
    """The one thread is busy when the worker is told to drain, and behind its request lie some that were taken back."""
    # spec: process 6
    # spec: process 8
    worker = start("wsgi:app", loops=2, ring_size=16384).ready()
    stream = worker.open("/wait_gate")
    wait_until(worker, lambda: True)
    revoked = [encode(open_frame(worker.new_stream().id, path="/" + "x" * 3800, claim=2)) for _ in range(5)]
    worker.links[0].write(*revoked[:4])
    worker.command("drain")
    worker.links[0].write(revoked[4])  # there is room when it has read the others: it has heard the command
    assert worker.get("/open_gate", link=1)[0] == 200
    assert stream.response()[2] == "through"
    worker.message("drained")
    assert worker.stop() == 0
