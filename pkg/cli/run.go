package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/moby/term"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/run"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// execute does what o asks for, and returns the exit status.
func (o Options) execute(ctx context.Context, c connection, streams genericiooptions.IOStreams,
	out *printer) (int, error) {
	query, err := o.query(ctx, c, streams.In)
	if err != nil {
		return 0, err
	}
	request := run.Request{Cluster: c.cluster, Query: query, Mode: o.Mode, Plan: o.Plan, Shells: c.shells,
		Users: c.users}
	request.Plan.Term = os.Getenv("TERM")
	if o.isPreview() {
		return 0, o.preview(ctx, o.rehearsal(request), stream.Interruptible(ctx, streams.Out), out)
	}
	target := o.Reference.String()
	if o.Filename != "" {
		target = filepath.Base(o.Filename)
	}
	ctx, recording, err := o.startRecording(ctx, c, target, out)
	if err != nil {
		return 0, err
	}
	reads := o.readsStdin(streams, out)
	request.Prepare = c.prepare
	ctx, request.Session = sessionConfig(ctx, o, c, streams, out)
	request.Session = recording.of(request.Session, o.Plan.Command)
	request.UseTerminal = func(r *run.Request) {
		r.Session.Idle = o.idle(reads, streams, out)
		r.Plan.Stdin, r.Plan.TTY = reads, useTTY(o, reads, &streams, out)
		r.Session.Stdin, r.Session.Stdout = stdin(reads, streams.In), streams.Out
	}
	status, err := run.Session(ctx, request)
	out.explainNotFound(status, o.Plan.Command)
	return status, recording.end(status, err)
}

// rehearsal returns the request as it is for a preview. The output must not depend on where it is printed, so
// a terminal has to be requested.
func (o Options) rehearsal(request run.Request) run.Request {
	request.Plan.TTY = !is(o.Stdin, false) && is(o.TTY, true)
	request.Plan.Stdin = request.Plan.TTY || is(o.Stdin, true) ||
		o.Stdin == nil && len(request.Plan.Command) == 0 // a shell reads whatever its stdin is
	request.Plan.Debug.New = request.Plan.Debug.New || o.DryRun != DryRunNone // what would be sent
	return request
}

// explainNotFound tells how to run what only a shell understands. 127 is the status of a command that was not
// found.
func (p *printer) explainNotFound(status int, command []string) {
	if status != 127 || !agent.NeedsShell(command) {
		return
	}
	p.Say("hint: a shell understands it: %s", hint.Command("-- sh -c %s", strings.Join(command, " ")))
}

// sessionConfig returns what a session needs, and a context that it can interrupt itself: a raw terminal
// sends Ctrl-C as a key, and Windows has no signal that a process could send to itself.
func sessionConfig(ctx context.Context, o Options, c connection, streams genericiooptions.IOStreams,
	out *printer) (context.Context, session.Config) {
	ctx, interrupt := context.WithCancelCause(ctx)
	return ctx, session.Config{
		Client: c.cluster.Client, Reconnect: c.reconnect,
		Streams: c.remote, Reporter: out,
		Write: o.write(), StartTimeout: o.StartTimeout, Wait: o.Wait, TTL: o.Plan.TTL,
		Interrupt: func() { interrupt(Signal{syscall.SIGINT}) },
		Escape:    o.Escape, DetachKeys: o.DetachKeys,
		End:    func() { interrupt(escaped{Signal{syscall.SIGHUP}}) },
		Stdout: streams.Out, Stderr: out.out.Writer,
	}
}

// query returns what to look for. It reads the manifest here, since that may be on stdin.
func (o Options) query(ctx context.Context, c connection, in io.Reader) (workload.Query, error) {
	manifest, err := readManifest(ctx, o.Filename, in)
	return workload.Query{
		Reference: o.Reference, Namespace: c.namespace, EnforceNamespace: c.enforceNamespace,
		Container: o.Container,
		Live:      o.Mode == plan.ModeDebug, Manifest: manifest, Revision: o.Revision, Running: o.Plan.Pin,
		Ordinal: o.Plan.Components.Ordinal, PodSelection: o.PodSelection,
	}, err
}

func stdin(reads bool, in io.Reader) io.Reader {
	if !reads {
		return nil
	}
	return in
}

