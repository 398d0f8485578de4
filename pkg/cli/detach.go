package cli

import (
	"context"
	"fmt"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
)

// detach starts a session, leaves it running and prints its name and nothing else: scripts take it.
func (r *runner) detach(ctx context.Context, config session.Config, planned *plan.Plan) error {
	if err := session.Start(ctx, config, planned); err != nil {
		return err
	}
	name := planned.PodName
	if planned.Ephemeral != nil {
		name = planned.Container
	}
	if _, err := fmt.Fprintln(r.streams.Out, name); err != nil {
		return written(err)
	}
	if planned.Ephemeral != nil && config.Lease == nil { // which would be its record
		r.out.Say("a shell in it: kubectl exec -it %s -c %s -n %s -- sh", planned.PodName, name, planned.Namespace)
		return nil
	}
	r.out.Say("a shell in it: kubectl eshell attach %s -n %s", name, planned.Namespace)
	return nil
}
