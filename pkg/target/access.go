package target

import (
	"context"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// askAccess asks everything at once: one round trip. A server that will not answer counts as a
// yes, because the request itself will be judged again when it is made.
func askAccess(ctx context.Context, client kubernetes.Interface, namespace string) Access {
	var access Access
	var asked sync.WaitGroup
	ask := func(allowed *bool, verb, subresource string) {
		asked.Go(func() { *allowed = may(ctx, client, namespace, verb, subresource) })
	}
	ask(&access.DeletePods, "delete", "")
	ask(&access.WatchPods, "watch", "")
	ask(&access.ExecPods, "create", "exec")
	ask(&access.AttachPods, "create", "attach")
	asked.Wait()
	return access
}

func may(ctx context.Context, client kubernetes.Interface, namespace, verb, subresource string) bool {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Version: "v1", Resource: "pods", Subresource: subresource,
		},
	}}
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	return err != nil || answer.Status.Allowed
}
