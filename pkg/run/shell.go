package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Shells remembers images that have turned out to have no shell.
type Shells interface {
	// Lacks reports whether an image had no shell when it was last tried, not long ago.
	Lacks(image string) bool
	// Remember records that an image has no shell.
	Remember(image string)
}

// knownError is the lack of a shell that was known before anything was created.
type knownError struct{ error }

// Unwrap returns the error.
func (e knownError) Unwrap() error { return e.error }

// lacksShell returns an error if the plan needs a shell, and another container or an earlier session has
// shown that the image has none.
func (r Request) lacksShell(w *workload.Workload, planned *plan.Plan) error {
	image := imageOf(planned)
	if !planned.Agent.NeedsShell() || r.Plan.Toolbox != "" {
		return nil
	}
	if w.Pod != nil && diagnosis.LacksShell(w.Pod, image) || r.Shells != nil && r.Shells.Lacks(image) {
		return knownError{fmt.Errorf("container %s: %w: %s", w.Container, diagnosis.ErrNoShell, image)}
	}
	return nil
}

func imageOf(planned *plan.Plan) string {
	switch {
	case planned.Ephemeral != nil:
		return planned.Ephemeral.Image
	case planned.Pod != nil:
		if c := containers.Spec(planned.Pod, planned.Container); c != nil {
			return c.Image
		}
	}
	return ""
}

// startWithoutShell runs a command as the container's own process, because the image has no shell beside
// which to run it. If the session needs a shell, or the init containers would run a second time, it returns
// err.
func (r Request) startWithoutShell(ctx context.Context, w *workload.Workload, planned *plan.Plan,
	err error) (int, error) {
	_, known := errors.AsType[knownError](err)
	if r.Shells != nil && r.Plan.Toolbox == "" && !known {
		r.Shells.Remember(imageOf(planned))
	}
	switch {
	case r.Mode == plan.ModeDebug: // eshell could not end a process that runs there directly
		return 0, hint.Wrap(err, "use an image that has a shell: --image IMAGE")
	case r.Plan.Toolbox != "":
		return 0, hint.Wrap(err, "use a toolbox with a static busybox: --toolbox busybox:musl")
	case len(r.Plan.Command) == 0 || r.Plan.Via == agent.ViaExec || r.Plan.Detach:
		return 0, hint.Wrap(err, "add a shell: --toolbox busybox:musl; "+
			"use another image: --image IMAGE; or run a program of this one: --via attach -- PROGRAM")
	}
	if ran := initNames(planned); len(ran) > 0 && !known {
		err = fmt.Errorf("%w; init container %s has run, and would run once more in another pod", err,
			strings.Join(ran, ", "))
		return 0, hint.Wrap(err, hint.Command("run the command as the container's own process: "+
			"--via attach --"+strings.Repeat(" %s", len(r.Plan.Command)), r.Plan.Command...))
	}
	r.Session.Reporter.Warn(
		"no shell (sh) is in the image's PATH: the command runs by attach, " +
			"and its output is recorded in the container's log; " +
			"what it prints before eshell is attached is read from there, with stderr on stdout")
	r.Plan.Via, r.Plan.Direct = agent.ViaAttach, true
	_, status, err := r.start(ctx, w, r.takeLease(ctx, r.terms(w.Namespace)))
	if err != nil && hint.Of(err) == "" && !errors.Is(err, context.Cause(ctx)) {
		err = hint.Wrap(err, "add a shell and its tools: --toolbox busybox:musl")
	}
	return status, err
}

// initNames returns the names of the source's init containers that run in a clone.
func initNames(planned *plan.Plan) []string {
	var names []string
	if planned.Pod != nil { // otherwise nothing of it runs again
		for _, c := range planned.Pod.Spec.InitContainers {
			names = append(names, c.Name)
		}
	}
	return names
}
