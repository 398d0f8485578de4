// Package access asks the API server who the caller is, and what the caller is allowed to do.
package access

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// UserName returns the caller's name, or "" if the server does not report it.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review
func UserName(ctx context.Context, client kubernetes.Interface) string {
	review := &authenticationv1.SelfSubjectReview{}
	answer, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return answer.Status.UserInfo.Username
}

// Allowed reports whether the caller is allowed to do something. It returns true if the server does not
// answer, because the server judges the actual request again.
func Allowed(ctx context.Context, client kubernetes.Interface,
	what *authorizationv1.ResourceAttributes) bool {
	review := &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: what},
	}
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review,
		metav1.CreateOptions{})
	return err != nil || answer.Status.Allowed
}
