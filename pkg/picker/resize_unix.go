//go:build unix

package picker

import (
	"os"
	"os/signal"
	"syscall"
)

// watchSize returns a channel that reports each change of the terminal's size, and how to stop that.
func watchSize() (resized <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH)
	return signals, func() { signal.Stop(signals) }
}
