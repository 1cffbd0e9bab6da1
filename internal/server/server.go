// Package server joins everything: it opens the sockets, starts the reactors and the pool, and takes them down again. Only cli
// imports it.
//
// Life of a run: find the interpreter, bind, start workers, accept, serve; a signal (or a failure) ends it in the order accept,
// connections, workers, sockets. A second signal ends it at once.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/awaitd/awaitd/internal/certs"
	"github.com/awaitd/awaitd/internal/client"
	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/control"
	"github.com/awaitd/awaitd/internal/datagram"
	"github.com/awaitd/awaitd/internal/exchange"
	"github.com/awaitd/awaitd/internal/forwarded"
	"github.com/awaitd/awaitd/internal/http1"
	"github.com/awaitd/awaitd/internal/listen"
	"github.com/awaitd/awaitd/internal/mail"
	"github.com/awaitd/awaitd/internal/outbound"
	"github.com/awaitd/awaitd/internal/pool"
	"github.com/awaitd/awaitd/internal/reactor"
	"github.com/awaitd/awaitd/internal/smtp"
	"github.com/awaitd/awaitd/internal/stream"
	"github.com/awaitd/awaitd/internal/systemd"
	"github.com/awaitd/awaitd/internal/telemetry"
	"github.com/awaitd/awaitd/internal/upgrade"
	"github.com/awaitd/awaitd/internal/web"
	"github.com/awaitd/awaitd/internal/websocket"
	"github.com/awaitd/awaitd/internal/wire"
	"github.com/awaitd/awaitd/internal/worker"
)

// Output is where a server writes.
type Output struct {
	Access io.Writer // the access log
	Log    io.Writer // everything else: the ready line, the server's log, the workers' lines
}

// Server is one run.
type Server struct {
	cfg           *config.Config
	out           Output
	said          io.Writer         // out.Log, with what is lost counted
	lines         *telemetry.Writer // the server's own
	log           *slog.Logger
	access        *telemetry.AccessLog
	refusals      *telemetry.Refusals
	certs         *certs.Store // nil: there are none
	python        worker.Interpreter
	program       *worker.Program // is supervised in place of an application; nil: none
	become        *identity       // whom it becomes once it has bound its addresses; nil: nobody else
	pidFile       *pidFile
	manager       *systemd.Environment
	notifier      systemd.Notifier
	untold        sync.Once    // of what went wrong with it
	reloads       atomic.Int32 // going on
	ending        atomic.Bool  // the manager was told
	sockets       []*listen.Socket
	closing       sync.Once // of the sockets
	reaper        *worker.Reaper
	client        *outbound.Server // sends what workers' applications ask for
	pool          *pool.Pool
	legacy        *upgrade.Inheritance // of the server that this one replaces; nil: it was started otherwise
	owed          []*listen.Socket     // of these, whose files are this server's once the other has gone
	next          *upgrade.Successor   // what is to replace this one; the goroutine of serve has it
	addresses     []string             // of the sockets, as the settings name them
	control       *control.Server      // nil: nobody commands it
	controlSocket *listen.Socket
	started       time.Time
	phase         atomic.Value  // a string: what the server does, for its status
	asked         chan struct{} // closed when a command has asked for the end
	asking        sync.Once
	stations      []*station
	running       sync.WaitGroup
}

// station is one reactor with what runs on it.
type station struct {
	reactor *reactor.Reactor
	web     *web.Server
	streams *stream.Server
	packets *datagram.Server
	mail    *mail.Server
	stops   []func() // end the listeners
}

// house has the connections of one kind on one reactor. Everything is for the reactor's goroutine.
type house interface {
	// Drain has connections end in good order; idle is called when none is left.
	Drain(idle func())
	// Fade lets them go on, for a while if they are idle, until Leave.
	Fade(while time.Duration, idle func())
	// Leave ends what Fade lets go on.
	Leave()
	// Abort closes them at once.
	Abort()
}

// houses are all of them.
func (st *station) houses() []house { return []house{st.web, st.streams, st.packets, st.mail} }

// garbage is the share of new memory to live memory at which the garbage collector runs: the reactors allocate nothing per
// request, so it seldom does; a server with many connections should not need twice their memory.
const garbage = 50

// Run serves until a signal, or until it can't go on. A clean end is nil.
func Run(ctx context.Context, cfg *config.Config, out Output) error {
	s, err := open(cfg, out)
	if err != nil {
		return err
	}
	defer s.close()
	debug.SetGCPercent(garbage)
	// One thread for each reactor, one for its handshake that computes, one for the rest: a reactor never waits for a turn.
	runtime.GOMAXPROCS(2*cfg.Reactors + 1)
	return s.run(ctx)
}

