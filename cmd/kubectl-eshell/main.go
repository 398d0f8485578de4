// Command kubectl-eshell is the kubectl plugin "kubectl eshell". It connects pkg/cli to the operating system:
// arguments, streams, signals and the exit status.
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
	// Writing to a reader that has gone must be an error that ends the session. A signal would end this
	// process before it has cleaned up.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	go cancelOnSignal(cancel)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(cli.Main(ctx, cli.Args(os.Args), streams, version))
}

// cancelOnSignal ends the session at the first signal. Later signals have no effect: a terminal that closes
// sends several, and they would interrupt the clean-up, which is limited in time.
func cancelOnSignal(cancel context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it: the session is meant to outlive its terminal
		signal.Notify(signals, syscall.SIGHUP)
	}
	for s := range signals {
		if s, ok := s.(syscall.Signal); ok {
			cancel(cli.Signal{Signal: s})
		}
	}
}
