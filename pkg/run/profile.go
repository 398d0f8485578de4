package run

import (
	"context"
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

// hintProfile adds to err, if Pod Security has refused a debug container, the command with the least strict
// profile that the server admits. The pod itself may be what the namespace does not admit: then there is no
// such profile.
func (r Request) hintProfile(ctx context.Context, w *workload.Workload, err error) error {
	if r.Mode != plan.ModeDebug || !diagnosis.IsPodSecurity(err) || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	for _, p := range []profile.Profile{profile.Baseline, profile.Restricted} {
		r.Plan.Debug.Profile, r.Plan.Debug.New = p, true
		planned, refused := r.plan(w)
		if refused == nil {
			_, refused = session.DryRun(ctx, r.Session.Client, planned, r.Session.Write)
		}
		if refused == nil {
			return hint.Wrap(err, hint.Command(
				"with what the namespace admits: kubectl eshell %s -c %s -n %s --mode debug --profile %s",
				"pod/"+w.Pod.Name, w.Container, w.Namespace, string(p)))
		}
	}
	return err
}
