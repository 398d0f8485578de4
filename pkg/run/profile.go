package run

import (
	"context"
	"strings"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// profileTime is how long the search for a profile that the server admits may take.
const profileTime = 5 * time.Second

// hintProfile adds to err, if Pod Security has refused a debug container, the command with the profile that
// allows most of those that the server admits. The pod itself may be what the namespace does not admit: then
// there is no such profile.
func (r Request) hintProfile(ctx context.Context, w *workload.Workload, err error) error {
	if r.Mode != plan.ModeDebug || !diagnosis.IsPodSecurity(err) || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	r.Plan.Debug.New = true
	for _, p := range []profile.Profile{profile.Baseline, profile.Auto, profile.Restricted} {
		r.Plan.Debug.Profile = p
		planned, refused := r.plan(w)
		if refused == nil {
			_, refused = session.DryRun(ctx, r.Session.Client, planned, r.Session.Write)
		}
		if refused == nil {
			return hint.Wrap(err, "with what the namespace admits: "+r.again(w))
		}
	}
	return err
}

// again returns the command for a debug session as it is requested, as far as r knows it.
func (r Request) again(w *workload.Workload) string {
	name := "auto"
	if p := r.Plan.Debug.Profile; p != profile.Auto {
		name = string(p)
	}
	command := hint.Command("kubectl eshell %s -c %s -n %s --mode debug --profile %s", "pod/"+w.Pod.Name,
		w.Container, w.Namespace, name)
	if r.Plan.Image != "" {
		command += hint.Command(" --image %s", r.Plan.Image)
	}
	if r.Plan.Debug.Chroot {
		command += " --chroot"
	}
	if r.Plan.Debug.EnvFromProcess {
		command += " --env-from-process"
	}
	if len(r.Plan.Command) > 0 {
		command += hint.Command(" --"+strings.Repeat(" %s", len(r.Plan.Command)), r.Plan.Command...)
	}
	return command
}
