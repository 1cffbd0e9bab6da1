"""The rows: what is asked of which servers, and how hard."""

from dataclasses import dataclass
from functools import cached_property

from provision import BENCH

ASGI_SERVERS = ("nginx", "awaitd", "uvicorn", "granian", "pyvoy", "gunicorn", "hypercorn", "fastpysgi")
WSGI_SERVERS = ("nginx", "awaitd", "bjoern", "fastpysgi", "granian", "pyvoy", "gunicorn", "uwsgi", "uwsgi-http")
WAIT_SERVERS = ("awaitd", "granian", "pyvoy", "gunicorn", "uwsgi", "uwsgi-http")
FILE_SERVERS = ("awaitd", "bjoern", "fastpysgi", "granian", "pyvoy", "gunicorn", "uwsgi")
BEHIND_SERVERS = ("awaitd@uwsgi_pass", "uwsgi@uwsgi_pass", "awaitd@proxy_pass", "gunicorn@proxy_pass", "granian@proxy_pass")
NO_FLOOR = ASGI_SERVERS[1:]
MEGABYTE_SERVERS = ("awaitd", "uvicorn", "granian", "hypercorn")
HEADERS_SERVERS = ("nginx", "awaitd", "uvicorn", "granian")
SLOW_SERVERS = ("awaitd", "uvicorn", "granian")
MIXED_SERVERS = ("awaitd", "uvicorn", "granian", "gunicorn", "hypercorn")
SOCKET_SERVERS = ("awaitd", "uvicorn", "uvicorn-wsproto", "granian", "hypercorn", "socketify")
DATABASE_SERVERS = ("awaitd", "uvicorn", "granian")
TORNADO_SERVERS = ("awaitd", "tornado")
IDLE_SOCKET_SERVERS = ("awaitd", "uvicorn", "granian")
RELOAD_SERVERS = ("awaitd", "granian", "gunicorn", "uvicorn")
SECONDS = 5  # of a row that doesn't say otherwise; `--seconds` changes it for all
CONNECTIONS = 64  # of a row that doesn't say otherwise; `--connections` changes it


@dataclass(frozen=True)
class Also:
    """Another path that has a share of all requests, drawn one by one, and the body that must come back."""

    path: str
    share: float
    expect: str


@dataclass(frozen=True)
class Request:
    """One request and the body that must come back; `also` is what is asked for besides.

    With `echo` so many random bytes go out and must come back; wrk, which has one body, repeats `body` up to that length.
    `fields` is how many header fields are sent besides Host. A `socket` is a WebSocket: `echo` is the length of its messages.
    Where replies are drawn by lot, `verified` is the path at which they aren't, and that is compared before the row.
    """

    path: str = "/"
    method: str = "GET"
    content_type: str = "-"
    body: str = "-"
    expect: str = "hello.txt"
    echo: int = 0
    fields: int = 0
    also: tuple[Also, ...] = ()
    socket: bool = False
    verified: str = ""

    @cached_property
    def body_file(self) -> str:
        return self.body if self.body == "-" else str(DATA / self.body)

    @cached_property
    def expect_file(self) -> str:
        return str(DATA / self.expect)


@dataclass(frozen=True)
class Row:
    """`rate` > 0 makes an open loop; kind is `load` or one of those in FRESH of measure.py.

    `ideal` is the most requests/s that the application allows; `view` names the table's columns where they aren't those of
    the kind; `remarks` are printed under the table. With `database` there is a PostgreSQL, and the application finds its
    address in BENCH_DATABASE.
    """

    name: str
    title: str
    servers: tuple[str, ...]
    target: str = "hello:app"
    request: Request = Request()
    connections: int = CONNECTIONS
    rate: int = 0
    kind: str = "load"
    threads: int = 1
    workers: int = 1
    seconds: int = SECONDS
    ideal: float = 0.0
    view: str = ""
    database: bool = False
    remarks: tuple[str, ...] = ()


DATA = BENCH / "apps" / "data"
ECHO = Request("/echo", "POST", "application/octet-stream", "1k.txt", "1k.txt", echo=1024)
ECHO_1M = Request("/echo", "POST", "application/octet-stream", "1k.txt", "1k.txt", echo=2**20)
HEADERS = Request(fields=99)  # and Host: a hundred is the most that awaitd and gunicorn take by default, and hyper ever
SOCKET = Request(echo=64, socket=True)
TEN_K = Request("/10k", expect="10k.txt")
FILE = Request(expect="100k.txt")
ORDER = Request("/orders/7", "POST", "application/json", "order.json", "receipt.json")

