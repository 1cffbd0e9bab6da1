"""The figures awaitd has to hold (DESIGN §5, issue 3), and whether a run held them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measure import RowResult
from samples import Sample
from stats import Figure, figure, ratio

NEWER = (3, 14)  # from here on tasks can be started eagerly with less work, and some limits are lower


@dataclass(frozen=True)
class Target:
    """awaitd's `figure` in `row`, or its ratio to the best of `peers` or to its own in `base_row`, against a limit.

    `ours` is awaitd by the name it has in that row.
    """

    text: str
    row: str
    figure: str
    limit: float
    peers: tuple[str, ...] = ()
    peer_figure: str = ""
    base_row: str = ""
    at_least: bool = False
    limit_newer: float | None = None
    ours: str = "awaitd"
    unit: str = "×"

    def limit_on(self, python: tuple[int, ...]) -> float:
        return self.limit_newer if self.limit_newer is not None and python >= NEWER else self.limit


@dataclass(frozen=True)
class Verdict:
    """A target, what was measured, and in how many rounds it was held. Without `measured`, `reason` says why."""

    target: Target
    limit: float
    measured: Figure | None = None
    peer: str = ""
    reason: str = ""

    def held(self, number: float) -> bool:
        return number >= self.limit if self.target.at_least else number <= self.limit

    @property
    def met(self) -> bool:
        return self.measured is not None and self.held(self.measured.median)

    @property
    def rounds(self) -> str:
        if self.measured is None:
            return ""
        return f"{sum(map(self.held, self.measured.values))}/{len(self.measured.values)}"

    @property
    def word(self) -> str:
        return "not measured" if self.measured is None else "met" if self.met else "MISSED"


WAIT_TEXT = "WSGI that waits 10 ms, 4 threads: requests/s to the ideal of 400"
FILE_TEXT = "100 KB by `wsgi.file_wrapper`: requests per CPU-second to gunicorn"
OWN_TEXT = "behind nginx by `uwsgi_pass`: requests per CPU-second of the application server to uWSGI"
WHOLE_TEXT = "the same, of application server and nginx together"
BEST_WAY_TEXT = "the same by `proxy_pass` with keepalive, uWSGI by `uwsgi_pass`: each in its best way"
UWSGI_PASS = ("uwsgi@uwsgi_pass",)
ECHO_TEXT = "echo of 1 MB: requests per CPU-second (1 / CPU per request) to uvicorn"
START_TEXT = "hello: first reply after the start, less 1.2 × `python -c 'import hello'`"
START_FASTAPI_TEXT = "the same with FastAPI, less 1.2 × `python -c 'import fastapi_app'`"
MIXED_TEXT = "300 requests/s, 1 % wait, 1 % burn CPU, 2 workers: p99 of the others to the best peer"
TWO_WORKERS = ("uvicorn", "granian", "gunicorn", "hypercorn")
ECHO_SOCKET_TEXT = "WebSocket echo: CPU per message to the best peer"
BROADCAST_TEXT = "1 KB to 1,000 WebSockets: messages per CPU-second to the best peer"
SOCKET_PEERS = ("uvicorn", "uvicorn-wsproto", "granian", "hypercorn", "socketify")
FORTUNES_TEXT = "fortunes on PostgreSQL: requests/s to uvicorn"
CPU, BEST_ASGI = "cpu_us", ("uvicorn", "granian", "pyvoy")

TARGETS = (
    Target("hello: CPU per request to nginx `return 200`", "hello", CPU, 1.3, ("nginx",), limit_newer=1.1),
    Target("hello: CPU per request to the best ASGI peer", "hello", CPU, 0.5, BEST_ASGI),
    Target("hello: the worker's share", "hello", "role:worker", 3.5, limit_newer=2.0, unit="µs"),
    Target("FastAPI: requests/s to uvicorn", "fastapi", "rate", 1.5, ("uvicorn",), at_least=True),
    Target(FORTUNES_TEXT, "fortunes", "rate", 1.25, ("uvicorn",), at_least=True),
    Target("100 header fields: CPU per request to its own in hello", "headers", CPU, 2.0, base_row="hello"),
    Target(ECHO_TEXT, "echo_1m", "per_cpu_second", 1.5, ("uvicorn",), at_least=True),
    Target("10,000 slow senders: p99 beside them to p99 alone", "slow_senders", "growth", 2.0),
    Target("hello, 1 connection: p50 to uvicorn", "hello_c1", "p50", 1.0, ("uvicorn",)),
    Target("WSGI hello: CPU per request to bjoern", "wsgi_hello", CPU, 1.1, ("bjoern",)),
    Target("WSGI hello: CPU per request to fastpysgi", "wsgi_hello", CPU, 1.25, ("fastpysgi",)),
    Target("WSGI hello: the worker's share to bjoern", "wsgi_hello", "role:worker", 0.4, ("bjoern",), CPU),
    Target(WAIT_TEXT, "wsgi_wait", "of_ideal", 0.95, at_least=True),
    Target(FILE_TEXT, "wsgi_file", "per_cpu_second", 3.0, ("gunicorn",), at_least=True),
    Target(OWN_TEXT, "behind_nginx", "own_per_cpu_second", 1.5, UWSGI_PASS, at_least=True, ours="awaitd@uwsgi_pass"),
    Target(WHOLE_TEXT, "behind_nginx", "per_cpu_second", 1.5, UWSGI_PASS, at_least=True, ours="awaitd@uwsgi_pass"),
    Target(BEST_WAY_TEXT, "behind_nginx", "per_cpu_second", 1.5, UWSGI_PASS, at_least=True, ours="awaitd@proxy_pass"),
    Target("RSS of the server process at start", "start", "role:server", 25, unit="MB"),
    Target(START_TEXT, "start", "beyond_ms", 60, unit="ms"),
    Target(START_FASTAPI_TEXT, "start_fastapi", "beyond_ms", 60, unit="ms"),
    Target(MIXED_TEXT, "mixed", "p99", 0.25, TWO_WORKERS),
    Target("a worker in an endless loop, deadline 1 s: its client's 504 after", "stuck", "answered", 1.2, unit="s"),
    Target("the same: another worker ready after", "stuck", "replaced", 2.0, unit="s"),
    Target("5 reloads under 5,000 requests/s: requests that fail", "reload", "failed", 0, unit="requests"),
    Target("Django by WSGI: PSS of zygote and 4 preloaded workers to one without", "preload", "growth", 2.1),
    Target("the same by ASGI", "preload_asgi", "growth", 2.1),
    Target(ECHO_SOCKET_TEXT, "ws_echo", CPU, 0.6, SOCKET_PEERS),
    Target("one idle WebSocket, of 15,000: the server's share", "ws_idle", "role:server", 1536, unit="bytes"),
    Target("the same, in the whole tree", "ws_idle", "pss_each", 4096, unit="bytes"),
    Target(BROADCAST_TEXT, "ws_broadcast", "per_cpu_second", 2.0, SOCKET_PEERS, at_least=True),
    Target("one idle keep-alive connection", "idle", "largest_each", 512, unit="bytes"),
)


def judge(results: Mapping[str, RowResult], python: tuple[int, ...]) -> list[Verdict]:
    """One verdict for each target whose row was asked for."""
    return [verdict(t, results[t.row], t.limit_on(python), results.get(t.base_row)) for t in TARGETS if t.row in results]


def verdict(target: Target, result: RowResult, limit: float, base: RowResult | None = None) -> Verdict:
    ours = result.samples.get(target.ours)
    if not ours:
        return Verdict(target, limit, reason=f"{label(target.ours)} {result.missing.get(target.ours, 'was not asked for')}")
    if target.base_row:
        return to_own(target, ours, limit, base)
    if not target.peers:
        return Verdict(target, limit, figure(ours, target.figure))
    absent = [p for p in target.peers if p not in result.samples]
    if absent:  # the best of those that are left might be an easier mark
        return Verdict(
            target, limit, reason="; ".join(f"{label(p)} {result.missing.get(p, 'was not asked for')}" for p in absent)
        )
    theirs = target.peer_figure or target.figure
    peer = best({p: result.samples[p] for p in target.peers}, theirs, target.at_least)
    measured = ratio(ours, target.figure, result.samples[peer], theirs)
    if not measured.values:
        return Verdict(target, limit, reason=f"{peer} has no figure above 0")
    return Verdict(target, limit, measured, label(peer))


def label(name: str) -> str:
    """A server's name as a reader says it: behind nginx it has its way after an `@`."""
    return name.replace("@", " by ")


def to_own(target: Target, ours: Sequence[Sample], limit: float, base: RowResult | None) -> Verdict:
    """Compares with awaitd's own samples in another row. They were taken at another time: rounds pair by number only."""
    if base is None:
        return Verdict(target, limit, reason=f"the row {target.base_row} was not asked for")
    own = base.samples.get("awaitd")
    if not own:
        reason = base.missing.get("awaitd", "was not asked for")
        return Verdict(target, limit, reason=f"awaitd in {target.base_row} {reason}")
    return Verdict(target, limit, ratio(ours, target.figure, own, target.figure), f"its own in {target.base_row}")


def best(peers: Mapping[str, Sequence[Sample]], name: str, highest: bool) -> str:
    """The peer with the best median."""
    choose = max if highest else min
    return choose(peers, key=lambda p: figure(peers[p], name).median)