// open gets everything that a run needs and that can be refused: interpreter, reactors, the pid file, sockets. What needs root's
// rights is done then, and they are given up.
func open(cfg *config.Config, out Output) (*Server, error) {
	s, err := prepare(cfg, out)
	if err != nil {
		return nil, err
	}
	if err := s.settle(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// settle takes the process's places in the system.
func (s *Server) settle() (err error) {
	if s.cfg.Umask >= 0 {
		syscall.Umask(s.cfg.Umask)
	}
	if s.become, err = identify(s.cfg); err != nil {
		return err
	}
	if s.pidFile, err = claimPID(s.cfg.PIDFile, s.become, s.legacy); err != nil {
		return err
	}
	if err := s.bind(); err != nil {
		return err
	}
	if err := s.openControl(); err != nil {
		return err
	}
	s.legacy.Seal()
	if err := s.become.become(); err != nil {
		return err
	}
	if s.legacy != nil {
		return nil // commands are for the server that serves
	}
	return s.serveControl()
}

// prepare makes a server without sockets.
func prepare(cfg *config.Config, out Output) (*Server, error) {
	level, _ := telemetry.ParseLevel(cfg.LogLevel)
	said := telemetry.NewSink(out.Log, "log")
	s := &Server{cfg: cfg, out: out, said: said, lines: telemetry.NewWriter(said), started: time.Now(), asked: make(chan struct{})}
	s.phase.Store(starting)
	s.log = telemetry.NewLogger(s.lines, level)
	s.refusals = telemetry.NewRefusals(s.log)
	var err error
	if err = s.meetManager(); err != nil {
		s.close()
		return nil, err
	}
	if s.python, err = worker.Find(s.search()); err != nil {
		s.close()
		return nil, err
	}
	if err := s.openCerts(); err != nil {
		s.close()
		return nil, err
	}
	if err := s.build(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// search is where the interpreter is looked for.
func (s *Server) search() worker.Search {
	exe, _ := os.Executable()
	return worker.Search{
		Explicit: s.cfg.Python, VirtualEnv: os.Getenv("VIRTUAL_ENV"), AppDir: s.cfg.AppDir, Executable: exe,
	}
}

// build makes the pool, the reactors, and the HTTP side of each. For a program there is nothing to react to.
func (s *Server) build() error {
	s.program = programOf(s.cfg)
	if s.cfg.AccessLog && s.program == nil {
		s.access = telemetry.NewAccessLog(telemetry.NewSink(s.out.Access, "access log"))
	}
	size := ringSize(s.cfg.Reactors, s.cfg.Workers)
	s.reaper = worker.NewReaper()
	s.client = &outbound.Server{Log: s.log}
	if s.cfg.ClientDeny == "private" {
		s.client.Deny = client.DenyPrivate
	}
	s.pool = pool.New(s.poolOptions(size))
	if s.program != nil {
		return nil
	}
	settings, streams, packets := s.webConfig(size), s.streamConfig(), &datagram.Config{Log: s.log, Refusals: s.refusals}
	letters := s.mailConfig()
	for range s.cfg.Reactors {
		r, err := reactor.New()
		if err != nil {
			return err
		}
		r.SendTimeout = s.cfg.TimeoutSend
		e := s.pool.Endpoint(r)
		r.Attach(e)
		s.stations = append(s.stations, &station{
			reactor: r, web: web.New(r, settings, e), streams: stream.New(r, streams, e), packets: datagram.New(r, packets, e),
			mail: mail.New(r, letters, e),
		})
	}
	return nil
}

// ringBudget bounds the memory of all links together: in time, a ring touches all its pages.
const ringBudget = 64 << 20

// ringSize chooses the size of each ring.
func ringSize(reactors, loops int) int {
	size := wire.DefaultRing
	for size > wire.MinRing && (reactors+1)*loops*2*size > ringBudget {
		size /= 2
	}
	return size
}

// mostWorkers is how many workers there may come to be: as many as the memory for links has room for, or twice those it started with.
func mostWorkers(reactors, workers, ring int) int {
	return min(max(2*workers, ringBudget/((reactors+1)*2*ring)), config.MaxWorkers)
}

func (s *Server) poolOptions(ring int) pool.Options {
	c := s.cfg
	return pool.Options{
		Workers: c.Workers, MaxWorkers: mostWorkers(c.Reactors, c.Workers, ring), Preload: c.Preload,
		Setup: worker.Setup{
			Target: c.Target, Interface: c.Interface, Factory: c.Factory, AppDir: c.AppDir, Loop: c.Loop,
			Lifespan: c.Lifespan, RootPath: c.RootPath, Workers: c.Workers, Threads: c.Threads,
			LogLevel: c.LogLevel, MessageCost: messageCost(c.WSMaxQueue), Targets: targets(c), Program: s.program,
		},
		Search: s.search(), Interpreter: s.python, Version: config.Version, Environ: c.Environ, Dir: c.Dir,
		RingSize: ring, LimitConcurrency: c.LimitConcurrency, LimitQueue: c.LimitQueue, QueueWait: c.TimeoutQueue,
		Deadline: c.TimeoutRequest, Health: c.TimeoutWorkerHealthcheck, Retry: c.RetryIdempotent,
		Wear:        pool.Wear{Requests: c.MaxRequests, Jitter: c.MaxRequestsJitter, Lifetime: c.WorkersLifetime, RSS: c.WorkersMaxRSS},
		BootTimeout: c.TimeoutStartup, Grace: c.TimeoutGracefulShutdown, Out: s.said, Log: s.log, Reaper: s.reaper,
		Client: s.client.Socket,
	}
}

// targets are what addresses lead to besides the application. Their numbers on the wire count from 1.
func targets(c *config.Config) []worker.Target {
	list := []worker.Target{}
	for _, at := range c.Addresses() {
		t := targetOf(at)
		if hasNumber(at) && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list
}

// targetOf is what an address leads to. Mail is one kind, whichever way it comes.
func targetOf(at config.Bind) worker.Target {
	if at.Protocol.IsMail() {
		return worker.Target{Kind: string(config.SMTP), Target: at.Target}
	}
	return worker.Target{Kind: string(at.Protocol), Target: at.Target}
}

// hasNumber says whether an address leads to something that needs a number: what is not the application, or the application by way of
// what makes ASGI of mail.
func hasNumber(at config.Bind) bool { return at.Target != "" || at.Protocol.IsMail() }

// socketWindow is the credit that a worker gives for one WebSocket (docs/reference/wire.md).
const socketWindow = 64<<10 - wire.HeaderSize

// leastCost is about what a message takes in the worker besides its bytes.
const leastCost = 64

// messageCost makes that credit enough for so many messages, however small; 0 for as many as fit.
func messageCost(queue int) int {
	if queue == 0 {
		return leastCost
	}
	return max(socketWindow/queue, leastCost)
}

// headRoom is what an OPEN frame holds besides the bytes of the head: its fixed part and the field table.
const headRoom = 4 << 10

func (s *Server) webConfig(ring int) *web.Config {
	c := s.cfg
	h := &web.Config{
		Limits: http1.Limits{
			Line: c.LimitRequestLine, Fields: c.LimitRequestFields, FieldSize: c.LimitRequestFieldSize,
			Head: ring/4 - headRoom,
		},
		BodyLimit: c.LimitRequestBody, HeaderTimeout: c.TimeoutHeader, BodyTimeout: c.TimeoutBody,
		KeepAlive: c.TimeoutKeepAlive, BufferLimit: int(c.LimitBuffered / int64(c.Reactors)),
		Trust: s.trusted(c.ProxyHeaders, c.ForwardedAllowIPs), Date: c.DateHeader, Access: s.access, Log: s.log, Refusals: s.refusals,
		Sockets: web.SocketConfig{
			Settings: websocket.Settings{MaxSize: c.WSMaxSize, Deflate: c.WSPerMessageDeflate, Takeover: c.WSContextTakeover},
			Off:      c.WS == "none", PingInterval: c.WSPingInterval, PingTimeout: c.WSPingTimeout,
		},
	}
	if c.ServerHeader {
		h.Server = []byte("server: awaitd\r\n")
	}
	for _, field := range c.Headers {
		h.Extra = append(append(h.Extra, headerLine(field)...), "\r\n"...)
	}
	return h
}

func (s *Server) streamConfig() *stream.Config {
	c := s.cfg
	return &stream.Config{
		BufferLimit: int(c.LimitBuffered / int64(c.Reactors)), HeaderTimeout: c.TimeoutHeader, Log: s.log, Refusals: s.refusals,
	}
}

func (s *Server) mailConfig() *mail.Config {
	c := s.cfg
	return &mail.Config{
		Config: *s.streamConfig(), Rates: mail.NewRates(c.SMTPMaxRate),
		Settings: smtp.Settings{
			Hostname: cmp.Or(c.SMTPHostname, hostname()), Greeting: "awaitd", MaxSize: c.SMTPMaxSize, MaxRecipients: c.SMTPMaxRecipients,
			MaxErrors:    smtp.DefaultMaxErrors,
			AuthRequired: c.SMTPAuth == "required", AuthRequireTLS: !c.SMTPAuthPlaintext, RequireTLS: c.SMTPTLS == "required",
		},
	}
}

// hostname is the machine's name for mail.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// trusted is who a list of addresses and networks names; nil for nobody. The list was checked with the settings.
func (s *Server) trusted(on bool, list []string) *forwarded.Trust {
	if !on || len(list) == 0 {
		return nil
	}
	t, err := forwarded.Parse(list)
	if err != nil {
		s.log.Error("nobody is trusted", "error", err)
		return nil
	}
	return t
}

// accept has every reactor accept from every socket; a datagram socket is one reactor's.
func (s *Server) accept() error {
	errs := make(chan error, len(s.stations))
	terms := s.terms()
	for i, st := range s.stations {
		var mine []*listen.Socket
		for n, socket := range s.sockets {
			if !socket.Datagram || n%len(s.stations) == i { // one reactor keeps the order of a peer's datagrams
				mine = append(mine, socket)
			}
		}
		st.reactor.Post(func() { errs <- st.listen(mine, terms) })
	}
	var first error
	for range s.stations {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// terms are what comes before a protocol's own bytes.
type terms struct {
	proxies    *forwarded.Trust // who begins with a PROXY protocol header
	tls, https *tls.Config      // nil: there are no certificates
}

func (s *Server) terms() *terms {
	t := &terms{proxies: s.trusted(s.cfg.ProxyProtocol, s.cfg.ProxyAllowFrom)}
	if s.certs != nil {
		t.tls, t.https = s.certs.Config(), s.certs.Config("http/1.1")
	}
	return t
}

func (st *station) listen(sockets []*listen.Socket, t *terms) error {
	for _, socket := range sockets {
		stop, err := st.open(socket, t)
		if err != nil {
			return err
		}
		st.stops = append(st.stops, stop)
	}
	return nil
}

// open has one socket's connections accepted.
func (st *station) open(socket *listen.Socket, t *terms) (stop func(), err error) {
	switch config.Protocol(socket.Protocol) {
	case config.Datagrams:
		return st.packets.Serve(datagram.Door{FD: socket.FD, Target: socket.Number, Server: exchange.AddressFrom(socket.Address)})
	case config.SMTP, config.LMTP:
		return st.mail.Serve(mail.Door{Door: streamDoor(socket, t), LMTP: socket.Protocol == string(config.LMTP)})
	case config.Stream:
		return st.streams.Serve(streamDoor(socket, t))
	}
	door := web.Door{FD: socket.FD, Server: socket.Server(), UnixPath: socket.Path, Packets: packets(socket)}
	if door.Packets == 0 {
		door.Proxies = t.proxies
	}
	if socket.TLS {
		door.TLS = t.https
	}
	return st.web.Serve(door)
}

func streamDoor(socket *listen.Socket, t *terms) stream.Door {
	return stream.Door{
		FD: socket.FD, Target: socket.Number, Server: socket.Server(), UnixPath: socket.Path, Proxies: t.proxies, TLS: t.tls,
		Secure: socket.TLS,
	}
}

// sayReady prints the one line that says where the server is and what it runs.
func (s *Server) sayReady() {
	info, python := s.pool.Info()
	workers := "1 worker"
	if s.cfg.Workers > 1 {
		workers = fmt.Sprintf("%d workers", s.cfg.Workers)
	}
	what := info.Interface
	if info.Loop != "" {
		what += ", " + info.Loop
	}
	where := []string{""}
	if len(s.sockets) > 0 {
		where = where[:0]
	}
	targets := []string{s.cfg.Target}
	for _, socket := range s.sockets {
		where, targets = append(where, " on "+socket.URL()), append(targets, cmp.Or(socket.Target, s.cfg.Target))
	}
	targets = targets[len(targets)-len(where):]
	for i, on := range where {
		fmt.Fprintf(s.said, "awaitd %s ready%s: %s, %s (%s), Python %s at %s\n",
			config.Version, on, targets[i], workers, what, info.Python, python.Path)
	}
}

// saySummary says what was refused, if anything was.
func (s *Server) saySummary() {
	if what := s.refusals.String(); what != "" {
		s.log.Info("refused in this run: " + what)
	}
}

// closeSockets closes the listening sockets, once.
func (s *Server) closeSockets() {
	s.closing.Do(func() {
		for _, socket := range s.sockets {
			socket.Close()
		}
	})
}

// close frees what is left, after everything has ended.
func (s *Server) close() {
	for _, st := range s.stations {
		st.reactor.Post(st.reactor.Stop)
	}
	s.running.Wait()
	for _, st := range s.stations {
		st.reactor.Close()
	}
	s.closeSockets()
	s.closeControl()
	s.pidFile.remove()
	s.saySummary()
	s.reaper.Close()
	if s.access != nil {
		s.access.Close()
	}
	s.lines.Close()
}
