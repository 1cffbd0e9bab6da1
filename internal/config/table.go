package config

import (
	"math"
	"time"

	"github.com/awaitd/awaitd/internal/account"
)

// Limits of limits.
const (
	// MaxHead is the most a request's head may take: a frame of the link that carries it is 64 KiB at most (see
	// docs/reference/wire.md), of which its fixed part and addresses take some.
	MaxHead = 64<<10 - headReserve
	// headReserve is what is kept for the fixed part of a frame (96 bytes) and its extra section.
	headReserve = 2 << 10
	// maxFields keeps the field table of a frame, four bytes a field, within a quarter of the head.
	maxFields = 4000
	// maxTimeout: whoever writes more has mistaken the unit.
	maxTimeout = 24 * time.Hour
	// maxLifetime of a worker.
	maxLifetime = 365 * 24 * time.Hour
	// MaxWorkers bounds the processes of one server; each takes tens of megabytes.
	MaxWorkers = 1024
	// maxThreads bounds the threads of one worker; each takes a stack.
	maxThreads = 1024
	// maxReactors bounds the event loops; each has a link to every worker.
	maxReactors = 256
)

//go:generate go run ../tools/gendocs ../../docs/reference/settings.md

// Table is every setting there is. It is never changed.
var Table = []Setting{
	{
		Name: "target", Positional: true, Key: "app.target", Arg: "TARGET", Group: Application,
		Prose: "The application: `module:attribute`, or `module` alone to try `app`, `application` and `create_app`. " +
			"`asgi:` or `wsgi:` in front says what it is.",
		Value: func(c *Config) Value { return text{field: &c.Target, check: checkTarget} },
	},
	{
		Name: "interface", Key: "app.interface", Arg: "NAME", Default: "auto", Group: Application,
		Prose: "How the application is called.",
		Why: "The worker sees it from the application itself: a coroutine function or class with an async `__call__` is ASGI 3, a " +
			"`tornado.web.Application` is run as Tornado's server runs it.",
		Value: func(c *Config) Value {
			return choice{field: &c.Interface, words: []string{"auto", "asgi3", "asgi2", "wsgi", "tornado"}}
		},
	},
	{
		Name: "factory", Key: "app.factory", Default: "false", Group: Application,
		Prose: "The target is a function that returns the application.",
		Value: func(c *Config) Value { return boolean{&c.Factory} },
	},
	{
		Name: "app-dir", Key: "app.dir", Arg: "DIR", Default: ".", Group: Application,
		Prose: "Folder that is put first on `sys.path`, so that the target is found in it.",
		Why:   "An application is most often started from its own folder.",
		Value: func(c *Config) Value { return text{field: &c.AppDir, path: Folder} },
	},
	{
		Name: "python", Key: "app.python", Arg: "PATH", Group: Application, Run: true,
		Prose: "The Python interpreter. Without it: that of `VIRTUAL_ENV`, of `.venv` beside the application, the one awaitd is " +
			"installed in, `python3`; the first there is.",
		Value: func(c *Config) Value { return text{field: &c.Python, path: Program} },
	},
	{
		Name: "root-path", Key: "app.root_path", Arg: "PATH", Group: Application,
		Prose: "Prefix under which a proxy mounts the application: ASGI `root_path`, WSGI `SCRIPT_NAME`.",
		Value: func(c *Config) Value { return text{field: &c.RootPath, check: checkRootPath} },
	},
	{
		Name: "env-file", Key: "app.env_file", Arg: "FILE", Group: Application, Run: true,
		Prose: "File of `NAME=value` lines for the workers' environment, and for settings; may be repeated. Variables that are set " +
			"already stay as they are.",
		Value: func(c *Config) Value { return list{field: &c.EnvFiles, split: ",", path: File} },
	},
	{
		Name: "env", Short: "e", Key: "app.env", Arg: "NAME=VALUE", Group: Application, Run: true,
		Prose: "Variable for the workers' environment; may be repeated. It counts more than one of the same name that is there.",
		Value: func(c *Config) Value { return list{field: &c.Env, split: "\n", check: checkVariable} },
	},

	{
		Name: "host", Key: "listen.host", Arg: "HOST", Default: "127.0.0.1", Group: Address, Run: true,
		Prose: "Host name or IP address to listen on; `0.0.0.0` or `::` for every interface.",
		Why:   "Nothing is offered to the network by accident.",
		Value: func(c *Config) Value { return text{field: &c.Host, check: checkHost} },
	},
	{
		Name: "port", Key: "listen.port", Arg: "PORT", Default: "8000", Group: Address, Run: true,
		Prose: "Port to listen on; 0 takes a free one, which the ready line shows.",
		Why:   "The port of uvicorn, gunicorn and Django's runserver.",
		Value: func(c *Config) Value { return number{field: &c.Port, max: maxPort} },
	},
	{
		Name: "bind", Short: "b", Key: "listen.bind", Arg: "ADDRESS", Group: Address, Run: true,
		Prose: "Address to listen on, instead of host and port: `host:port`, `[::1]:port`, `:port`, `unix:path`, `unix:@name` " +
			"(abstract), or `fd://N` and `fd://NAME` for sockets that were passed; with `uwsgi://` or `scgi://` in front for a web " +
			"server that speaks that protocol, `http://` or `https://` to say whether TLS is; `tcp://host:port=module:handler`, or " +
			"`tls://`, for connections that a handler of the application's takes, `udp://host:port=module:Protocol` for datagrams, " +
			"`smtp://host:port=module:Handler`, `smtps://` or `lmtp://` for mail; may be repeated.",
		Value: func(c *Config) Value { return list{field: &c.Bind, split: ",", check: checkBind} },
	},
	{
		Name: "uds", Key: "listen.uds", Arg: "PATH", Group: Address, Run: true,
		Prose: "Unix socket to listen on, instead of host and port.",
		Value: func(c *Config) Value { return text{field: &c.UDS, path: File} },
	},
	{
		Name: "uds-permissions", Aliases: []string{"chmod-socket"}, Key: "listen.uds_permissions", Arg: "MODE", Default: "666",
		Group: Address, Run: true,
		Prose: "Permissions of unix sockets, in octal.",
		Why: "The proxy in front runs as another user, so the socket must be open to it, as it is with uvicorn; who may reach it at " +
			"all is decided by the folder it is in.",
		Value: func(c *Config) Value { return mode{&c.UDSPermissions} },
	},
	{
		Name: "uds-owner", Aliases: []string{"chown-socket"}, Key: "listen.uds_owner", Arg: "USER[:GROUP]", Group: Address, Run: true,
		Prose: "Owner of unix sockets, by names or numbers; `:GROUP` changes the group alone. Only root may choose another user; " +
			"others may choose a group they are in.",
		Value: func(c *Config) Value { return owner{&c.UDSOwner} },
	},
	{
		Name: "fd", Key: "listen.fd", Arg: "N", Default: "none", Group: Address, Run: true,
		Prose: "Descriptor of an inherited listening socket, instead of host and port.",
		Value: func(c *Config) Value {
			return number{field: &c.FD, max: math.MaxInt32, word: "none", as: -1}
		},
	},
	{
		Name: "backlog", Aliases: []string{"listen"}, Key: "listen.backlog", Arg: "N", Default: "2048", Group: Address, Run: true,
		Prose: "Connections the kernel holds that are not yet accepted; it takes no more than `net.core.somaxconn`.",
		Why:   "Enough for a burst of new connections in the milliseconds a busy event loop takes to come round; the peers' number.",
		Value: func(c *Config) Value { return number{field: &c.Backlog, min: 1, max: math.MaxUint16} },
	},

	{
		Name: "ssl-certfile", Aliases: []string{"certfile", "ssl-certificate"}, Key: "tls.cert", Arg: "FILE", Group: TLS,
		Prose: "Certificate (PEM), with those that lead to its root behind it, for `https://`, `tls://`, `smtps://`, and for STARTTLS at " +
			"`smtp://`; with one, an address without a scheme is `https://`. May be repeated: the one that has the name that a client asks " +
			"for is shown, or else the first. Files that change are read again within a second.",
		Value: func(c *Config) Value { return list{field: &c.SSLCertFiles, split: ",", path: File} },
	},
	{
		Name: "ssl-keyfile", Aliases: []string{"keyfile"}, Key: "tls.key", Arg: "FILE", Group: TLS,
		Prose: "Private key (PEM) of the certificate; with several, in the same order. Without it: it is in the certificate's file.",
		Value: func(c *Config) Value { return list{field: &c.SSLKeyFiles, split: ",", path: File} },
	},
	{
		Name: "ssl-keyfile-password", Key: "tls.key_password", Arg: "TEXT", Group: TLS, Secret: true,
		Prose: "Password of private keys that are encrypted (PKCS #8). On the command line other users see it; in the environment they " +
			"don't.",
		Value: func(c *Config) Value { return text{field: &c.SSLKeyFilePassword} },
	},
	{
		Name: "ssl-ca-certs", Aliases: []string{"ca-certs", "ssl-ca"}, Key: "tls.client_ca", Arg: "FILE", Group: TLS,
		Prose: "Certificates (PEM) of those who sign clients' certificates.",
		Value: func(c *Config) Value { return text{field: &c.SSLCACerts, path: File} },
	},
	{
		Name: "ssl-cert-reqs", Aliases: []string{"cert-reqs"}, Key: "tls.client_cert", Arg: "WHETHER", Default: "none", Group: TLS,
		Prose: "Whether clients must show a certificate: `none`, `optional` (one that is shown must be right) or `required`; or 0, 1, 2, as " +
			"Python's `ssl` numbers them.",
		Value: func(c *Config) Value {
			return choice{
				field: &c.SSLCertReqs, words: []string{"none", "optional", "required"}, also: map[string]string{"0": "none", "1": "optional", "2": "required"},
			}
		},
	},

	{
		Name: "proxy-headers", Key: "proxies.headers", Default: "true", Group: Proxies,
		Prose: "Take client, scheme and host from `X-Forwarded-For`, `-Proto` and `-Host`, or from `Forwarded` (RFC 7239), if a " +
			"proxy sent them that `forwarded-allow-ips` trusts.",
		Why:   "It does nothing until somebody is trusted.",
		Value: func(c *Config) Value { return boolean{&c.ProxyHeaders} },
	},
	{
		Name: "forwarded-allow-ips", Key: "proxies.trusted", Env: []string{"FORWARDED_ALLOW_IPS"}, Arg: "LIST", Group: Proxies,
		Prose: "Proxies whose word is taken for who the client is: IP addresses, networks such as `10.0.0.0/8`, `unix` for " +
			"whoever comes by a unix socket, `*` for all; by commas, may be repeated. They must set or remove every one of these headers.",
		Value: func(c *Config) Value {
			return list{field: &c.ForwardedAllowIPs, split: ",", inner: true, check: checkNetwork}
		},
	},
	{
		Name: "proxy-protocol", Key: "proxies.protocol", Default: "false", Group: Proxies,
		Prose: "Connections from `proxy-allow-from` begin with a PROXY protocol header, version 1 or 2, that names the client.",
		Value: func(c *Config) Value { return boolean{&c.ProxyProtocol} },
	},
	{
		Name: "proxy-allow-from", Key: "proxies.protocol_from", Arg: "LIST", Default: "127.0.0.1,::1,unix", Group: Proxies,
		Prose: "Who sends a PROXY protocol header, written as in `forwarded-allow-ips`. Others speak without one.",
		Why:   "The header is believed, so whoever may send it must be named.",
		Value: func(c *Config) Value {
			return list{field: &c.ProxyAllowFrom, split: ",", inner: true, check: checkNetwork}
		},
	},

	{
		Name: "workers", Short: "w", Aliases: []string{"processes"}, Key: "workers.count", Env: []string{"WEB_CONCURRENCY"},
		Arg: "N|auto", Default: "1", Group: Workers, Run: true,
		Prose: "Worker processes; `auto`: as many as the CPUs that the container or machine gives.",
		Why:   "One worker shares its memory and state with nobody, which is what development and small sites expect.",
		Value: func(c *Config) Value { return number{field: &c.Workers, min: 1, max: MaxWorkers, word: "auto"} },
	},
	{
		Name: "threads", Key: "workers.threads", Arg: "N", Default: "1", Group: Workers,
		Prose: "Threads that run a WSGI application in each worker.",
		Why:   "The one thread is the main thread, so an application that was not written for threads is safe.",
		Value: func(c *Config) Value { return number{field: &c.Threads, min: 1, max: maxThreads} },
	},
	{
		Name: "max-requests", Aliases: []string{"limit-max-requests"}, Key: "workers.max_requests", Arg: "N", Default: "0",
		Group: Workers,
		Prose: "Requests after which a worker is replaced by a new one, which is ready before; 0: never.",
		Why:   "For applications that leak memory; connections and requests do not notice.",
		Value: func(c *Config) Value { return number{field: &c.MaxRequests, max: unbounded} },
	},
	{
		Name: "max-requests-jitter", Aliases: []string{"limit-max-requests-jitter"}, Key: "workers.max_requests_jitter", Arg: "N",
		Default: "0", Group: Workers,
		Prose: "At most as many requests more than `max-requests`, by chance for each worker, so that they don't go all at once.",
		Value: func(c *Config) Value { return number{field: &c.MaxRequestsJitter, max: unbounded} },
	},
	{
		Name: "workers-lifetime", Key: "workers.lifetime", Arg: "TIME", Default: "0s", Unit: "seconds", Group: Workers, Run: true,
		Prose: "Time after which a worker is replaced, and up to a tenth of it more, by chance; 0: never.",
		Value: func(c *Config) Value { return duration{&c.WorkersLifetime, 0, maxLifetime} },
	},
	{
		Name: "workers-max-rss", Key: "workers.max_rss", Arg: "SIZE", Default: "0", Unit: "bytes", Group: Workers, Run: true,
		Prose: "Resident memory at which a worker is replaced, looked at once a second; 0: never.",
		Why:   "Better a new worker than the kernel's choice of a victim.",
		Value: func(c *Config) Value { return size[int64]{&c.WorkersMaxRSS, 0, math.MaxInt64} },
	},
	{
		Name: "retry-idempotent", Key: "workers.retry_idempotent", Default: "false", Group: Workers,
		Prose: "Run a GET or HEAD once more, on another worker, if its worker dies before the response begins.",
		Why:   "A request that kills a worker would kill a second one.",
		Value: func(c *Config) Value { return boolean{&c.RetryIdempotent} },
	},
	{
		Name: "loop", Key: "workers.loop", Arg: "NAME", Default: "auto", Group: Workers,
		Prose: "Event loop of the workers; `auto` takes uvloop where it is installed. `module:factory` names a function that " +
			"returns a loop.",
		Why: "Whoever installed uvloop beside the application wants it used.",
		Value: func(c *Config) Value {
			return choice{
				field: &c.Loop, words: []string{"auto", "asyncio", "uvloop"},
				open: &openChoice{"module:factory", isReference},
			}
		},
	},
	{
		Name: "lifespan", Key: "workers.lifespan", Arg: "NAME", Default: "auto", Group: Workers,
		Prose: "ASGI lifespan: `auto` goes on without it if the application raises at the lifespan scope, `on` takes that as a " +
			"failed start, `off` never asks.",
		Why: "Works with applications that have it and with those that don't.",
		Value: func(c *Config) Value {
			return choice{field: &c.Lifespan, words: []string{"auto", "on", "off"}}
		},
	},
	{
		Name: "preload", Key: "workers.preload", Default: "false", Group: Workers,
		Prose: "Import the application once, in a process that forks the workers. They share the memory of what it made, and a new " +
			"one is ready at once. It must start no threads; `awaitd.after_fork` is for what workers can't share. Linux only.",
		Why:   "What an application does at its import, such as connecting to a database, may not survive being forked.",
		Value: func(c *Config) Value { return boolean{&c.Preload} },
	},
	{
		Name: "ready-after", Key: "workers.ready_after", Arg: "TIME|notify", Default: "1s", Unit: "seconds", Group: Workers, Run: true,
		Prose: "Of `awaitd run`: a program that stays alive for so long is ready, unless it has said so before (`READY=1`, " +
			"sd_notify(3)), or has notified something else, such as `STATUS=`; then, and with `notify`, it has to say it within " +
			"`timeout-startup`.",
		Why: "Long enough for most mistakes of a new version to show before the old one is told to go; a program that imports for " +
			"longer had better say when it is ready.",
		Value: func(c *Config) Value {
			return durationOr{duration{&c.ReadyAfter, time.Millisecond, maxTimeout}, "notify"}
		},
	},
	{
		Name: "reactors", Key: "workers.reactors", Arg: "N|auto", Default: "auto", Group: Workers,
		Prose: "Event loops of the server, which read and write the clients' connections; `auto`: one for every four CPUs, at most " +
			"one per worker.",
		Why:   "One reactor outruns several workers, and each has a link to every worker.",
		Value: func(c *Config) Value { return number{field: &c.Reactors, max: maxReactors, word: "auto"} },
	},

	{
		Name: "reload", Key: "reload.enabled", Default: "false", Group: Development, Run: true,
		Prose: "Watch files and reload the application when they change. For development.",
		Value: func(c *Config) Value { return boolean{&c.Reload} },
	},
	{
		Name: "reload-dir", Key: "reload.dir", Arg: "DIR", Default: ".", Group: Development, Run: true,
		Prose: "Folder to watch, with all below it; may be repeated.",
		Value: func(c *Config) Value { return list{field: &c.ReloadDirs, split: ",", path: Folder} },
	},
	{
		Name: "reload-include", Key: "reload.include", Arg: "GLOB", Default: defaultIncludes, Group: Development, Run: true,
		Prose: "Files to watch besides the default ones; may be repeated. A default is dropped by excluding the same pattern.",
		Value: func(c *Config) Value { return list{field: &c.ReloadIncludes, split: ",", check: checkGlob} },
	},
	{
		Name: "reload-exclude", Key: "reload.exclude", Arg: "GLOB", Default: defaultExcludes, Group: Development, Run: true,
		Prose: "Files or folders not to watch besides the default ones; may be repeated. A default is dropped by including the " +
			"same pattern.",
		Why:   "Hidden files, compiled files, and what editors leave while they save; uvicorn's list.",
		Value: func(c *Config) Value { return list{field: &c.ReloadExcludes, split: ",", check: checkGlob} },
	},
	{
		Name: "reload-delay", Key: "reload.delay", Arg: "TIME", Default: "250ms", Unit: "seconds", Group: Development, Run: true,
		Prose: "Quiet time after a change before the application is reloaded.",
		Why:   "An editor or `git checkout` writes several files; they make one reload.",
		Value: func(c *Config) Value { return duration{&c.ReloadDelay, 0, time.Minute} },
	},

	{
		Name: "limit-concurrency", Key: "limits.concurrency", Arg: "N|auto", Default: "auto", Group: Limits,
		Prose: "Requests in flight per worker; more wait in the queue. `auto`: 1,000 for ASGI, the threads for WSGI. Idle " +
			"connections never count.",
		Why: "A worker whose database hangs must not collect requests until it runs out of memory; 1,000 coroutines are a few " +
			"megabytes.",
		Value: func(c *Config) Value { return number{field: &c.LimitConcurrency, max: unbounded, word: "auto"} },
	},
	{
		Name: "limit-queue", Key: "limits.queue", Arg: "N", Default: "1000", Group: Limits,
		Prose: "Requests that wait for a worker; one more is answered with 503. 0: none waits.",
		Why:   "Rides out a burst; a longer queue would be answered only after its clients have gone.",
		Value: func(c *Config) Value { return number{field: &c.LimitQueue, max: unbounded} },
	},
	{
		Name: "limit-request-line", Key: "limits.request_line", Arg: "SIZE", Default: "8190", Unit: "bytes", Group: Limits,
		Prose: "Length of a request line; a longer one is answered with 414.",
		Why:   "The longest URL that common proxies pass on; gunicorn's and Apache's number.",
		Value: func(c *Config) Value { return size[int]{&c.LimitRequestLine, 256, MaxHead} },
	},
	{
		Name: "limit-request-fields", Key: "limits.request_fields", Arg: "N", Default: "100", Group: Limits,
		Prose: "Header fields of a request; more are answered with 431.",
		Why:   "Browsers and proxies send some dozens; gunicorn's and Apache's number.",
		Value: func(c *Config) Value { return number{field: &c.LimitRequestFields, min: 8, max: maxFields} },
	},
	{
		Name: "limit-request-field-size", Key: "limits.request_field_size", Arg: "SIZE", Default: "8190", Unit: "bytes", Group: Limits,
		Prose: "Length of one header field; a longer one is answered with 431.",
		Why:   "Room for two full cookies or a large token; gunicorn's and Apache's number.",
		Value: func(c *Config) Value { return size[int]{&c.LimitRequestFieldSize, 256, MaxHead} },
	},
	{
		Name: "limit-request-body", Aliases: []string{"limit-post"}, Key: "limits.request_body", Arg: "SIZE", Default: "0",
		Unit: "bytes", Group: Limits,
		Prose: "Length of a request's body; a longer one is answered with 413. 0: no limit.",
		Why:   "Bodies are passed on as they come and take no memory, so only the application knows what is too much.",
		Value: func(c *Config) Value { return size[int64]{&c.LimitRequestBody, 0, math.MaxInt64} },
	},
	{
		Name: "limit-buffered", Key: "limits.buffered", Arg: "SIZE", Default: "256MiB", Unit: "bytes", Group: Limits,
		Prose: "Memory for what slow clients have sent in part, or not yet taken, all together. From half of it on a response may be " +
			"4 KiB ahead of its client instead of 64; with all of it in use, a request that comes in pieces is answered with 503.",
		Why:   "4,000 slow readers at full speed; more of them go on, slower, and the machine keeps its memory.",
		Value: func(c *Config) Value { return size[int64]{&c.LimitBuffered, 1 << 20, math.MaxInt64} },
	},

	{
		Name: "timeout-header", Key: "timeouts.header", Arg: "TIME", Default: "10s", Unit: "seconds", Group: Timeouts,
		Prose: "Time for a whole request head, from its first byte (on a new connection: from its start).",
		Why:   "Ample on a bad mobile line, too short to hold connections open with a byte now and then.",
		Value: func(c *Config) Value { return duration{&c.TimeoutHeader, time.Millisecond, maxTimeout} },
	},
	{
		Name: "timeout-body", Key: "timeouts.body", Arg: "TIME", Default: "30s", Unit: "seconds", Group: Timeouts,
		Prose: "Silence allowed between two pieces of a request's body, once the application has asked for it and has room.",
		Why:   "A slow upload goes on for as long as it moves; half a minute without a byte is a client that is gone.",
		Value: func(c *Config) Value { return duration{&c.TimeoutBody, time.Millisecond, maxTimeout} },
	},
	{
		Name: "timeout-send", Key: "timeouts.send", Arg: "TIME", Default: "1m", Unit: "seconds", Group: Timeouts,
		Prose: "Time in which a client has to take some of the response that waits for it; then it is cut off.",
		Why:   "A slow reader goes on for as long as it reads at all; nginx's number.",
		Value: func(c *Config) Value { return duration{&c.TimeoutSend, time.Millisecond, maxTimeout} },
	},
	{
		Name: "timeout-keep-alive", Key: "timeouts.keep_alive", Arg: "TIME", Default: "75s", Unit: "seconds", Group: Timeouts,
		Prose: "Time an idle connection is kept for its next request.",
		Why: "Longer than the 60 s after which common load balancers drop theirs: the side that sends requests should be the one " +
			"that closes. An idle connection costs almost nothing here.",
		Value: func(c *Config) Value { return duration{&c.TimeoutKeepAlive, time.Millisecond, maxTimeout} },
	},
	{
		Name: "timeout-queue", Key: "timeouts.queue", Arg: "TIME", Default: "30s", Unit: "seconds", Group: Timeouts,
		Prose: "Time a request waits for a worker; then it is answered with 503.",
		Why:   "Longer than a restart of the workers takes, shorter than the 60 s at which proxies give up.",
		Value: func(c *Config) Value { return duration{&c.TimeoutQueue, time.Millisecond, maxTimeout} },
	},
	{
		Name: "timeout-request", Key: "timeouts.request", Arg: "TIME", Default: "0s", Unit: "seconds", Group: Timeouts,
		Prose: "Time the application may take until its response begins; then the client gets a 504, and the application is " +
			"cancelled. A worker that does not end the request is replaced. 0: no limit.",
		Why:   "Only the application knows how long its longest request takes.",
		Value: func(c *Config) Value { return duration{&c.TimeoutRequest, 0, maxTimeout} },
	},
	{
		Name: "timeout-worker-healthcheck", Key: "timeouts.worker_healthcheck", Arg: "TIME", Default: "30s", Unit: "seconds",
		Group: Timeouts,
		Prose: "Time for which the event loop of a worker that runs requests may not turn; then its stack is logged, and it is " +
			"replaced. 0: for ever.",
		Why:   "A loop that has stood still for so long serves nobody; a request that computes longer belongs on a thread.",
		Value: func(c *Config) Value { return duration{&c.TimeoutWorkerHealthcheck, 0, maxTimeout} },
	},
	{
		Name: "timeout-startup", Key: "timeouts.startup", Arg: "TIME", Default: "1m", Unit: "seconds", Group: Timeouts, Run: true,
		Prose: "Time for a worker to import the application and finish its lifespan startup.",
		Why:   "A large application on a cold, slow disk takes some tens of seconds; service managers give up at 90.",
		Value: func(c *Config) Value { return duration{&c.TimeoutStartup, time.Millisecond, maxTimeout} },
	},
	{
		Name: "timeout-graceful-shutdown", Aliases: []string{"graceful-timeout"}, Key: "timeouts.graceful_shutdown", Arg: "TIME",
		Default: "30s", Unit: "seconds", Group: Timeouts, Run: true,
		Prose: "Time for requests in flight to finish when the server stops; then they are cut. 0: at once.",
		Why:   "The time Kubernetes and systemd services commonly grant; an open event stream can't hold up a stop for ever.",
		Value: func(c *Config) Value { return duration{&c.TimeoutGracefulShutdown, 0, maxTimeout} },
	},

	{
		Name: "ws", Key: "websocket.mode", Arg: "MODE", Default: "auto", Group: WebSocket,
		Prose: "`auto`: asynchronous applications take WebSockets. `none`: the handshake is a request like any other.",
		Why:   "An application without a WebSocket refuses the handshake itself.",
		Value: func(c *Config) Value { return choice{field: &c.WS, words: []string{"auto", "none"}} },
	},
	{
		Name: "ws-max-size", Key: "websocket.max_size", Arg: "SIZE", Default: "16MiB", Unit: "bytes", Group: WebSocket,
		Prose: "Size of a message from a client, decompressed; a larger one closes the connection with code 1009.",
		Why:   "uvicorn's and hypercorn's number. No more than the window of 64 KiB is in the server's memory.",
		Value: func(c *Config) Value { return size[int64]{&c.WSMaxSize, 1, 1 << 30} },
	},
	{
		Name: "ws-max-queue", Key: "websocket.max_queue", Arg: "N", Default: "32", Group: WebSocket,
		Prose: "Messages (and at most 64 KiB of them) that wait in the worker for `receive()`; with so many the client is not read. " +
			"0: only their bytes count.",
		Why:   "uvicorn's number.",
		Value: func(c *Config) Value { return number{field: &c.WSMaxQueue, max: 1000} },
	},
	{
		Name: "ws-ping-interval", Key: "websocket.ping_interval", Arg: "TIME", Default: "20s", Unit: "seconds", Group: WebSocket,
		Prose: "Time without a sign of life from a client after which it is sent a ping. 0: never.",
		Why:   "Below the 60 s after which common proxies and mobile networks forget idle connections.",
		Value: func(c *Config) Value { return duration{&c.WSPingInterval, 0, maxTimeout} },
	},
	{
		Name: "ws-ping-timeout", Key: "websocket.ping_timeout", Arg: "TIME", Default: "20s", Unit: "seconds", Group: WebSocket,
		Prose: "Time that a client has to answer a ping; then the connection is closed, and the application told code 1006. 0: for ever.",
		Why:   "uvicorn's number.",
		Value: func(c *Config) Value { return duration{&c.WSPingTimeout, 0, maxTimeout} },
	},
	{
		Name: "ws-per-message-deflate", Key: "websocket.per_message_deflate", Default: "true", Group: WebSocket,
		Prose: "Agree on compressed messages (RFC 7692) with clients that offer it.",
		Why:   "Browsers do, and text shrinks to a third. Small messages are sent as they are.",
		Value: func(c *Config) Value { return boolean{&c.WSPerMessageDeflate} },
	},
	{
		Name: "ws-context-takeover", Key: "websocket.context_takeover", Default: "false", Group: WebSocket,
		Prose: "Compress each message with what went before it: smaller, at the price of memory for each connection.",
		Why:   "An idle connection then holds some hundred kilobytes; without it, nothing.",
		Value: func(c *Config) Value { return boolean{&c.WSContextTakeover} },
	},

	{
		Name: "smtp-hostname", Key: "smtp.hostname", Arg: "NAME", Group: Mail,
		Prose: "Name of this server in its greeting, for `smtp://` and `lmtp://` addresses. Without it: the machine's.",
		Value: func(c *Config) Value { return text{field: &c.SMTPHostname, check: checkHost} },
	},
	{
		Name: "smtp-max-size", Key: "smtp.max_size", Arg: "SIZE", Default: "32MiB", Unit: "bytes", Group: Mail,
		Prose: "Size of a message, announced to clients; a larger one is refused (552).",
		Why:   "aiosmtpd's number.",
		Value: func(c *Config) Value { return size[int64]{&c.SMTPMaxSize, 1, 1 << 40} },
	},
	{
		Name: "smtp-max-recipients", Key: "smtp.max_recipients", Arg: "N", Default: "1000", Group: Mail,
		Prose: "Recipients of a message; a further one is refused (452).",
		Why:   "RFC 5321 §4.5.3.1.8 asks for 100 at least.",
		Value: func(c *Config) Value { return number{field: &c.SMTPMaxRecipients, min: 1, max: 100000} },
	},
	{
		Name: "smtp-max-rate", Key: "smtp.max_rate", Arg: "N", Default: "0", Group: Mail,
		Prose: "Messages that a client, by its address (of IPv6: the first 64 bits), may begin in a minute: MAIL is answered 451 then; 0: any.",
		Why:   "Behind another mail server, or on a machine's own addresses, all mail comes from one client.",
		Value: func(c *Config) Value { return number{field: &c.SMTPMaxRate, max: unbounded} },
	},
	{
		Name: "smtp-tls", Key: "smtp.tls", Arg: "WHEN", Default: "optional", Group: Mail,
		Prose: "Whether a client of `smtp://` must have begun TLS, by STARTTLS, before it may send mail: `optional` or `required`. It can if " +
			"there is a certificate.",
		Value: func(c *Config) Value { return choice{field: &c.SMTPTLS, words: []string{"optional", "required"}} },
	},
	{
		Name: "smtp-auth", Key: "smtp.auth", Arg: "WHEN", Default: "optional", Group: Mail,
		Prose: "Whether a client must have authenticated itself before it may send mail: `optional` or `required`. It can if the handler " +
			"has an `authenticator` or `auth_callback`.",
		Value: func(c *Config) Value { return choice{field: &c.SMTPAuth, words: []string{"optional", "required"}} },
	},
	{
		Name: "smtp-auth-plaintext", Key: "smtp.auth_plaintext", Default: "false", Group: Mail,
		Prose: "Take passwords over connections without TLS, too: behind a proxy that has it, or on a machine's own addresses.",
		Why:   "Whoever listens on the way would have them (RFC 4954 §4).",
		Value: func(c *Config) Value { return boolean{&c.SMTPAuthPlaintext} },
	},

	{
		Name: "client-deny", Key: "client.deny", Arg: "WHAT", Default: "none", Group: Client, Run: true,
		Prose: "Addresses that requests of `awaitd.Transport` may not go to: `private` (all but public ones: loopback, private and link-local " +
			"networks) or `none`. It is asked of the address itself, whatever name led there.",
		Why:   "A service calls its neighbours. `private` is for one that fetches what its clients name.",
		Value: func(c *Config) Value { return choice{field: &c.ClientDeny, words: []string{"none", "private"}} },
	},

	{
		Name: "log-level", Key: "log.level", Arg: "LEVEL", Default: "info", Group: Logs, Run: true,
		Prose: "The least important messages that are logged.",
		Value: func(c *Config) Value {
			return choice{field: &c.LogLevel, words: []string{"critical", "error", "warning", "info", "debug", "trace"}}
		},
	},
	{
		Name: "access-log", Key: "log.access", Default: "true", Group: Logs,
		Prose: "Log one line per request.",
		Why:   "Written by the server, it costs the workers nothing.",
		Value: func(c *Config) Value { return boolean{&c.AccessLog} },
	},

	{
		Name: "server-header", Key: "headers.server", Default: "true", Group: Headers,
		Prose: "Add `server: awaitd` to responses that have no `server` of their own.",
		Value: func(c *Config) Value { return boolean{&c.ServerHeader} },
	},
	{
		Name: "date-header", Key: "headers.date", Default: "true", Group: Headers,
		Prose: "Add `date` to responses that have none.",
		Why:   "RFC 9110 §6.6.1 asks every server with a clock for it; caches need it.",
		Value: func(c *Config) Value { return boolean{&c.DateHeader} },
	},
	{
		Name: "header", Aliases: []string{"add-header"}, Key: "headers.add", Arg: "NAME:VALUE", Group: Headers,
		Prose: "Header field added to every response; may be repeated.",
		Value: func(c *Config) Value { return list{field: &c.Headers, split: "\n", check: checkHeader} },
	},

	{
		Name: "pid", Short: "p", Aliases: []string{"pidfile", "pid-file"}, Key: "process.pid", Arg: "FILE", Group: Process, Run: true,
		Prose: "File that the server's process id is in from when it is ready until it ends. The id of a process that is running, or " +
			"anything that is no id, is never overwritten.",
		Value: func(c *Config) Value { return text{field: &c.PIDFile, path: File} },
	},
	{
		Name: "user", Short: "u", Aliases: []string{"uid"}, Key: "process.user", Arg: "USER", Group: Process, Run: true,
		Prose: "User, by name or number, that the server becomes, with the user's groups, when it has bound its addresses as root and " +
			"before any worker starts. Unix sockets and the pid file become the user's.",
		Value: func(c *Config) Value { return person{&c.User, "user", account.FindUser} },
	},
	{
		Name: "group", Short: "g", Aliases: []string{"gid"}, Key: "process.group", Arg: "GROUP", Group: Process, Run: true,
		Prose: "Group, by name or number, that the server takes on as it does the user. Without it: the user's own.",
		Value: func(c *Config) Value { return person{&c.Group, "group", account.FindGroup} },
	},
	{
		Name: "umask", Short: "m", Key: "process.umask", Arg: "MODE", Default: "none", Group: Process, Run: true,
		Prose: "Permissions, in octal, that files of the server and the workers don't get; `none` keeps the mask it was started with.",
		Value: func(c *Config) Value { return umask{&c.Umask} },
	},
	{
		Name: "control", Key: "process.control", Arg: "PATH|none", Group: Process, Run: true,
		Prose: "Unix socket at which `awaitd status`, `stacks`, `reload` and `stop` reach the server: its user and root alone. Without it: " +
			"`awaitd-<pid>.sock` in `XDG_RUNTIME_DIR`, in /run/user, or in a private folder for temporary files, where the commands look " +
			"for it. `none`: there is none.",
		Value: func(c *Config) Value { return text{field: &c.Control, path: FileOrNone} },
	},

	{
		Name: "config", Short: "c", Arg: "FILE", Group: Sources, Run: true,
		Prose: "Settings file, TOML. Without it: `awaitd.toml` or a `pyproject.toml` with `[tool.awaitd]`, in the working folder or " +
			"the application's.",
		Value: func(c *Config) Value { return text{field: &c.File, path: File} },
	},
	{
		Name: "chdir", Arg: "DIR", Group: Sources, Run: true,
		Prose: "Change to this folder before anything else: every other relative path starts there.",
		Value: func(c *Config) Value { return text{field: &c.Dir, path: Folder} },
	},
}
