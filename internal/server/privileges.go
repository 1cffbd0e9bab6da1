package server

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/awaitd/awaitd/internal/account"
	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/fault"
)

// identity is whom a server becomes.
type identity struct {
	uid, gid int
	groups   []int // all, the one of gid first
}

// identify returns whom the settings want the server to become, or nil if they don't care or it is that one already.
func identify(c *config.Config) (*identity, error) {
	if c.User.Text == "" && c.Group.Text == "" {
		return nil, nil
	}
	id := &identity{uid: os.Geteuid(), gid: c.Group.ID}
	if c.User.Text != "" {
		id.uid = c.User.ID
		own, known := account.Groups(c.User)
		switch {
		case known:
			id.groups = own
		case c.Group.Text == "":
			return nil, fault.Usagef("can't become user `%s`: no user of /etc/passwd has this number, so it has no group", c.User.Text).
				WithHint("name one with `--group`")
		}
		if c.Group.Text == "" {
			id.gid = own[0]
		}
	}
	id.groups = slices.Insert(slices.DeleteFunc(id.groups, func(g int) bool { return g == id.gid }), 0, id.gid)
	if os.Geteuid() != 0 {
		if id.uid == os.Geteuid() && id.gid == os.Getegid() {
			return nil, nil
		}
		return nil, notRoot(c)
	}
	return id, nil
}

func notRoot(c *config.Config) error {
	kind, who := "user", c.User
	if who.Text == "" {
		kind, who = "group", c.Group
	}
	return fault.Usagef("can't become %s `%s`: only root may", kind, who.Text).
		WithHint("start awaitd as root, or as the right user already, such as with systemd's `User=`, without `--%s`", kind)
}

// become gives root's rights up, in all threads.
func (id *identity) become() error {
	if id == nil {
		return nil
	}
	for _, step := range []struct {
		name string
		err  func() error
	}{
		{"setgroups", func() error { return syscall.Setgroups(id.groups) }},
		{"setgid", func() error { return syscall.Setgid(id.gid) }},
		{"setuid", func() error { return syscall.Setuid(id.uid) }},
	} {
		if err := step.err(); err != nil {
			return &fault.Fault{
				Problem: fmt.Sprintf("can't become user %d and group %d: %s: %v", id.uid, id.gid, step.name, err),
				Hint:    "the service or container may lack the capabilities CAP_SETUID and CAP_SETGID", Code: fault.Runtime, Cause: err,
			}
		}
	}
	return nil
}