QUERY = Request("/db", expect="world.json", verified="/db?seed=1")
QUERIES = Request("/queries?queries=20", expect="worlds.json", verified="/queries?queries=20&seed=1")
UPDATES = Request("/updates?queries=20", expect="updated.json", verified="/updates?queries=20&seed=1")
FORTUNES = Request("/fortunes", expect="fortunes.html")

DATABASE_REMARKS = (
    "TechEmpower's shapes, plain ASGI with asyncpg (a pool of 16, connections not reset) and jinja2, the same file for every "
    "server; one PostgreSQL on a unix socket, without fsync.",
    "CPU per request is that of the server's processes; PostgreSQL's and wrk's are beside it. All share the machine's cores: "
    "where these are all busy, requests/s say as much about PostgreSQL and wrk as about the server.",
)
WAIT_REMARKS = (
    "At best: 4 threads that each wait 10 ms give 400 requests/s.",
    "bjoern and fastpysgi have no threads, so 100 requests/s is all they can give; they are not measured here.",
)
MIXED_REMARKS = (
    "Each request is drawn: 1 % ask for a page that waits 200 ms, 1 % for one that uses 50 ms of CPU, the others for hello. "
    "Round n draws with the seed above plus n - 1, so all servers are asked the same in the same order.",
    "Latency counts from when a request was due. A server that accepts a connection in one worker keeps it there: what is "
    "asked on it waits for whatever that worker does.",
)
SOCKET_REMARKS = (
    "One text of 64 random characters at a time on each connection, without compression and without pings. uvicorn is "
    "`--ws websockets-sansio`, uvicorn-wsproto `--ws wsproto`.",
)
IDLE_SOCKET_REMARKS = (
    "PSS that each WebSocket adds, with no timer or task of the application's. Each had one echo before; at the end each has "
    "another.",
)
BROADCAST_REMARKS = (
    "The application gets 1,024 bytes from one of 1,000 connections, and sends them to all; the next follow when all have "
    "arrived. Latency counts to each arrival. With awaitd it calls `awaitd.broadcast`; the others have nothing like it, and it "
    "sends to one after the other.",
    "Each message is a write of its own for every server, and most of its cost is the kernel's: *not in the kernel* is what a "
    "server itself adds.",
)
STUCK_REMARKS = (
    "A worker of two runs `while True: pass`; `--timeout-request 1s`. *Replaced* is when a new worker is ready, as `awaitd "
    "status` says; both count from the request.",
)
RELOAD_REMARKS = (
    "Two runs of the same server: the first undisturbed, the second with 5 times SIGHUP, evenly spread. *Failed* are requests "
    "without a right reply; *ended* are connections that the server ended as HTTP allows, with a reply or while idle.",
)
PRELOAD_REMARKS = (
    "PSS of all Python processes after each worker has had 200 requests: one worker without `--preload`, and the zygote with 4 "
    "workers. examples/django_site, out of debug, its page of questions, 8 connections.",
)
START_REMARKS = (
    '*Import* is `python -c "import APPLICATION"` in the same environment, in turns with the starts; *beyond* is what the '
    "first reply takes longer than 1.2 times that. Medians of 5 in each round.",
)
FILE_REMARKS = (
    "granian, pyvoy and fastpysgi have no `wsgi.file_wrapper`: there the application gives the file in blocks of 64 KB.",
    "uwsgi-http is not measured here: its router copies what uwsgi sends by sendfile, so uwsgi is the better of the two.",
)
BEHIND_REMARKS = (
    "nginx has the clients' port and passes each request to the application server on a unix socket, by `uwsgi_pass` (a "
    "connection for each request) or by `proxy_pass` with keepalive.",
    "*App server* is what the application server's processes used, nginx's left out; *whole* is both together. × uwsgi divides "
    "their requests per CPU-second, and requests/s, by those of uWSGI by `uwsgi_pass`.",
)

