package workload

import (
	"context"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
)

// askAccess asks everything at once: one round trip.
func askAccess(ctx context.Context, client kubernetes.Interface, namespace string) Access {
	var answers Access
	var asked sync.WaitGroup
	ask := func(allowed *bool, verb, group, resource, subresource string) {
		asked.Go(func() {
			*allowed = access.Allowed(ctx, client, &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: group, Version: "v1", Resource: resource,
				Subresource: subresource,
			})
		})
	}
	ask(&answers.DeletePods, "delete", "", "pods", "")
	ask(&answers.WatchPods, "watch", "", "pods", "")
	ask(&answers.ExecPods, "create", "", "pods", "exec")
	ask(&answers.AttachPods, "create", "", "pods", "attach")
	ask(&answers.PatchJobs, "patch", "batch", "jobs", "")
	asked.Go(func() { answers.User = access.UserName(ctx, client) })
	asked.Wait()
	return answers
}
