package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/moby/term"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/target"
)

// run is the way through the house: options, target, plan, session, exit status.
func run(ctx context.Context, o Options, flags *genericclioptions.ConfigFlags, streams genericiooptions.IOStreams) (int, error) {
	quietLogs(o.Verbosity)
	r := runner{options: o, streams: streams, out: newPrinter(streams.ErrOut, o.Quiet)}
	var err error
	if r.connection, err = connect(flags, r.out); err != nil {
		return 0, err
	}
	query := target.Query{Reference: o.Reference, Namespace: r.namespace, Container: o.Container, Live: o.Mode == plan.ModeDebug}
	cluster := target.Cluster{Client: r.client, Mapper: flags.ToRESTMapper,
		Dynamic: func() (dynamic.Interface, error) { return dynamic.NewForConfig(r.config) }}
	if r.target, err = target.Resolve(ctx, cluster, query); err != nil {
		return 0, cause(ctx, err)
	}
	r.useTerminal()
	status, err := r.start(ctx)
	if errors.Is(err, session.ErrNoShell) {
		return r.startWithoutShell(ctx, err)
	}
	return status, err
}

// runner is one run, from its options to its end.
type runner struct {
	options Options
	streams genericiooptions.IOStreams
	out     *printer
	connection
	target *target.Target
}

// start plans a session and runs it.
func (r *runner) start(ctx context.Context) (int, error) {
	r.options.Plan.Session = rand.String(5)
	decide := plan.Clone
	if r.options.Mode == plan.ModeDebug {
		decide = plan.Debug
	}
	p, err := decide(r.target, r.options.Plan)
	if err != nil {
		return 0, err
	}
	config := session.Config{
		Client: r.client, Streamer: session.NewStreamer(r.config, r.client), Teller: r.out, StartTimeout: r.options.StartTimeout,
		Stdin: stdin(r.options, r.streams.In), Stdout: r.streams.Out, Stderr: r.streams.ErrOut,
	}
	return session.Run(ctx, config, p)
}

// startWithoutShell runs a command as the container's own process where the image has no shell to
// run it beside. A shell cannot be had there: err says so.
func (r *runner) startWithoutShell(ctx context.Context, err error) (int, error) {
	asked := &r.options.Plan
	switch {
	case r.options.Mode == plan.ModeDebug: // what runs there directly could not be ended from here
		return 0, hint.Errorf("take a shell from another image: --image IMAGE", "%w", err)
	case len(asked.Command) == 0 || asked.Via == plan.ViaExec:
		return 0, hint.Errorf("run a program of the image's by attach: --via attach -- PROGRAM; or a shell from another image: --image IMAGE", "%w", err)
	}
	r.out.Warn("no shell (sh) is in the image's PATH: the command runs by attach, and its output goes into the container's log")
	asked.Via, asked.Direct = plan.ViaAttach, true
	return r.start(ctx)
}

// connection is how the cluster is reached.
type connection struct {
	config    *rest.Config
	client    kubernetes.Interface
	namespace string
}

func connect(flags *genericclioptions.ConfigFlags, out *printer) (connection, error) {
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return connection{}, err
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return connection{}, err
	}
	config.WarningHandler = out
	client, err := kubernetes.NewForConfig(config)
	return connection{config, client, namespace}, err
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
