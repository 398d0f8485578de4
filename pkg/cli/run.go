package cli

import (
	"context"
	"io"
	"os"

	"github.com/moby/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/run"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// execute does what o asks for, and returns the exit status.
func (o Options) execute(ctx context.Context, c connection, streams genericiooptions.IOStreams,
	out *printer) (int, error) {
	query, err := o.query(c, streams.In)
	if err != nil {
		return 0, err
	}
	request := run.Request{Cluster: c.cluster, Query: query, Mode: o.Mode, Plan: o.Plan}
	request.Plan.Term = os.Getenv("TERM")
	if o.isPreview() {
		// What is printed does not depend on where it is printed: a terminal has to be asked for.
		request.Plan.TTY = o.Stdin && o.TTY != nil && *o.TTY
		return 0, o.preview(ctx, request, streams.Out, out)
	}
	request.Plan.TTY = useTTY(o, &streams, out)
	request.Session = sessionConfig(o, c, streams, out)
	return run.Session(ctx, request)
}

func sessionConfig(o Options, c connection, streams genericiooptions.IOStreams, out *printer) session.Config {
	return session.Config{
		Client: c.cluster.Client, Reconnect: c.reconnect,
		Streams: stream.NewClient(c.config, c.cluster.Client), Reporter: out,
		StartTimeout: o.StartTimeout, Wait: o.Wait, TTL: o.Plan.TTL,
		Stdin: stdin(o, streams.In), Stdout: streams.Out, Stderr: streams.ErrOut,
	}
}

// query is what to look for. Its manifest is read here: it may be on stdin.
func (o Options) query(c connection, in io.Reader) (workload.Query, error) {
	manifest, err := readManifest(o.Filename, in)
	return workload.Query{
		Reference: o.Reference, Namespace: c.namespace, EnforceNamespace: c.enforceNamespace,
		Container: o.Container,
		Live:      o.Mode == plan.ModeDebug, Manifest: manifest, Revision: o.Revision, Running: o.Plan.Pin,
		Ordinal: o.Plan.Components.Ordinal,
	}, err
}

func stdin(o Options, in io.Reader) io.Reader {
	if !o.Stdin {
		return nil
	}
	return in
}

// useTTY decides whether the command gets a terminal. As with kubectl, a terminal is used where there is one,
// unless told otherwise.
func useTTY(o Options, streams *genericiooptions.IOStreams, out *printer) bool {
	possible := o.Stdin && printers.IsTerminal(streams.In)
	tty := possible && printers.IsTerminal(streams.Out)
	switch {
	case o.TTY == nil && possible && !tty && len(o.Plan.Command) == 0:
		out.Say("stdout is not a terminal: the shell shows no prompt; -t gives it a terminal")
	case o.TTY != nil && *o.TTY && !o.Stdin:
		out.Warn("a terminal needs stdin, and --stdin is false: the command runs without one")
	case o.TTY != nil && *o.TTY && !possible:
		out.Warn("stdin is not a terminal: the command runs without one")
	}
	if o.TTY != nil {
		tty = *o.TTY && possible
	}
	if tty { // on Windows only these handles understand a terminal's keys and escapes, as kubectl exec knows
		streams.In, streams.Out, _ = term.StdStreams()
	}
	return tty
}
