//go:build unix

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeStdin returns the terminal that is this process's stdin, and leaves the process the null device: the
// terminal is the session's. client-go gives stdin to a credential plugin if it is a terminal. The plugin
// would take what is typed for the command, and wait for it.
func takeStdin() (*os.File, error) {
	const firstFree = 3
	terminal, err := unix.FcntlInt(os.Stdin.Fd(), unix.F_DUPFD_CLOEXEC, firstFree)
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if err := unix.Dup2(int(null.Fd()), int(os.Stdin.Fd())); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(terminal), os.Stdin.Name()), nil
}
