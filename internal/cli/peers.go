package cli

import (
	"slices"
	"strconv"
	"strings"
)

// peerFlag is a flag of uvicorn, gunicorn, hypercorn, daphne, granian or uWSGI that has no setting of its own here. NGINX Unit has none.
type peerFlag struct {
	value   bool   // takes a value
	hint    string // what to do instead; {} stands for the value
	unnamed string // what {} is if there is no value
	socket  bool   // the value is an address; without a colon it is the path of a unix socket
	planned bool   // a later version will have it
}

// peerOf finds a flag of another server.
func peerOf(typed string) (peerFlag, bool) {
	typed = strings.ReplaceAll(typed, "_", "-")
	if f, ok := peerFlags[typed]; ok {
		return f, true
	}
	f, ok := uwsgiFlags[typed]
	return f, ok
}

// report notes the flag as a problem. Its value is the one joined to it, else the first of the other arguments.
func (f peerFlag) report(p *parsed, typed, value string, rest []string) {
	if value == "" && f.value && len(rest) > 0 && !looksLikeFlag(rest[0]) {
		value = rest[0]
	}
	if typed == "--http" && strings.Contains(value, ":") {
		f = uwsgiFlags["--http-socket"] // granian's is a version
	}
	problem := p.problem("there is no `%s` here", typed)
	if f.planned {
		problem.Problem = "`" + typed + "` is not in this version"
	}
	switch {
	case value == "":
		value = f.unnamed
	case f.socket && !strings.Contains(value, ":"):
		value = "unix:" + value
	}
	problem.Hint = strings.ReplaceAll(f.hint, "{}", value)
}

// otherMeaning reports a letter that uWSGI uses for something else than gunicorn, whose meaning it has here, if the value shows
// which of them was meant; and so the `--ws` of uvicorn, which names a library, and of granian, which takes no value.
func (p *parsed) otherMeaning(typed, value string) bool {
	_, err := strconv.Atoi(value)
	number := err == nil
	switch {
	case typed == "-w" && !number && strings.ContainsAny(value, ".:"):
		p.problem("-w: must be `auto` or a whole number, got `%s`", value).
			WithHint("it is `--workers`, as in gunicorn; uWSGI's -w, the application, is an argument: `awaitd %s`", value)
	case typed == "-b" && number:
		p.problem("-b: must be an address, got `%s`", value).
			WithHint("it is `--bind`, as in gunicorn; in place of uWSGI's -b, the buffer's size, there is `--limit-request-line %s`", value)
	case typed == "-p" && number:
		p.problem("-p: must be a file, got `%s`", value).
			WithHint("it is `--pid`, as in gunicorn; for uWSGI's -p, the number of processes, there is `--workers %s`", value)
	case typed == "--ws" && slices.Contains(uvicornEngines, value):
		p.problem("--ws: must be auto or none, got `%s`", value).WithHint("%sthe server has one WebSocket engine of its own", leaveOut)
	case typed == "--ws" && strings.Contains(value, ":"):
		p.problem("--ws: must be auto or none, got `%s`", value).WithHint("%sWebSockets are on, as with granian's `--ws`", leaveOut)
	default:
		return false
	}
	return true
}

// uvicornEngines are the libraries that uvicorn's `--ws` names.
var uvicornEngines = []string{"websockets", "websockets-sansio", "wsproto"}

func instead(flag string) peerFlag { return peerFlag{value: true, hint: "use `" + flag + "`"} }

func planned(value bool) peerFlag { return peerFlag{value: value, planned: true} }

// Hints for several flags.
const (
	leaveOut      = "leave it out: "
	oneTLS        = leaveOut + "TLS 1.2 and 1.3 are spoken, with what Go takes for safe"
	oneEngine     = leaveOut + "the server has one HTTP engine of its own"
	workerClass   = leaveOut + "ASGI and WSGI applications are told apart by themselves; `--interface` and `--loop` choose"
	manager       = leaveOut + "run it under a service manager such as systemd"
	alwaysReplace = leaveOut + "a worker that dies is always replaced"
)

