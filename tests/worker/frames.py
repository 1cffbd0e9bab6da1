"""Frames of the wire in plain Python: what the tests write and read (docs/reference/wire.md).

A frame is a dict in the form of ``internal/wire/testdata/vectors.json``: bytes as latin-1 text, ids and tokens as 16
hexadecimal digits, and -1 for an unknown content length and for a file's "to the end".
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

TYPES = {
    1: "OPEN", 2: "DATA", 3: "END", 4: "RESET", 5: "WINDOW", 6: "HEAD", 7: "INFORM", 8: "FILE", 9: "ACCEPT", 10: "MESSAGE",
    11: "CLOSE", 13: "COMMAND", 14: "REPLY", 15: "PING", 16: "PONG", 17: "DEBUG", 18: "BROADCAST",
}  # fmt: skip
NUMBERS = {name: number for number, name in TYPES.items()}

END_STREAM, TRAILERS, MORE, WANTS_CONTINUE = 1, 2, 4, 8
PAD = 0xFFFFFFFF

Frame = dict[str, Any]
Fields = list[list[str]]


def _u64(number: int) -> int:
    return number & (1 << 64) - 1


def _signed(number: int) -> int:
    return -1 if number == (1 << 64) - 1 else number


def _latin(text: str) -> bytes:
    return text.encode("latin-1")


def _table(fields: Fields) -> bytes:
    pairs = [(_latin(name), _latin(value)) for name, value in fields]
    lengths = b"".join(struct.pack("<HH", len(name), len(value)) for name, value in pairs)
    return lengths + b"".join(name + value for name, value in pairs)


def _address(address: str) -> tuple[int, bytes]:
    """Family and 16 bytes of ``""``, an IP address, or ``"unix"``."""
    if address in ("", "unix"):
        return (1 if address else 0), bytes(16)
    packed = ipaddress.ip_address(address).packed
    return (4 if len(packed) == 4 else 6), packed.ljust(16, b"\0")


def _open_payload(f: Frame) -> bytes:
    method, path, query, body = (_latin(f[key]) for key in ("method", "path", "query", "body"))
    extra = b"".join(struct.pack("<HH", tag, len(_latin(text))) + _latin(text) for tag, text in f["extra"])
    client_family, client = _address(f["client"])
    server_family, server = _address(f["server"])
    lengths = len(path), len(query), len(f["fields"]), len(extra)
    fixed = struct.pack("<IBBBB", f["claim"], f["kind"], f["version"], f["scheme"], len(method))
    fixed += struct.pack("<QQ", int(f["id"], 16), _u64(f["content_length"])) + struct.pack("<HHHH", *lengths)
    ports = f["client_port"], f["server_port"], f.get("target", 0)
    fixed += struct.pack("<IBBHHH4x", f["credit"], client_family, server_family, *ports)
    fixed += client + server
    table = _table(f["fields"])
    split = 4 * len(f["fields"])
    return fixed + table[:split] + method + path + query + table[split:] + extra + body


def _head_payload(f: Frame) -> bytes:
    phrase = _latin(f.get("phrase", ""))
    return struct.pack("<HH4x", len(f["fields"]), len(phrase)) + _table(f["fields"]) + phrase + _latin(f.get("body", ""))


def _file_payload(f: Frame) -> bytes:
    return struct.pack("<QQQ", f["offset"], _u64(f["count"]), int(f["token"], 16))


def _accept_payload(f: Frame) -> bytes:
    table = _table(f["fields"])
    split = 4 * len(f["fields"])
    return struct.pack("<H6x", len(f["fields"])) + table[:split] + _latin(f["subprotocol"]) + table[split:]


def _broadcast_payload(f: Frame) -> bytes:
    streams = f["streams"]
    return struct.pack(f"<II{len(streams)}I", len(streams), 0, *streams) + _latin(f["body"])


_PAYLOADS = {
    "OPEN": _open_payload,
    "END": lambda f: _table(f["fields"]),
    "WINDOW": lambda f: b"",
    "HEAD": _head_payload,
    "INFORM": _head_payload,
    "FILE": _file_payload,
    "ACCEPT": _accept_payload,
    "BROADCAST": _broadcast_payload,
    "PING": lambda f: struct.pack("<Q", int(f["token"], 16)),
    "PONG": lambda f: struct.pack("<Q", int(f["token"], 16)),
}


def _length(f: Frame, payload: bytes) -> int:
    kind = f["type"]
    if kind == "WINDOW":
        return int(f["length"])
    if kind in ("OPEN", "HEAD", "INFORM", "BROADCAST"):
        return len(_latin(f.get("body", "")))
    if kind == "FILE":
        return len(payload) - 16
    if kind == "ACCEPT":
        return 0
    return len(payload)


def encode(f: Frame) -> bytes:
    """A frame as bytes; ``size`` and ``length`` are worked out (but a WINDOW's length is its credit)."""
    payload = _PAYLOADS.get(f["type"], lambda f: _latin(f["body"]))(f)
    size = (16 + len(payload) + 7) & ~7
    header = struct.pack("<IIBBHI", size, f["stream"], NUMBERS[f["type"]], f["flags"], f["aux"], _length(f, payload))
    return (header + payload).ljust(size, b"\0")


def _read_fields(data: bytes, count: int, table: int, start: int) -> tuple[Fields, int]:
    fields = []
    for i in range(count):
        name, value = struct.unpack_from("<HH", data, table + 4 * i)
        fields.append(
            [data[start : start + name].decode("latin-1"), data[start + name : start + name + value].decode("latin-1")]
        )
        start += name + value
    return fields, start


def _read_address(family: int, packed: bytes) -> str:
    if family in (0, 1):
        return "unix" if family else ""
    return str(ipaddress.ip_address(packed[:4] if family == 4 else packed))


def _read_extra(data: bytes) -> list[list[Any]]:
    extra, at = [], 0
    while at < len(data):
        tag, length = struct.unpack_from("<HH", data, at)
        extra.append([tag, data[at + 4 : at + 4 + length].decode("latin-1")])
        at += 4 + length
    return extra


def _read_open(data: bytes, f: Frame) -> Frame:
    (claim, kind, version, scheme, method, id_, content_length, path, query, count, extra, credit, client_family, server_family,
     client_port, server_port, target, client, server) = struct.unpack_from("<IBBBBQQHHHHIBBHHH4x16s16s", data, 16)  # fmt: skip
    at = 96 + 4 * count
    texts = []
    for length in (method, path, query):
        texts.append(data[at : at + length].decode("latin-1"))
        at += length
    fields, at = _read_fields(data, count, 96, at)
    others = {"target": target} if target else {}
    return others | {
        "claim": claim, "kind": kind, "version": version, "scheme": scheme, "id": f"{id_:016x}",
        "content_length": _signed(content_length), "method": texts[0], "path": texts[1], "query": texts[2], "fields": fields,
        "credit": credit, "client": _read_address(client_family, client), "client_port": client_port,
        "server": _read_address(server_family, server), "server_port": server_port,
        "extra": _read_extra(data[at : at + extra]), "body": data[at + extra : at + extra + f["length"]].decode("latin-1"),
    }  # fmt: skip


def _read_head(data: bytes, f: Frame) -> Frame:
    count, length = struct.unpack_from("<HH", data, 16)
    fields, at = _read_fields(data, count, 24, 24 + 4 * count)
    phrase = {"phrase": data[at : at + length].decode("latin-1")} if length else {}
    at += length
    return {"fields": fields, **phrase, "body": data[at : at + f["length"]].decode("latin-1")}


def _read_file(data: bytes, f: Frame) -> Frame:
    offset, count, token = struct.unpack_from("<QQQ", data, 16)
    return {"offset": offset, "count": _signed(count), "token": f"{token:016x}"}


def _read_accept(data: bytes, f: Frame) -> Frame:
    count = struct.unpack_from("<H", data, 16)[0]
    at = 24 + 4 * count
    fields, _ = _read_fields(data, count, 24, at + f["aux"])
    return {"fields": fields, "subprotocol": data[at : at + f["aux"]].decode("latin-1")}


def _read_broadcast(data: bytes, f: Frame) -> Frame:
    count = struct.unpack_from("<I", data, 16)[0]
    at = 24 + 4 * count
    return {
        "streams": list(struct.unpack_from(f"<{count}I", data, 24)),
        "body": data[at : at + f["length"]].decode("latin-1"),
    }


_READERS = {
    "OPEN": _read_open,
    "END": lambda data, f: {"fields": _read_fields(data, f["aux"], 16, 16 + 4 * f["aux"])[0]},
    "WINDOW": lambda data, f: {},
    "HEAD": _read_head,
    "INFORM": _read_head,
    "FILE": _read_file,
    "ACCEPT": _read_accept,
    "BROADCAST": _read_broadcast,
    "PING": lambda data, f: {"token": f"{struct.unpack_from('<Q', data, 16)[0]:016x}"},
    "PONG": lambda data, f: {"token": f"{struct.unpack_from('<Q', data, 16)[0]:016x}"},
}


def decode(data: bytes) -> Frame:
    """The fields of one frame."""
    size, stream, type_, flags, aux, length = struct.unpack_from("<IIBBHI", data, 0)
    f: Frame = {"size": size, "stream": stream, "type": TYPES[type_], "flags": flags, "aux": aux, "length": length}
    read = _READERS.get(f["type"], lambda data, f: {"body": data[16 : 16 + f["length"]].decode("latin-1")})
    return {**f, **read(data, f)}


def variables_extra(*rows: tuple[str, str]) -> list[Any]:
    """The extra of an OPEN that holds the variables of a web server."""
    packed = b"".join(struct.pack("<HH", len(_latin(name)), len(_latin(value))) + _latin(name + value) for name, value in rows)
    return [9, packed.decode("latin-1")]


def open_frame(stream: int, **changes: Any) -> Frame:
    """An OPEN for ``GET /`` over HTTP/1.1, with changes."""
    usual: Frame = {
        "stream": stream, "type": "OPEN", "flags": END_STREAM, "aux": 0, "claim": 0, "kind": 1, "version": 11, "scheme": 0,
        "id": "0123456789abcdef", "content_length": 0, "method": "GET", "path": "/", "query": "", "credit": 65536,
        "client": "192.0.2.7", "client_port": 51234, "server": "127.0.0.1", "server_port": 8000,
        "fields": [["host", "example.org"]], "extra": [], "body": "",
    }  # fmt: skip
    return {**usual, **changes}
