package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/kubectl/pkg/util/term"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/record"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// recordDir is the environment variable by which a platform team has every session recorded, in a folder.
const recordDir = "KUBECTL_ESHELL_RECORD_DIR"

// recordOptions are what is recorded of a session, and where.
type recordOptions struct {
	File   string // empty: only the folder of recordDir has a recording, if there is one
	Format record.Format
	Input  bool
}

// isAsked reports whether somebody wants a recording.
func (o recordOptions) isAsked() bool { return o.File != "" || os.Getenv(recordDir) != "" }

// recordFlags are the flags of a recording as they were typed.
type recordFlags struct {
	file, format string
	input        bool
}

func (r *recordFlags) define(set *pflag.FlagSet) {
	set.StringVar(&r.file, "record", "", "record what the session shows in the new `FILE`, for asciinema")
	set.StringVar(&r.format, "record-format", "v3", "record as `VERSION` v3 or v2 of asciinema's format")
	set.BoolVar(&r.input, "record-input", false, "record what is typed too, with passwords")
}

// options returns the options of a recording. set has the flags.
func (r *recordFlags) options(set *pflag.FlagSet) (recordOptions, error) {
	o := recordOptions{r.file, map[string]record.Format{"v2": record.V2, "v3": record.V3}[r.format], r.input}
	changed := set.Changed
	const needsFile = "add a file: --record FILE"
	return o, cmp.Or(
		refuse(changed("record") && (o.File == "" || o.File == "-"),
			fmt.Sprintf("--record %q is not a file: stdout has the session's own output", o.File), ""),
		oneOf("record-format", r.format, "v3", "v2"),
		refuse(!o.isAsked() && changed("record-format"), "--record-format needs --record", needsFile),
		refuse(!o.isAsked() && changed("record-input"), "--record-input needs --record", needsFile),
	)
}

// recording is the recording of a session, if there is one.
type recording struct {
	*record.Recording
	about about
}

// about is what the header of a recording says about its session: who, what and why. It has nothing of the
// workload's environment.
type about struct {
	Client    string    `json:"client"`
	User      string    `json:"user,omitempty"` // as the cluster knows them
	LocalUser string    `json:"localUser,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Server    string    `json:"server,omitempty"`
	Context   string    `json:"context,omitempty"`
	Namespace string    `json:"namespace"`
	Source    string    `json:"source,omitempty"` // the workload
	Mode      plan.Mode `json:"mode,omitempty"`
	Session   string    `json:"session,omitempty"`
	Pod       string    `json:"pod,omitempty"`
	Container string    `json:"container,omitempty"`
	Image     string    `json:"image,omitempty"`
}

// startRecording creates the recordings of a session of target, before anything of it is created. The context
// that it returns ends with an error when the session can no longer be recorded.
func (o Options) startRecording(ctx context.Context, c connection, target string,
	out *printer) (context.Context, *recording, error) {
	r := &recording{about: about{Client: c.client, LocalUser: localUser(), Reason: o.Plan.Reason,
		Server: c.shells.server, Context: c.currentContext, Namespace: c.namespace}}
	paths, err := o.Record.paths(ctx, r.about, target)
	if err != nil || len(paths) == 0 || o.Plan.Detach { // a detached session shows nothing
		return ctx, r, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r.Recording, err = record.New(ctx, record.Options{
		Format: o.Record.Format, Input: o.Record.Input, Paths: paths, Failed: cancel,
		Header: r.header(nil, nil, o.Plan.Command),
	})
	if err != nil {
		cancel(nil)
		return nil, nil, o.Record.explain(err)
	}
	told := out.Say
	if os.Getenv(recordDir) != "" { // not the user's own wish
		told = out.Answer
	}
	told("note: what this session shows is recorded in %s", strings.Join(paths, " and "))
	if o.Record.Input {
		out.Warn("what you type is recorded too, also a password that is not shown (--record-input)")
	}
	return ctx, r, nil
}

// paths returns the files of a recording: the one that the user wants, and the one that the platform wants.
func (o recordOptions) paths(ctx context.Context, a about, target string) ([]string, error) {
	var paths []string
	if o.File != "" {
		paths = append(paths, o.File)
	}
	folder := os.Getenv(recordDir)
	if folder == "" {
		return paths, nil
	}
	if err := record.CheckFolder(ctx, folder); err != nil {
		return nil, o.explain(err)
	}
	return append(paths, filepath.Join(folder,
		record.Name(time.Now(), a.LocalUser, a.Namespace, target, rand.String(5)))), nil
}

// explain says who wants the recording that cannot be made, and what to do.
func (o recordOptions) explain(err error) error {
	failed, _ := errors.AsType[*os.PathError](err)
	switch {
	case o.File == "" || failed != nil && failed.Path != o.File:
		return fmt.Errorf("every session has to be recorded (%s): %w", recordDir, err)
	case errors.Is(err, os.ErrExist):
		return hint.Wrap(fmt.Errorf("--record %s: the file exists, and is not overwritten", o.File),
			"record in another file: --record FILE")
	}
	return fmt.Errorf("--record: %w", err)
}

// localUser returns who runs this process.
func localUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// of returns the configuration of a session that is recorded.
func (r *recording) of(config session.Config, command []string) session.Config {
	if r.Recording == nil {
		return config
	}
	config.Record = r.Recording
	config.Reporter = &describing{config.Reporter, func(p *plan.Plan) {
		_ = r.Describe(r.header(p, config.Stdout, command)) // a failure ends the session
	}}
	return config
}

// describing is a Reporter that completes the header of a recording when the session has been created.
type describing struct {
	session.Reporter
	describe func(*plan.Plan)
}

// Created reports that the session now exists.
func (d *describing) Created(p *plan.Plan) {
	d.describe(p)
	d.Reporter.Created(p)
}

// header returns what the recording says about itself. Until there is a plan, little is known.
func (r *recording) header(p *plan.Plan, stdout io.Writer, command []string) record.Header {
	words := hint.Command(strings.Repeat(" %s", len(command)), command...)
	h := record.Header{Command: strings.TrimSpace(words)}
	if p != nil {
		h.Title = p.Headline
		r.about.describe(p)
	}
	if p != nil && p.Agent.TTY {
		h.Term = os.Getenv("TERM")
		if size := (term.TTY{Out: stdout}).GetSize(); size != nil {
			h.Columns, h.Rows = int(size.Width), int(size.Height)
		}
	}
	h.Session = r.about
	return h
}

// describe takes over what a plan says.
func (a *about) describe(p *plan.Plan) {
	a.Mode, a.Namespace, a.Session, a.Pod, a.Container = p.Mode, p.Namespace, p.Name(), p.PodName, p.Container
	a.User = cmp.Or(p.Record[owned.UserAnnotation], a.User)
	if kind := p.Record[owned.SourceKindAnnotation]; kind != "" {
		a.Source = strings.ToLower(kind) + "/" + p.Record[owned.SourceNameAnnotation]
	}
	a.Image = p.Image()
}

// end ends the recording of a session that returned a status and an error. It returns that error, or why the
// recording is incomplete. Of a session that failed before its command began nothing is kept.
func (r *recording) end(status int, err error) error {
	switch {
	case r.Recording == nil:
		return err
	case err != nil && !r.IsKept():
		r.Discard()
		return err
	case err != nil:
		status = exitStatus(err)
	}
	failed := r.Close(status)
	if _, isOutput := errors.AsType[*stream.OutputError](err); failed != nil && (err == nil || isOutput) {
		return failed
	}
	return err
}
