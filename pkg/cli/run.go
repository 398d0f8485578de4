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
	out := newPrinter(streams.ErrOut, o.Quiet)
	c, err := connect(flags, out)
	if err != nil {
		return 0, err
	}
	t, err := target.Resolve(ctx, c.client, target.Query{
		Reference: o.Reference, Namespace: c.namespace, Container: o.Container, Live: o.Mode == plan.ModeDebug,
	})
	if err != nil {
		return 0, cause(ctx, err)
	}
	o.Plan.TTY, o.Plan.Term = useTTY(o, streams, out), os.Getenv("TERM")
	if o.Plan.TTY {
		// On Windows only these handles understand a terminal's keys and escapes, as kubectl exec knows.
		streams.In, streams.Out, _ = term.StdStreams()
	}
	status, err := start(ctx, c, t, o, streams, out)
	if errors.Is(err, session.ErrNoShell) {
		return withoutShell(ctx, c, t, o, streams, out, err)
	}
	return status, err
}

// start plans a session and runs it.
func start(ctx context.Context, c connection, t *target.Target, o Options, streams genericiooptions.IOStreams, out *printer) (int, error) {
	o.Plan.Session = rand.String(5)
	decide := plan.Clone
	if o.Mode == plan.ModeDebug {
		decide = plan.Debug
	}
	p, err := decide(t, o.Plan)
	if err != nil {
		return 0, err
	}
	out.plan(p)
	config := session.Config{
		Client: c.client, Streamer: session.NewStreamer(c.config, c.client), Teller: out, StartTimeout: o.StartTimeout,
		Stdin: stdin(o, streams.In), Stdout: streams.Out, Stderr: streams.ErrOut,
	}
	return session.Run(ctx, config, p)
}

// withoutShell runs a command as the container's own process where the image has no shell to run
// it beside. A shell cannot be had there.
func withoutShell(ctx context.Context, c connection, t *target.Target, o Options, streams genericiooptions.IOStreams, out *printer, err error) (int, error) {
	if len(o.Plan.Command) == 0 || o.Plan.Via == plan.ViaExec {
		return 0, hint.Errorf("run a program of the image's by attach: --via attach -- PROGRAM; or a shell from another image: --image IMAGE", "%w", err)
	}
	out.Warn("the image has no shell: the command runs by attach, and its output goes into the container's log")
	o.Plan.Via, o.Plan.Direct = plan.ViaAttach, true
	return start(ctx, c, t, o, streams, out)
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

// useTTY follows kubectl: a terminal is used where there is one, unless told otherwise.
func useTTY(o Options, streams genericiooptions.IOStreams, out *printer) bool {
	possible := o.Stdin && printers.IsTerminal(streams.In)
	if o.TTY == nil {
		return possible && printers.IsTerminal(streams.Out)
	}
	if *o.TTY && !possible {
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
