package cli

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/awaitd/awaitd/internal/config"
)

// OS returns the Env of this process; what Serve and Check do is for the caller to say.
func OS() Env {
	dir, err := os.Getwd()
	if err != nil {
		dir = "." // it was removed; what needs it will say so
	}
	return Env{
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Environ:  os.Environ(),
		Dir:      dir,
		Terminal: terminalWidth,
		Chdir:    os.Chdir,
		Version:  config.Version,
	}
}

// assumedWidth is that of a terminal that does not tell its size, such as a pseudo-terminal nobody sized.
const assumedWidth = 80

// terminalWidth returns the width of the terminal that w writes to, or 0 if it is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	if size.Col == 0 {
		return assumedWidth
	}
	return int(size.Col)
}
