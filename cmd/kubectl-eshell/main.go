// Command kubectl-eshell is the kubectl plugin "kubectl eshell". It fits pkg/cli to an operating
// system process: arguments, streams, signals, exit status.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	// Writing to a reader that has gone must be an error that ends the session, not a signal that
	// ends this process before it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	go cancelOnSignal(cancel)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(cli.Main(ctx, os.Args[1:], streams, version))
}

// cancelOnSignal ends the session at the first signal. Later ones change nothing: a terminal that
// closes sends several, and what they would interrupt is the clean-up, which is bounded in time.
func cancelOnSignal(cancel context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // by nohup: the session is to outlive its terminal
		signal.Notify(signals, syscall.SIGHUP)
	}
	for s := range signals {
		if s, ok := s.(syscall.Signal); ok {
			cancel(cli.Signal{Signal: s})
		}
	}
}