// readsStdin decides whether the command gets the user's stdin, unless a flag does. A shell gets it, whatever
// it is, as from kubectl. A command gets a terminal if stdout is one too. It gets no file and no pipe: in a
// script, that would be the rest of the script. A warning says so, because what was meant for the command
// would be lost silently. Keys on a terminal whose stdout is not one belong to the next command in the pipe,
// like less.
func (o Options) readsStdin(streams genericiooptions.IOStreams, out *printer) bool {
	terminal := printers.IsTerminal(streams.In)
	switch {
	case o.Plan.Detach:
		return false
	case o.Stdin != nil:
		return *o.Stdin
	case len(o.Plan.Command) == 0:
		return true
	case terminal:
		return printers.IsTerminal(streams.Out) || is(o.TTY, true)
	case o.Filename != "-" && !isNothing(streams.In):
		out.Warn("stdin is not passed to the command: " +
			"-i passes it, and -i=false leaves it without this warning")
	}
	return false
}

// isNothing reports whether stdin is closed or the null device, which have nothing to read.
func isNothing(in io.Reader) bool {
	file, isFile := in.(*os.File)
	if !isFile {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return true
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && os.SameFile(info, null)
}

// useTTY decides whether the command gets a terminal. As with kubectl, it gets the user's terminal if there
// is one, unless a flag says otherwise. reads reports whether the command gets stdin.
func useTTY(o Options, reads bool, streams *genericiooptions.IOStreams, out *printer) bool {
	possible := reads && printers.IsTerminal(streams.In)
	tty := possible && printers.IsTerminal(streams.Out)
	switch {
	case o.TTY == nil && possible && !tty && len(o.Plan.Command) == 0:
		out.Say("stdout is not a terminal: the shell shows no prompt; -t gives it a terminal")
	case is(o.TTY, true) && is(o.Stdin, false):
		out.Warn("a terminal needs stdin, and --stdin is false: the command runs without one")
	case is(o.TTY, true) && !possible:
		out.Warn("stdin is not a terminal: the command runs without one")
	}
	if o.TTY != nil {
		tty = *o.TTY && possible
	}
	if !tty && len(o.DetachKeys) > 0 && slices.Contains(o.Typed, "detach-keys") {
		out.Warn("--detach-keys has no effect: the command runs without a terminal")
	}
	if tty { // as in kubectl exec: on Windows only these handles process a terminal's keys and escapes
		streams.In, streams.Out, _ = term.StdStreams()
	}
	if possible && streams.In == os.Stdin {
		if own, err := takeStdin(); err == nil {
			streams.In = own
		}
	}
	return tty
}

// idle returns how long nothing may be typed or shown, or 0: it is only for who could type something. A
// command whose input is a file, a pipe or nothing is at work for as long as it runs, and a team's default
// must not end it.
func (o Options) idle(reads bool, streams genericiooptions.IOStreams, out *printer) time.Duration {
	if reads && printers.IsTerminal(streams.In) {
		return o.Idle
	}
	if o.Idle > 0 && slices.Contains(o.Typed, "idle") {
		out.Warn("--idle has no effect: nobody can type anything for the command")
	}
	return 0
}

// maxManifest is the size of the longest manifest that is read, in bytes: ample for a chart, but not for a
// disk that was named by mistake.
const maxManifest = 16 << 20

// readManifest returns the content of the file, or of stdin for "-". It returns nil if no file was named.
// Package workload interprets the content.
func readManifest(ctx context.Context, filename string, stdin io.Reader) ([]byte, error) {
	if filename == "" {
		return nil, nil
	}
	name := filename
	if name == "-" {
		name = "stdin"
	}
	manifest, err := readInput(ctx, filename, stdin, maxManifest)
	switch {
	case err != nil && filename == "-":
		return nil, fmt.Errorf("manifest stdin: %w", err)
	case err != nil: // it names the file
		return nil, fmt.Errorf("manifest: %w", err)
	case len(manifest) == 0:
		return nil, fmt.Errorf("manifest %s is empty", name)
	case len(manifest) > maxManifest:
		return nil, fmt.Errorf("manifest %s is longer than %s", name,
			resource.NewQuantity(maxManifest, resource.BinarySI))
	}
	return manifest, nil
}

// written marks an error as one of writing the output.
func written(err error) error {
	if err == nil {
		return nil
	}
	return &stream.OutputError{Err: err}
}