ROWS = {
    row.name: row
    for row in (
        Row("hello", "ASGI hello, 13 bytes", ASGI_SERVERS),
        Row("10k", "ASGI reply of 10 KB", NO_FLOOR, request=TEN_K),
        Row("echo", "ASGI echo of a 1 KB POST", NO_FLOOR, request=ECHO),
        Row("echo_1m", "ASGI echo of a 1 MB POST", MEGABYTE_SERVERS, request=ECHO_1M, connections=8),
        Row("headers", "ASGI hello with 100 header fields", HEADERS_SERVERS, request=HEADERS),
        Row("fastapi", "FastAPI, JSON in and out, validated", NO_FLOOR, "fastapi_app:app", ORDER),
        Row("tornado", "a Tornado application, 13 bytes", TORNADO_SERVERS, "tornado_app:app"),
        *(
            Row(
                name,
                title,
                DATABASE_SERVERS,
                "techempower:app",
                request,
                view="database",
                database=True,
                remarks=DATABASE_REMARKS,
            )
            for name, title, request in (
                ("db", "PostgreSQL, one query", QUERY),
                ("queries_20", "PostgreSQL, 20 queries", QUERIES),
                ("updates_20", "PostgreSQL, 20 queries and 20 updates", UPDATES),
                ("fortunes", "PostgreSQL, fortunes: 12 rows as an HTML page", FORTUNES),
            )
        ),
        Row("wsgi_hello", "WSGI hello, 13 bytes", WSGI_SERVERS, "hello:wsgi"),
        Row(
            "wsgi_wait",
            "WSGI, 4 threads, each request waits 10 ms",
            WAIT_SERVERS,
            "wsgi_wait:wsgi",
            connections=16,
            threads=4,
            ideal=400,
            view="wait",
            remarks=WAIT_REMARKS,
        ),
        Row(
            "wsgi_file",
            "WSGI, a file of 100 KB by `wsgi.file_wrapper`",
            FILE_SERVERS,
            "wsgi_file:wsgi",
            FILE,
            view="file",
            remarks=FILE_REMARKS,
        ),
        Row("behind_nginx", "WSGI hello behind nginx", BEHIND_SERVERS, "hello:wsgi", view="behind", remarks=BEHIND_REMARKS),
        Row("hello_c1", "ASGI hello on 1 connection", ASGI_SERVERS, connections=1),
        Row("hello_5k", "ASGI hello at 5,000 requests/s, open loop", ASGI_SERVERS, rate=5000),
        Row("idle", "10,000 idle keep-alive connections", ASGI_SERVERS, connections=10_000, kind="idle"),
        Row("slow_senders", "1 connection beside 10,000 slow senders", SLOW_SERVERS, connections=10_000, rate=500, kind="slow"),
        Row("start", "at start, after the first reply", ASGI_SERVERS, connections=1, kind="start", remarks=START_REMARKS),
        Row(
            "start_fastapi",
            "the same with FastAPI",
            NO_FLOOR,
            "fastapi_app:app",
            ORDER,
            connections=1,
            kind="start",
            remarks=START_REMARKS,
        ),
        Row(
            "mixed",
            "300 requests/s, open loop, of which 1 % wait and 1 % burn CPU; 2 workers",
            MIXED_SERVERS,
            "busy:app",
            Request(also=(Also("/wait", 0.01, "wait.txt"), Also("/burn", 0.01, "burn.txt"))),
            rate=300,
            workers=2,
            kind="mixed",
            seconds=60,
            remarks=MIXED_REMARKS,
        ),
        Row(
            "ws_echo",
            "WebSocket, echo of 64 bytes",
            SOCKET_SERVERS,
            "sockets:app",
            SOCKET,
            view="socket",
            remarks=SOCKET_REMARKS,
        ),
        Row(
            "ws_idle",
            "15,000 idle WebSockets",
            IDLE_SOCKET_SERVERS,
            "sockets:app",
            SOCKET,
            connections=15_000,
            kind="ws_idle",
            remarks=IDLE_SOCKET_REMARKS,
        ),
        Row(
            "ws_broadcast",
            "1 KB to 1,000 WebSockets of one worker",
            SOCKET_SERVERS,
            "sockets:app",
            SOCKET,
            connections=1000,
            kind="ws_broadcast",
            remarks=BROADCAST_REMARKS,
        ),
        Row("stuck", "a worker in an endless loop", ("awaitd",), "busy:app", workers=2, kind="stuck", remarks=STUCK_REMARKS),
        Row(
            "reload",
            "5 reloads under 5,000 requests/s, open loop; 2 workers",
            RELOAD_SERVERS,
            rate=5000,
            workers=2,
            kind="reload",
            seconds=10,
            remarks=RELOAD_REMARKS,
        ),
        Row(
            "preload",
            "memory of 4 preloaded workers of a Django site, WSGI",
            ("awaitd",),
            "config.wsgi:application",
            connections=8,
            kind="preload",
            remarks=PRELOAD_REMARKS,
        ),
        Row(
            "preload_asgi",
            "the same, ASGI",
            ("awaitd",),
            "config.asgi:application",
            connections=8,
            kind="preload",
            remarks=PRELOAD_REMARKS,
        ),
    )
}
