package cli

import (
	"context"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
)

// detach starts a session, which prints its name, and leaves it running.
func (r *runner) detach(ctx context.Context, config session.Config, planned *plan.Plan) error {
	if err := session.Start(ctx, config, planned); err != nil {
		return err
	}
	if planned.Ephemeral != nil && config.Lease == nil { // which would be its record
		r.out.Say("a shell in it: kubectl exec -it %s -c %s -n %s -- sh", planned.PodName, planned.Container, planned.Namespace)
		return nil
	}
	r.out.Say("a shell in it: kubectl eshell attach %s -n %s", planned.Name(), planned.Namespace)
	return nil
}
