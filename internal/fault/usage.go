package fault

import "fmt"

// Usagef is a mistake in how the command is used.
func Usagef(format string, args ...any) *Fault {
	return &Fault{Problem: fmt.Sprintf(format, args...), Code: Usage}
}

// WithHint adds what to do about it.
func (f *Fault) WithHint(format string, args ...any) *Fault {
	f.Hint = fmt.Sprintf(format, args...)
	return f
}
