// Package config holds the settings: one table (table.go) from which flags, environment variables, file keys, checks, help and the
// reference page come, and the Config that the rest of the program reads.
package config

import "time"

// Config is the settings after everything was read, checked and resolved. The zero value is not usable: see Default.
type Config struct {
	// Target is the application: "main:app".
	Target    string
	Interface string // auto, asgi3, asgi2, wsgi
	Factory   bool   // Target names a callable that returns the application
	AppDir    string // put first on sys.path
	Python    string // interpreter; empty: search

	Host           string
	Port           int
	Bind           []string
	UDS            string
	UDSPermissions uint32
	FD             int // inherited listening descriptor, -1 none
	Backlog        int

	Workers        int
	Threads        int
	Loop           string // auto, asyncio, uvloop, module:factory
	Reactors       int    // 0: chosen from the cores
	Lifespan       string // auto, on, off
	TimeoutStartup time.Duration

	Reload         bool
	ReloadDirs     []string
	ReloadIncludes []string
	ReloadExcludes []string
	ReloadDelay    time.Duration

	RootPath string

	LimitConcurrency      int // exchanges in flight per worker; 0: by interface
	LimitQueue            int
	TimeoutQueue          time.Duration
	LimitRequestLine      int
	LimitRequestFields    int
	LimitRequestFieldSize int
	LimitRequestBody      int64 // 0 unlimited

	TimeoutHeader           time.Duration
	TimeoutBody             time.Duration
	TimeoutKeepAlive        time.Duration
	TimeoutGracefulShutdown time.Duration

	LogLevel     string // critical, error, warning, info, debug, trace
	AccessLog    bool
	ServerHeader bool
	DateHeader   bool
	Headers      []string // "Name:Value"
}
