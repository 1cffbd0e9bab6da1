package fault

import (
	"fmt"
	"strings"
)

// NoInterpreter is a search for Python that found none; looked names the places.
func NoInterpreter(looked []string) *Fault {
	return &Fault{
		Problem: "can't find a Python interpreter: looked for `" + strings.Join(looked, "`, `") + "`",
		Hint:    "name one with `--python PATH`",
		Code:    Usage,
	}
}

// BadInterpreter is a Python that can't be run.
func BadInterpreter(path string, cause error) *Fault {
	return &Fault{
		Problem: fmt.Sprintf("can't run `%s`: %v", path, reason(cause)),
		Hint:    "name another interpreter with `--python PATH`",
		Code:    Usage,
		Cause:   cause,
	}
}

// NoPackage is a Python without the awaitd package of this version.
func NoPackage(python, version string) *Fault {
	return &Fault{
		Problem: fmt.Sprintf("`%s` has no awaitd %s", python, version),
		Hint:    fmt.Sprintf("install it there: `%s -m pip install awaitd==%s`", python, version),
		Code:    Usage,
	}
}

// WireMismatch is a Python whose awaitd speaks another wire version.
func WireMismatch(python string, theirs, ours int) *Fault {
	return &Fault{
		Problem: fmt.Sprintf("`%s` has an awaitd of another version: it speaks wire %d, this server %d", python, theirs, ours),
		Hint:    fmt.Sprintf("install the same version for both: `%s -m pip install --upgrade awaitd`", python),
		Code:    Usage,
	}
}