// peerFlags are what a user of another server may type, besides what the settings have as names and aliases.
var peerFlags = map[string]peerFlag{
	"--ssl-version":       {value: true, hint: oneTLS},
	"--ssl-ciphers":       {value: true, hint: oneTLS},
	"--ssl-client-verify": {hint: "use `--ssl-cert-reqs required`"},
	"--ciphers":           {value: true, hint: oneTLS},
	"--acme-domain":       planned(true),
	"--acme-email":        planned(true),
	"--http-protocols":    planned(true),
	"--quic-bind":         planned(true),
	"--insecure-bind":     {value: true, hint: "use `--bind` with `http://` in front of the address"},

	"--http":  {value: true, hint: oneEngine},
	"--http2": planned(false),

	"--no-ws":                      {hint: "use `--ws none`"},
	"--ping-interval":              instead("--ws-ping-interval"),
	"--ping-timeout":               instead("--ws-ping-timeout"),
	"--websocket-ping-interval":    instead("--ws-ping-interval"),
	"--websocket-max-message-size": instead("--ws-max-size"),
	"--websocket-max-frame-size":   {value: true, hint: leaveOut + "frames are not limited, but the messages they make: `--ws-max-size`"},
	"--websocket-connect-timeout":  instead("--timeout-request"),
	"--websocket-timeout":          {value: true, hint: leaveOut + "a WebSocket lasts until one side closes; the application can, after a time"},
	"--application-close-timeout":  {value: true, hint: leaveOut + "an application may go on when its client has left"},

	"--log-config":               planned(true),
	"--log-format":               planned(true),
	"--access-logfile":           planned(true),
	"--access-logformat":         planned(true),
	"--access-log-fmt":           planned(true),
	"--log-file":                 {value: true, hint: leaveOut + "the log goes to standard error"},
	"--error-logfile":            {value: true, hint: leaveOut + "the log goes to standard error"},
	"--use-colors":               {hint: leaveOut + "colours are used on a terminal, unless `NO_COLOR` is set"},
	"--no-use-colors":            {hint: "set `NO_COLOR=1`"},
	"--enable-stdio-inheritance": {hint: leaveOut + "what the workers print is in the log"},
	"-R":                         {hint: leaveOut + "what the workers print is in the log"},
	"--log-syslog":               {hint: manager + ", whose journal takes standard error"},
	"--log-syslog-to":            {value: true, hint: manager + ", whose journal takes standard error"},
	"--initgroups":               {hint: leaveOut + "the groups of `--user` are always taken on"},
	"--no-sendfile":              {hint: leaveOut + "the application chooses"},
	"-v":                         {hint: "`--version` shows the version"},
	"--capture-output":           {hint: leaveOut + "what the workers print is in the log"},

	"--static":            planned(true),
	"--static-path-mount": planned(true),
	"--compress":          planned(false),
	"--admin":             planned(true),
	"--metrics":           planned(false),
	"--statsd-host":       {value: true},

	"-k":                              {value: true, hint: workerClass},
	"--worker-class":                  {value: true, hint: workerClass},
	"-t":                              instead("--timeout-request"),
	"--timeout":                       instead("--timeout-request"),
	"--keep-alive":                    instead("--timeout-keep-alive"),
	"--pythonpath":                    instead("--app-dir"),
	"--working-dir":                   instead("--chdir"),
	"--env-files":                     instead("--env-file"),
	"--asgi-loop":                     instead("--loop"),
	"--asgi-lifespan":                 instead("--lifespan"),
	"--worker-connections":            instead("--limit-concurrency"),
	"--worker-tmp-dir":                {value: true, hint: leaveOut + "the workers write no heartbeat files"},
	"-D":                              {hint: manager},
	"--daemon":                        {hint: manager},
	"-n":                              {value: true},
	"--name":                          {value: true},
	"--reload-engine":                 {value: true, hint: leaveOut + "there is one way to watch files"},
	"--reload-extra-file":             instead("--reload-include"),
	"--reuse-port":                    {hint: leaveOut + "every reactor listens on the same socket"},
	"--h11-max-incomplete-event-size": instead("--limit-request-field-size"),
	"--read-timeout":                  instead("--timeout-body"),
	"--startup-timeout":               instead("--timeout-startup"),
	"--shutdown-timeout":              instead("--timeout-graceful-shutdown"),

	"--blocking-threads":       instead("--threads"),
	"--runtime-threads":        instead("--reactors"),
	"--runtime-mode":           {value: true, hint: oneEngine},
	"--task-impl":              {value: true},
	"--backpressure":           instead("--limit-concurrency"),
	"--respawn-failed-workers": {hint: alwaysReplace},
	"--workers-kill-timeout":   instead("--timeout-graceful-shutdown"),
	"--url-path-prefix":        instead("--root-path"),
	"--reload-paths":           instead("--reload-dir"),
	"--reload-ignore-dirs":     instead("--reload-exclude"),
	"--reload-ignore-patterns": instead("--reload-exclude"),
	"--process-name":           {value: true},
}
