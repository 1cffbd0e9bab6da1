"""What an application may know of a connection's TLS, from what the server says of it."""

from __future__ import annotations

import functools
import json
from typing import Any


@functools.lru_cache(256)
def _parse(text: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(text)
    return told


def extension(text: bytes) -> dict[str, Any]:
    """Return the extension ``tls`` of ASGI. The server's certificate is not among it: it would go with every request."""
    told = _parse(text)
    return {
        "server_cert": None,
        "client_cert_chain": list(told.get("client_cert_chain", ())),
        "client_cert_name": told.get("client_cert_name"),
        "client_cert_error": None,
        "tls_version": told.get("tls_version"),
        "cipher_suite": told.get("cipher_suite"),
    }


_VERSIONS = {0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


def details(text: bytes) -> dict[str, Any]:
    """Return what ``StreamWriter.get_extra_info()`` knows: ``cipher`` as ``ssl.SSLSocket.cipher()`` has it, and ``tls``."""
    told = _parse(text)
    name = told.get("cipher_name", "")
    bits = 128 if "AES_128" in name else 256
    return {"cipher": (name, _VERSIONS.get(told.get("tls_version", 0), "unknown"), bits), "tls": extension(text)}


@functools.lru_cache(256)
def _variables(text: bytes) -> dict[str, str]:
    told = _parse(text)
    chain = told.get("client_cert_chain")
    variables = {
        "SSL_PROTOCOL": _VERSIONS.get(told.get("tls_version", 0), "unknown"),
        "SSL_CIPHER": told.get("cipher_name", ""),
        "SSL_CLIENT_VERIFY": "SUCCESS" if chain else "NONE",
    }
    if "server_name" in told:
        variables["SSL_TLS_SNI"] = told["server_name"]
    if chain:
        variables |= {"SSL_CLIENT_S_DN": told["client_cert_name"].encode().decode("latin-1"), "SSL_CLIENT_CERT": chain[0]}
    return variables


def variables(text: bytes) -> dict[str, str]:
    """Return CGI variables, by the names that Apache's mod_ssl has for them; text in them as PEP 3333 wants it."""
    return _variables(text)
