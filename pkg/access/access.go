// Package access says which permissions eshell needs for what, and asks the API server who the caller is and
// what the caller is allowed to do.
package access

import (
	"cmp"
	"context"
	"strings"
	"sync"

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
	allowed, err := ask(ctx, client, what)
	return err != nil || allowed
}

// Lacking returns those of the permissions that the caller does not have in a namespace. It asks for all of
// them at once, in one round trip. An error means that at least one answer is missing.
func Lacking(ctx context.Context, client kubernetes.Interface, namespace string,
	permissions []Permission) (lacking []Permission, err error) {
	allowed, errs := make([]bool, len(permissions)), make([]error, len(permissions))
	var asked sync.WaitGroup
	for i, p := range permissions {
		asked.Go(func() { allowed[i], errs[i] = ask(ctx, client, p.attributes(namespace)) })
	}
	asked.Wait()
	for i, p := range permissions {
		if !allowed[i] {
			lacking = append(lacking, p)
		}
	}
	return lacking, cmp.Or(errs...)
}

func (p Permission) attributes(namespace string) *authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(p.Resource, "/")
	return &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: p.Verb, Group: p.Group,
		Version: "v1", Resource: resource, Subresource: subresource}
}

func ask(ctx context.Context, client kubernetes.Interface,
	what *authorizationv1.ResourceAttributes) (allowed bool, err error) {
	review := &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: what},
	}
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review,
		metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}
