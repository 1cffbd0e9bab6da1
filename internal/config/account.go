package config

import (
	"os/user"
	"strconv"
	"strings"
)

// Account is a user or a group. Names are looked up in /etc/passwd and /etc/group; numbers need not be there.
type Account struct {
	Text string // as it was given; empty: none
	ID   int
}

// Owner is a user, a group, or both; the Text of the one that was not given is empty.
type Owner struct{ User, Group Account }

// maxID: the highest number, 4294967295, is the kernel's "unchanged".
const maxID = 1<<32 - 2

// findUser reads a user's name or number.
func findUser(text string) (Account, error) {
	return findAccount(text, "a user's name or number", "there is no such user in /etc/passwd", func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// findGroup reads a group's name or number.
func findGroup(text string) (Account, error) {
	return findAccount(text, "a group's name or number", "there is no such group in /etc/group", func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

func findAccount(text, what, missing string, look func(string) (string, error)) (Account, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && n <= maxID {
		return Account{text, int(n)}, nil
	}
	if text == "" || strings.ContainsAny(text, ":/ \t\n") {
		return Account{}, must(what, text)
	}
	id, err := look(text)
	if err != nil {
		return Account{}, hinted(must(what, text), missing+"; an account that is kept elsewhere is named by its number (`id "+text+"`)")
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil || n > maxID {
		return Account{}, must(what, text)
	}
	return Account{text, int(n)}, nil
}

// owner is USER, USER:GROUP or :GROUP.
type owner struct{ field *Owner }

func (v owner) Set(texts ...string) error {
	name, group, both := strings.Cut(last(texts), ":")
	var o Owner
	var err error
	if name == "" && group == "" || both && group == "" {
		return must("USER, USER:GROUP or :GROUP", last(texts))
	}
	if name != "" {
		if o.User, err = findUser(name); err != nil {
			return err
		}
	}
	if both {
		if o.Group, err = findGroup(group); err != nil {
			return err
		}
	}
	*v.field = o
	return nil
}

func (v owner) String() string {
	if v.field.Group.Text == "" {
		return v.field.User.Text
	}
	return v.field.User.Text + ":" + v.field.Group.Text
}

func (v owner) Shape() Shape {
	return Shape{Type: "USER, USER:GROUP or :GROUP", Schema: map[string]any{"type": []string{"integer", "string"}}}
}
