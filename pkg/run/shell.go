package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Shells remembers images that have turned out to have no shell.
type Shells interface {
	// Lacks reports whether an image had no shell when it was last tried, not long ago.
	Lacks(ctx context.Context, image string) bool
	// Remember records that an image has no shell.
	Remember(ctx context.Context, image string)
}

// knownError is the lack of a shell that was known before anything was created.
type knownError struct{ error }

// Unwrap returns the error.
func (e knownError) Unwrap() error { return e.error }

// lacksShell returns an error if the plan needs a shell, and another container or an earlier session has
// shown that the image has none.
func (r Request) lacksShell(ctx context.Context, w *workload.Workload, planned *plan.Plan) error {
	image, tells := imageOf(planned)
	if !planned.Agent.NeedsShell() || r.Plan.Toolbox != "" || !tells {
		return nil
	}
	who := "an earlier session has found"
	switch {
	case w.Pod != nil && diagnosis.LacksShell(w.Pod, image):
		who = "another container shows"
	case r.Shells == nil || !r.Shells.Lacks(ctx, image):
		return nil
	}
	return knownError{fmt.Errorf("container %s: %w: %s, as %s", w.Container, diagnosis.ErrNoShell, image,
		who)}
}

// imageOf returns the image of the session's container, and whether another container with that image tells
// anything about it: not if a variable of its own says where programs are, or if the image is pulled again.
func imageOf(planned *plan.Plan) (image string, tells bool) {
	var c corev1.Container
	if planned.Ephemeral != nil {
		c = corev1.Container(planned.Ephemeral.EphemeralContainerCommon)
	} else if main := containers.Spec(podOf(planned), planned.Container); main != nil {
		c = *main
	}
	setsPath := slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == "PATH" })
	return c.Image, !setsPath && c.ImagePullPolicy != corev1.PullAlways
}

// podOf returns the clone, or an empty pod in debug mode.
func podOf(planned *plan.Plan) *corev1.Pod { return cmp.Or(planned.Pod, &corev1.Pod{}) }

// withoutShell returns the request to run the command as the container's own process, with the default
// toolbox or, in debug mode, with the default image, because the image of the plan has no shell, as err
// says. If the session needs a shell, or the init containers would run a second time, withoutShell returns
// err with a hint.
func (r Request) withoutShell(ctx context.Context, planned *plan.Plan, err error) (Request, error) {
	_, known := errors.AsType[knownError](err)
	image, tells := imageOf(planned)
	if r.Shells != nil && tells && r.Plan.Toolbox == "" && !known {
		r.Shells.Remember(ctx, image)
	}
	bring := hint.Command("add a shell and its tools: --toolbox %s", r.toolbox())
	again := ""
	if known {
		again = "; if the image has changed: --pull always"
	}
	command := r.Plan.Command
	if r.Mode == plan.ModeDebug { // eshell could not end a process that runs there directly
		if r.Plan.Image != "" || r.Plan.Debug.DefaultImage == "" {
			return r, hint.Wrap(err, "use an image that has a shell: --image IMAGE"+again)
		}
		r.Plan.Image = r.Plan.Debug.DefaultImage
		return r, nil
	}
	init := initNames(planned)
	once := len(init) == 0 || known // another pod runs no init container a second time
	switch {
	case r.Plan.Toolbox != "":
		return r, hint.Wrap(err, "use a toolbox with a static busybox: --toolbox busybox:musl")
	case r.Plan.DefaultToolbox != "" && once && planned.Agent.NeedsShell() && !r.Plan.Entrypoint:
		r.Plan.Toolbox = r.Plan.DefaultToolbox
		return r, nil
	case len(command) == 0 || r.Plan.Via == agent.ViaExec || r.Plan.Detach:
		return r, hint.Wrap(err, hint.Command("add a shell: --toolbox %s; ", r.toolbox())+
			"use another image: --image IMAGE; or run a program of this one: --via attach -- PROGRAM"+again)
	case command[0] == "sh" || !planned.Agent.NeedsShell(): // what is missing is the command itself
		return r, hint.Wrap(err, bring)
	}
	if !once {
		err = fmt.Errorf("%w; another pod would run init %s %s once more", err,
			words.Plural(len(init), "container", "containers"), words.List(init, "and"))
		if r.Plan.Via == agent.ViaAttach {
			return r, hint.Wrap(err, bring)
		}
		return r, hint.Wrap(err, hint.Command("run the command as the container's own process: "+
			"--via attach --"+strings.Repeat(" %s", len(command)), command...))
	}
	r.Plan.Via, r.Plan.Direct = agent.ViaAttach, true
	return r, nil
}

// startWithoutShell runs a command as the container's own process, because the image has no shell beside
// which to run it.
func (r Request) startWithoutShell(ctx context.Context, w *workload.Workload, planned *plan.Plan,
	err error) (int, error) {
	if r, err = r.withoutShell(ctx, planned, err); err != nil {
		return 0, err
	}
	r.Session.Reporter.Warn("%s", r.withoutShellNote(planned))
	_, status, err := r.start(ctx, w, r.takeLease(ctx, r.terms(w.Namespace)))
	if err != nil && hint.Of(err) == "" && !errors.Is(err, context.Cause(ctx)) &&
		r.Mode == plan.ModeClone && r.Plan.Toolbox == "" {
		err = hint.Wrap(err, hint.Command("add a shell and its tools: --toolbox %s", r.toolbox()))
	}
	return status, err
}

// toolbox returns the image that a hint proposes for --toolbox.
func (r Request) toolbox() string { return cmp.Or(r.Plan.DefaultToolbox, "busybox:musl") }

// withoutShellNote returns what is different because the image of the plan has no shell.
func (r Request) withoutShellNote(planned *plan.Plan) string {
	image, _ := imageOf(planned)
	if r.Mode == plan.ModeDebug {
		return fmt.Sprintf("no shell (sh) is in the PATH of image %s: the debug container runs %s "+
			"(--debug-image)", image, r.Plan.Image)
	}
	if r.Plan.Toolbox != "" {
		return fmt.Sprintf("no shell (sh) is in the PATH of image %s: the clone gets the toolbox "+
			"%s (--toolbox-image)", image,
			r.Plan.Toolbox)
	}
	return "no shell (sh) is in the image's PATH: the command runs by attach, " +
		"as the container's own process; Ctrl-C may do nothing; its output is recorded in the container's " +
		"log, and what it prints before eshell is attached is read from there, with stderr on stdout"
}

// initNames returns the names of the init containers that run in a clone.
func initNames(planned *plan.Plan) []string {
	var names []string
	for _, c := range podOf(planned).Spec.InitContainers { // debug mode runs none
		if !containers.IsSidecar(c) {
			names = append(names, c.Name)
		}
	}
	return names
}
