// Package config holds the settings: one table (table.go) from which flags, environment variables, file keys, checks, help and the
// reference page come, and the Config that the rest of the program reads.
//
// A setting's value comes from the highest of four levels: flag, environment, file, default. Load reads them all, checks them
// all, and reports every problem at once, so that nobody mends settings one run at a time.
package config

import (
	"strings"
	"time"

	"github.com/awaitd/awaitd/internal/account"
)

// Version of the program; the Python package has the same.
const Version = "0.1.0"

// Config is the settings after everything was read, checked and resolved. The zero value is not usable: see Default and Load.
type Config struct {
	File     string   // the settings file that was read; empty: none
	EnvFiles []string // read before the environment's own variables, which win
	Env      []string // "NAME=value"
	Environ  []string // what EnvFiles and Env add to the environment, for the workers
	Launched string   // folder the command was started in, absolute
	Dir      string   // working folder, absolute; relative paths below start here

	// Target is the application: "main:app"; or what Program is called. Empty if all that is served are handlers that addresses name.
	Target    string
	Program   *Supervised // runs in place of an application; nil: none
	Interface string      // auto, asgi3, asgi2, wsgi, tornado
	Factory   bool        // Target names a callable that returns the application
	AppDir    string      // put first on sys.path
	Python    string      // interpreter; empty: search

	Addressed      bool // one of the settings below says where to listen; else sockets that a service manager passed count
	Host           string
	Port           int
	Bind           []string // see Addresses, which joins all the ways to name one
	UDS            string
	UDSPermissions uint32
	UDSOwner       account.Owner
	FD             int // inherited listening descriptor, -1 none
	Backlog        int

	SSLCertFiles       []string // one for each pair
	SSLKeyFiles        []string // likewise; or none: the keys are in the certificates' files
	SSLKeyFilePassword string
	SSLCACerts         string
	SSLCertReqs        string // none, optional, required

	ProxyHeaders      bool
	ForwardedAllowIPs []string // addresses, networks, `unix`, `*`
	ProxyProtocol     bool
	ProxyAllowFrom    []string

	Workers        int // 1 or more
	Preload        bool
	Threads        int
	Loop           string // auto, asyncio, uvloop, module:factory
	Reactors       int    // 1 or more
	Lifespan       string // auto, on, off
	TimeoutStartup time.Duration
	ReadyAfter     time.Duration // of a program; 0: when it says so

	Reload         bool
	ReloadDirs     []string
	ReloadIncludes []string
	ReloadExcludes []string
	ReloadDelay    time.Duration

	RootPath string

	LimitConcurrency         int // exchanges in flight per worker; 0: by interface
	LimitQueue               int
	TimeoutWorkerHealthcheck time.Duration // 0 for none
	RetryIdempotent          bool
	MaxRequests              int // 0 for no limit
	MaxRequestsJitter        int
	WorkersLifetime          time.Duration // 0 for no limit
	WorkersMaxRSS            int64         // 0 for no limit
	TimeoutRequest           time.Duration // 0 for none
	TimeoutQueue             time.Duration
	LimitRequestLine         int
	LimitRequestFields       int
	LimitRequestFieldSize    int
	LimitRequestBody         int64 // 0 unlimited
	LimitBuffered            int64 // of all connections together

	TimeoutHeader           time.Duration
	TimeoutBody             time.Duration
	TimeoutSend             time.Duration
	TimeoutKeepAlive        time.Duration
	TimeoutGracefulShutdown time.Duration

	WS                  string // auto, none
	WSMaxSize           int64
	WSMaxQueue          int           // 0 for no limit
	WSPingInterval      time.Duration // 0 for none
	WSPingTimeout       time.Duration // 0 for none
	WSPerMessageDeflate bool
	WSContextTakeover   bool

	SMTPHostname      string // empty: the machine's
	SMTPMaxSize       int64
	SMTPMaxRecipients int
	SMTPMaxRate       int    // messages in a minute, 0 for no limit
	SMTPAuth          string // optional, required
	SMTPAuthPlaintext bool

	ClientDeny string
	SMTPTLS    string // optional, required

	PIDFile string
	User    account.Account
	Group   account.Account
	Umask   int    // -1: as it is
	Control string // path of the control socket; empty: in a place of the user's; none: there is none

	LogLevel     string // critical, error, warning, info, debug, trace
	AccessLog    bool
	ServerHeader bool
	DateHeader   bool
	Headers      []string // "Name:Value"
}

// Default returns the settings that hold where nothing is given, for one worker of an application without a name.
func Default() *Config {
	c := &Config{}
	for i := range Table {
		s := &Table[i]
		if s.Default == "" {
			continue
		}
		if err := s.Value(c).Set(s.split(s.Default)...); err != nil {
			panic("config: default of " + s.Name + ": " + err.Error())
		}
	}
	resolveCounts(c)
	return c
}

// Supervised is what `awaitd run` supervises.
type Supervised struct {
	Script string // its path; empty: a module
	Module string
	Args   []string
}

// String names it as it is typed.
func (p *Supervised) String() string {
	if p.Module != "" {
		return "-m " + p.Module
	}
	return p.Script
}

// Supervise has a program run in place of an application. Its folder, where a .venv may be, is the script's, or the working one.
func (c *Config) Supervise(p *Supervised) {
	c.Program, c.Target, c.AppDir = p, p.String(), "."
	if slash := strings.LastIndexByte(p.Script, '/'); slash >= 0 {
		c.AppDir = p.Script[:slash+1]
	}
}

// What names what is served, for messages: the application, or the first handler that an address leads to.
func (c *Config) What() string {
	if c.Target != "" {
		return c.Target
	}
	for _, at := range c.Addresses() {
		if at.Target != "" {
			return at.Target
		}
	}
	return ""
}
