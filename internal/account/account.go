// Package account finds users and groups: in /etc/passwd and /etc/group, since the program is built without the C library that asks
// others. An account that is kept elsewhere is named by its number.
package account

import (
	"errors"
	"os/user"
	"strconv"
	"strings"
)

// Account is a user or a group.
type Account struct {
	Text string // as it was given; empty: none
	ID   int
}

// Owner is a user, a group, or both; the Text of the one that was not given is empty.
type Owner struct{ User, Group Account }

var (
	// ErrName is a text that can't be an account's.
	ErrName = errors.New("neither a name nor a number")
	// ErrUnknown is a name that is in no file.
	ErrUnknown = errors.New("unknown")
)

// maxID is the highest number: the one behind it is the kernel's "unchanged".
const maxID = 1<<32 - 2

// FindUser reads a user's name or number. Numbers need not be known.
func FindUser(text string) (Account, error) {
	return find(text, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

// FindGroup reads a group's name or number. Numbers need not be known.
func FindGroup(text string) (Account, error) {
	return find(text, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

func find(text string, look func(string) (string, error)) (Account, error) {
	if id, ok := parseID(text); ok {
		return Account{text, id}, nil
	}
	if text == "" || strings.ContainsAny(text, ":/ \t\n") {
		return Account{}, ErrName
	}
	number, err := look(text)
	if err != nil {
		return Account{}, ErrUnknown
	}
	id, ok := parseID(number)
	if !ok {
		return Account{}, ErrUnknown
	}
	return Account{text, id}, nil
}

func parseID(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return int(n), err == nil && n <= maxID
}

// Groups returns the groups of a user, its own first. ok is false for a number that is no known user's.
func Groups(u Account) (groups []int, ok bool) {
	known, err := user.LookupId(strconv.Itoa(u.ID))
	if err != nil {
		return nil, false
	}
	own, ok := parseID(known.Gid)
	if !ok {
		return nil, false
	}
	groups = []int{own}
	others, _ := known.GroupIds()
	for _, text := range others {
		if id, ok := parseID(text); ok && id != own {
			groups = append(groups, id)
		}
	}
	return groups, true
}
