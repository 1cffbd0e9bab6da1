package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher tells when the application's files have changed, for --reload.
type watcher struct {
	changes chan string // what changed, in words
	end     chan struct{}
}

// watch starts watching, if the settings say so. Without --reload the watcher never tells anything.
func (s *Server) watch() *watcher {
	w := &watcher{changes: make(chan string), end: make(chan struct{})}
	if !s.cfg.Reload {
		return w
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Error("can't watch files; --reload does nothing", "error", err)
		return w
	}
	dirs := s.cfg.ReloadDirs
	if len(dirs) == 0 {
		dirs = []string{s.cfg.AppDir}
	}
	for _, dir := range dirs {
		if err := watchTree(notify, dir); err != nil {
			s.log.Error("can't watch a folder", "folder", dir, "error", err)
		}
	}
	s.log.Info("watching for changes", "in", strings.Join(dirs, ", "))
	go w.run(notify, filter{s.cfg.ReloadIncludes, s.cfg.ReloadExcludes}, s.cfg.ReloadDelay) // ends by stop
	return w
}

// watchTree watches a folder and those below it.
func watchTree(notify *fsnotify.Watcher, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // gone, or unreadable: nothing to watch
		}
		if path != root && skipped(d.Name()) {
			return filepath.SkipDir
		}
		return notify.Add(path)
	})
}

// skipped names folders in which no change concerns the application.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || name == "__pycache__" || name == "node_modules"
}

// run gathers changes until none has come for the delay, then tells the first of them.
func (w *watcher) run(notify *fsnotify.Watcher, f filter, delay time.Duration) {
	defer notify.Close()
	var settled <-chan time.Time
	changed := ""
	for {
		select {
		case e, ok := <-notify.Events:
			if !ok {
				return
			}
			name := e.Name
			if e.Has(fsnotify.Create) && isDir(name) && !skipped(filepath.Base(name)) {
				_ = watchTree(notify, name)
				name = f.first(name) // what came into it before it was watched
			}
			if e.Op != fsnotify.Chmod && f.wants(name) {
				changed = name
				settled = time.After(delay)
			}
		case <-notify.Errors:
		case <-settled:
			settled = nil
			select {
			case w.changes <- changed + " changed":
			case <-w.end:
				return
			}
		case <-w.end:
			return
		}
	}
}

func (w *watcher) stop() { close(w.end) }

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// filter says which files count, by glob patterns on the name or the path, as uvicorn has it.
type filter struct{ include, exclude []string }

func (f filter) wants(path string) bool {
	return matches(f.include, path) && !matches(f.exclude, path)
}

// first returns a file that counts in a folder, or below it; empty if there is none.
func (f filter) first(root string) (found string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case d.IsDir() && skipped(d.Name()):
			return filepath.SkipDir
		case !d.IsDir() && f.wants(path):
			found = path
			return filepath.SkipAll
		}
		return nil
	})
	return found
}

func matches(patterns []string, path string) bool {
	for _, p := range patterns {
		for _, candidate := range []string{filepath.Base(path), path} {
			if ok, _ := filepath.Match(p, candidate); ok {
				return true
			}
		}
	}
	return false
}
