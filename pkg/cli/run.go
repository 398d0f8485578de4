package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/moby/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// run is the way through the house: options, target, plan, session, exit status.
func run(ctx context.Context, o Options, flags *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) (int, error) {
	quietLogs(o.Verbosity)
	r := runner{options: o, streams: streams, out: newPrinter(streams.ErrOut, o.Quiet)}
	var err error
	if r.connection, err = connect(flags, r.out); err != nil {
		return 0, err
	}
	return r.run(ctx)
}

// runner is one run, from its options to its end.
type runner struct {
	options Options
	streams genericiooptions.IOStreams
	out     *printer
	connection
	workload *workload.Workload
}

func (r *runner) run(ctx context.Context) (int, error) {
	query, err := r.query()
	if err != nil {
		return 0, err
	}
	if r.options.isPreview() {
		if r.workload, err = workload.Resolve(ctx, r.cluster, query); err != nil {
			return 0, cause(ctx, err)
		}
		return 0, r.preview(ctx)
	}
	lease := r.takeLease(ctx, r.terms(query.Namespace))
	if r.workload, err = workload.Resolve(ctx, r.cluster, query); err != nil {
		r.giveUp(ctx, lease)
		return 0, cause(ctx, err)
	}
	r.useTerminal()
	status, err := r.start(ctx, lease)
	if errors.Is(err, diagnosis.ErrNoShell) {
		return r.startWithoutShell(ctx, err)
	}
	return status, err
}

// query is what to look for. Its manifest is read here: it may be on stdin.
func (r *runner) query() (workload.Query, error) {
	o := r.options
	manifest, err := readManifest(o.Filename, r.streams.In)
	return workload.Query{
		Reference: o.Reference, Namespace: r.namespace, EnforceNamespace: r.enforceNamespace, Container: o.Container,
		Live: o.Mode == plan.ModeDebug, Manifest: manifest, Revision: o.Revision, Running: o.Plan.Pin, Ordinal: o.Plan.Components.Ordinal,
	}, err
}

// plan decides what the session will be.
func (r *runner) plan(o plan.Options) (*plan.Plan, error) {
	if r.options.Mode == plan.ModeDebug {
		return plan.Debug(r.workload, o)
	}
	return plan.Clone(r.workload, o)
}

// start plans a session and runs it. The session gives its lease up.
func (r *runner) start(ctx context.Context, taken *pendingLease) (int, error) {
	taken = r.resolveLease(ctx, taken)
	if ctx.Err() != nil {
		r.giveUp(ctx, taken)
		return 0, context.Cause(ctx)
	}
	planned, err := r.plan(taken.withLease(r.options.Plan))
	if err != nil {
		r.giveUp(ctx, taken)
		return 0, err
	}
	config := session.Config{
		Client: r.cluster.Client, Reconnect: r.reconnect, Streams: stream.NewClient(r.config, r.cluster.Client), Reporter: r.out, StartTimeout: r.options.StartTimeout,
		TTL: r.options.Plan.TTL, Wait: r.options.Wait,
		Stdin: stdin(r.options, r.streams.In), Stdout: r.streams.Out, Stderr: r.streams.ErrOut,
	}
	if taken.lease != nil {
		config.Lease = taken.lease
	}
	if planned.Agent.Detached {
		return 0, r.detach(ctx, config, planned)
	}
	return session.Run(ctx, config, planned)
}

// startWithoutShell runs a command as the container's own process where the image has no shell to
// run it beside. A shell cannot be had there: err says so.
func (r *runner) startWithoutShell(ctx context.Context, err error) (int, error) {
	asked := &r.options.Plan
	switch {
	case r.options.Mode == plan.ModeDebug: // what runs there directly could not be ended from here
		return 0, hint.Wrap(err, "take a shell from another image: --image IMAGE")
	case asked.Toolbox != "":
		return 0, hint.Wrap(err, "take a toolbox with a static busybox: --toolbox busybox:musl")
	case len(asked.Command) == 0 || asked.Via == agent.ViaExec || asked.Detach:
		return 0, hint.Wrap(err, "bring a shell along: --toolbox IMAGE, of one with a static busybox such as busybox:musl; "+
			"take another image: --image IMAGE; or run a program of this one: --via attach -- PROGRAM")
	}
	r.out.Warn("no shell (sh) is in the image's PATH: the command runs by attach, its output goes into the container's log, and what it says before eshell listens comes from there: stderr on stdout")
	asked.Via, asked.Direct = agent.ViaAttach, true
	status, err := r.start(ctx, r.takeLease(ctx, r.terms(r.workload.Namespace)))
	if err != nil && hint.Of(err) == "" && !errors.Is(err, context.Cause(ctx)) {
		err = hint.Wrap(err, "bring a shell and its tools along: --toolbox IMAGE, of one with a static busybox such as busybox:musl")
	}
	return status, err
}

func stdin(o Options, in io.Reader) io.Reader {
	if !o.Stdin {
		return nil
	}
	return in
}

// useTerminal decides whether the command gets a terminal.
func (r *runner) useTerminal() {
	asked := &r.options.Plan
	asked.TTY, asked.Term = useTTY(r.options, r.streams, r.out), os.Getenv("TERM")
	if asked.TTY {
		// On Windows only these handles understand a terminal's keys and escapes, as kubectl exec knows.
		r.streams.In, r.streams.Out, _ = term.StdStreams()
	}
}

// useTTY follows kubectl: a terminal is used where there is one, unless told otherwise.
func useTTY(o Options, streams genericiooptions.IOStreams, out *printer) bool {
	possible := o.Stdin && printers.IsTerminal(streams.In)
	if o.TTY == nil {
		tty := possible && printers.IsTerminal(streams.Out)
		if possible && !tty && len(o.Plan.Command) == 0 {
			out.Say("stdout is not a terminal: the shell shows no prompt; -t gives it a terminal")
		}
		return tty
	}
	if *o.TTY && !o.Stdin {
		out.Warn("a terminal needs stdin, and --stdin is false: the command runs without one")
	} else if *o.TTY && !possible {
		out.Warn("stdin is not a terminal: the command runs without one")
	}
	return *o.TTY && possible
}

// cause prefers why ctx was cancelled to what the cancelling broke.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
