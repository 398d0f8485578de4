package target

import (
	"context"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// askAccess asks everything at once: one round trip. A server that will not answer counts as a
// yes, because the request itself will be judged again when it is made.
func askAccess(ctx context.Context, client kubernetes.Interface, namespace string) Access {
	var access Access
	var asked sync.WaitGroup
	ask := func(allowed *bool, verb, group, resource, subresource string) {
		asked.Go(func() {
			*allowed = may(ctx, client, &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: group, Version: "v1", Resource: resource, Subresource: subresource,
			})
		})
	}
	ask(&access.DeletePods, "delete", "", "pods", "")
	ask(&access.WatchPods, "watch", "", "pods", "")
	ask(&access.ExecPods, "create", "", "pods", "exec")
	ask(&access.AttachPods, "create", "", "pods", "attach")
	ask(&access.PatchJobs, "patch", "batch", "jobs", "")
	asked.Go(func() { access.User = userName(ctx, client) })
	asked.Wait()
	return access
}

func may(ctx context.Context, client kubernetes.Interface, what *authorizationv1.ResourceAttributes) bool {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: what}}
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	return err != nil || answer.Status.Allowed
}

// userName is who the server takes the caller for, or "" where it does not say.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review
func userName(ctx context.Context, client kubernetes.Interface) string {
	answer, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return answer.Status.UserInfo.Username
}
