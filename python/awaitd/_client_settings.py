"""What a transport is told, in httpx's words, as the server takes it (`internal/outbound/description.go`)."""

from __future__ import annotations

import importlib
import importlib.util
import os
import ssl
import urllib.request
from typing import Any

from ._outbound import Description

#: Connections at once, and idle ones of them, if no limits are given: of a pool that all workers share.
MAX_CONNECTIONS, MAX_KEEPALIVE, EXPIRY = 1000, 200, 5.0


def describe(
    *, verify: Any, cert: Any, trust_env: bool, http1: bool, http2: bool, limits: Any, proxy: Any, uds: str | None,
    local_address: str | None, retries: int, deny: str | None,
) -> Description:  # fmt: skip
    """Return a transport's description. Raises TypeError and ValueError for what can't be one."""
    if not http1 and not http2:
        raise ValueError("a transport needs HTTP/1.1 or HTTP/2: http1 and http2 are both False")
    if deny not in (None, "private"):
        raise ValueError(f'deny must be "private" or None, not {deny!r}')
    described: Description = {
        "http1": http1, "http2": http2, "retries": retries, "uds": uds or "", "local_address": local_address or "",
        "tls": security(verify, cert, trust_env), "deny": deny or "", **_limits(limits),
    }  # fmt: skip
    if proxy is not None:
        described["proxy"] = _proxy(proxy)
    elif trust_env and not uds:
        described["environ"] = _environ()
    return described


def _limits(limits: Any) -> Description:
    if limits is None:
        return {"max_connections": MAX_CONNECTIONS, "max_keepalive": MAX_KEEPALIVE, "expiry": EXPIRY}
    keepalive, expiry = limits.max_keepalive_connections, limits.keepalive_expiry
    return {
        "max_connections": limits.max_connections or 0,
        "max_keepalive": -1 if keepalive is None else keepalive,
        "expiry": -1.0 if expiry is None else expiry,
    }


def security(verify: Any, cert: Any, trust_env: bool = False) -> Description:
    """Return how certificates are judged: ``verify`` is True, False, a file or folder of authorities, or an SSLContext."""
    described: Description = {"verify": True, "hostname": True}
    if isinstance(verify, ssl.SSLContext):
        described.update(verify=verify.verify_mode != ssl.CERT_NONE, hostname=verify.check_hostname)
        if certificates := verify.get_ca_certs(binary_form=True):
            described["cas"] = "".join(map(ssl.DER_cert_to_PEM_cert, certificates))
        else:
            described.update(_default_authorities(trust_env))
    elif isinstance(verify, str | os.PathLike):
        path = os.path.abspath(verify)
        described["ca_folder" if os.path.isdir(path) else "ca_file"] = path
    elif verify:
        described.update(_default_authorities(trust_env))
    else:
        described.update(verify=False, hostname=False)
    if cert:
        files = (cert,) if isinstance(cert, str | os.PathLike) else tuple(cert)
        names = ("cert", "key", "password")
        for name, value in zip(names, files, strict=False):
            if value:
                described[name] = str(value) if name == "password" else os.path.abspath(value)
    return described


def _default_authorities(trust_env: bool) -> Description:
    """As httpx has them: by the environment, else certifi's, else the system's."""
    if trust_env and os.environ.get("SSL_CERT_FILE"):
        return {"ca_file": os.path.abspath(os.environ["SSL_CERT_FILE"])}
    if trust_env and os.environ.get("SSL_CERT_DIR"):
        return {"ca_folder": os.path.abspath(os.environ["SSL_CERT_DIR"])}
    if importlib.util.find_spec("certifi"):
        return {"ca_file": str(importlib.import_module("certifi").where())}
    return {}


def _proxy(proxy: Any) -> Description:
    """A URL as text, httpx's URL, or httpx's Proxy."""
    described: Description = {"user": "", "password": ""}
    inner = getattr(proxy, "url", proxy)
    described["url"] = str(inner)
    if (auth := getattr(proxy, "raw_auth", None)) is not None:
        described.update(user=auth[0].decode("latin-1"), password=auth[1].decode("latin-1"))
    if (headers := getattr(proxy, "headers", None)) is not None:
        described["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers.raw]
    if (context := getattr(proxy, "ssl_context", None)) is not None:
        described["tls"] = security(context, None)
    return described


def _environ() -> Description | None:
    found = urllib.request.getproxies()
    if not any(found.get(scheme) for scheme in ("http", "https", "all")):
        return None
    return {scheme: found.get(scheme, "") for scheme in ("http", "https", "all", "no")}
