"""The scope of an HTTP request."""

from __future__ import annotations

import json

from frames import variables_extra


def scope(worker, path="/scope_of", **changes):
    status, _, body = worker.get(path, **changes)
    assert status == 200
    return json.loads(body)


def test_every_key_and_type(asgi):
    # spec: http 12
    assert scope(asgi, query="a=1", fields=[["host", "a"], ["cookie", "x=1"], ["cookie", "y=2"], ["x-latin", "\xe9"]]) == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/scope_of",
        "raw_path": "b:/scope_of",
        "query_string": "b:a=1",
        "root_path": "",
        "headers": [
            "list",
            ["tuple", "b:host", "b:a"],
            ["tuple", "b:cookie", "b:x=1"],
            ["tuple", "b:cookie", "b:y=2"],
            ["tuple", "b:x-latin", "b:\xe9"],
        ],
        "client": ["tuple", "192.0.2.7", 51234],
        "server": ["tuple", "127.0.0.1", 8000],
        "extensions": {
            "http.response.trailers": {},
            "http.response.early_hint": {},
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
        },
    }


def test_nothing_of_one_scope_is_in_the_next(asgi):
    # spec: http 12
    assert scope(asgi) == scope(asgi)


def test_versions_and_schemes(asgi):
    # spec: http 12
    versions = [scope(asgi, version=version)["http_version"] for version in (10, 11, 20, 30)]
    assert versions == ["1.0", "1.1", "2", "3"]
    assert scope(asgi, scheme=1)["scheme"] == "https"


def test_method_is_upper_case(asgi):
    # spec: http 12
    assert [scope(asgi, method=method)["method"] for method in ("GET", "get", "purge")] == ["GET", "GET", "PURGE"]


def test_path_is_decoded_once(asgi):
    # spec: http 12
    assert scope(asgi, "/caf%C3%A9/a%20b")["path"] == "/caf\xe9/a b"
    assert scope(asgi, "//..//%ff")["path"] == "//..//\ufffd"
    plain = scope(asgi, "/a%2Fb%252Fc")
    assert (plain["path"], plain["raw_path"]) == ("/a/b%2Fc", "b:/a%2Fb%252Fc")


def test_addresses(asgi):
    # spec: http 12
    six = scope(asgi, client="2001:db8::1", client_port=1, server="::1", server_port=2)
    assert (six["client"], six["server"]) == (["tuple", "2001:db8::1", 1], ["tuple", "::1", 2])
    unix = scope(asgi, client="", client_port=0, server="unix", server_port=0, extra=[[1, "/run/a.sock"]])
    assert (unix["client"], unix["server"]) == (None, ["tuple", "/run/a.sock", None])
    named = scope(asgi, client="", client_port=9, extra=[[3, "proxy.internal"]])
    assert named["client"] == ["tuple", "proxy.internal", 9]


def test_the_caches_tell_requests_apart(asgi):
    """Names, values and addresses that share places in the caches."""
    for n in range(600):
        answer = scope(
            asgi, client=f"10.0.{n % 7}.{n % 250}", client_port=n, fields=[[f"x-{n}", str(n)], ["x-same", str(n % 3)]]
        )
        assert answer["client"] == ["tuple", f"10.0.{n % 7}.{n % 250}", n]
        assert answer["headers"] == ["list", ["tuple", f"b:x-{n}", f"b:{n}"], ["tuple", "b:x-same", f"b:{n % 3}"]]


def test_root_path(start):
    # spec: http 12
    worker = start("asgi:app", root_path="/api").ready()
    assert [scope(worker, path)["path"] for path in ("/scope_of", "/api/scope_of")] == ["/api/scope_of"] * 2
    answer = scope(worker, "/scope_of")
    assert (answer["root_path"], answer["raw_path"]) == ("/api", "b:/scope_of")


def test_root_path_of_a_proxy(asgi):
    # spec: http 12
    answer = scope(asgi, extra=[[2, "/api"]])
    assert (answer["root_path"], answer["path"]) == ("/api", "/api/scope_of")


def test_names_of_both_sides_by_a_web_server(asgi):
    # spec: protocols 10
    named = {"client": "", "client_port": 9, "server": "", "server_port": 443}
    answer = scope(asgi, **named, extra=[[3, "an.example\xff"], [10, "www.example.org"]])
    assert (answer["client"], answer["server"]) == (["tuple", "an.example\ufffd", 9], ["tuple", "www.example.org", 443])


def test_tls(asgi):
    told = {"tls_version": 0x0303, "cipher_suite": 0xC02B, "client_cert_name": "CN=ann", "client_cert_chain": ["pem"]}
    for _ in range(2):  # what the application puts there is not in the next
        tls = scope(asgi, scheme=1, extra=[[4, json.dumps(told)]])["extensions"]["tls"]
        assert tls == told | {"client_cert_chain": ["list", "pem"], "server_cert": None, "client_cert_error": None}
    tls = scope(asgi, scheme=1, extra=[[4, json.dumps({"tls_version": 0x0304, "cipher_suite": 0x1301})]])["extensions"]["tls"]
    assert (tls["client_cert_name"], tls["client_cert_chain"]) == (None, ["list"])
    assert "tls" not in scope(asgi, scheme=1)["extensions"]


def test_variables_of_a_web_server(asgi):
    # spec: protocols 10
    rows = [
        ("REMOTE_USER", "ann"),
        ("EMPTY", ""),
        ("x", "caf\xc3\xa9 \xff"),
        ("TWICE", "1"),
        ("TWICE", "2"),
        ("N" * 300, "v" * 3000),
    ]
    for _ in range(2):  # what the application puts there is not in the next
        extensions = scope(asgi, extra=[[2, "/api"], variables_extra(*rows)], path="/api/scope_of")["extensions"]
        assert extensions.pop("awaitd.cgi") == {
            "variables": {"REMOTE_USER": "ann", "EMPTY": "", "x": "caf\xe9 \udcff", "TWICE": "2", "N" * 300: "v" * 3000}
        }
        assert "mine" not in extensions
    assert "awaitd.cgi" not in scope(asgi)["extensions"]
