package account

import (
	"errors"
	"os/user"
	"strconv"
	"testing"
)

func TestAccountsAreFoundByNameAndByNumber(t *testing.T) {
	for text, want := range map[string]int{"root": 0, "0": 0, "4711": 4711, "4294967294": maxID} {
		if got, err := FindUser(text); err != nil || got != (Account{text, want}) {
			t.Errorf("user %s: %+v, %v", text, got, err)
		}
	}
	group, err := user.LookupGroupId("0")
	if err != nil {
		t.Skip("group 0 has no name here")
	}
	if got, err := FindGroup(group.Name); err != nil || got.ID != 0 {
		t.Errorf("group %s: %+v, %v", group.Name, got, err)
	}
}

func TestWhatIsNoAccountIsRefused(t *testing.T) {
	for text, want := range map[string]error{
		"": ErrName, "a:b": ErrName, "/root": ErrName, "a b": ErrName,
		"no-such-account": ErrUnknown, "-1": ErrUnknown, "4294967295": ErrUnknown,
	} {
		if _, err := FindUser(text); !errors.Is(err, want) {
			t.Errorf("user %q: %v", text, err)
		}
		if _, err := FindGroup(text); !errors.Is(err, want) {
			t.Errorf("group %q: %v", text, err)
		}
	}
}

func TestGroupsOfAUserBeginWithItsOwn(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	own, _ := strconv.Atoi(me.Gid)
	id, _ := strconv.Atoi(me.Uid)
	groups, ok := Groups(Account{me.Username, id})
	if !ok || groups[0] != own {
		t.Errorf("%v, %v", groups, ok)
	}
	if groups, ok := Groups(Account{"4294967294", maxID}); ok {
		t.Errorf("a number that is nobody's has groups %v", groups)
	}
}
