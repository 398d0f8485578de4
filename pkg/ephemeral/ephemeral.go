// Package ephemeral is a typed client for the ephemeral containers of a pod.
package ephemeral

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// Client adds ephemeral containers to the pods of one namespace.
type Client struct {
	pods typedcorev1.PodInterface
}

// New returns a client that uses pods.
func New(pods typedcorev1.PodInterface) *Client { return &Client{pods: pods} }

// Add adds one container to the pod that has this name and UID, and returns the resulting pod. It needs
// "patch" on pods/ephemeralcontainers. A container cannot be changed or removed afterwards:
// https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
func (c *Client) Add(ctx context.Context, pod string, uid types.UID,
	container corev1.EphemeralContainer) (*corev1.Pod, error) {
	return c.patch(ctx, pod, uid, container, metav1.PatchOptions{})
}

// Try is Add as a dry run. The server judges the request, a field that it does not know is an error, and
// nothing is added.
func (c *Client) Try(ctx context.Context, pod string, uid types.UID,
	container corev1.EphemeralContainer) (*corev1.Pod, error) {
	options := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll},
		FieldValidation: metav1.FieldValidationStrict}
	return c.patch(ctx, pod, uid, container, options)
}

func (c *Client) patch(ctx context.Context, pod string, uid types.UID, container corev1.EphemeralContainer,
	options metav1.PatchOptions) (*corev1.Pod, error) {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": uid}, // a newer pod of the same name is refused
		"spec":     map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{container}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the patch for pod/%s: %w", pod, err)
	}
	added, err := c.pods.Patch(ctx, pod, types.StrategicMergePatchType, patch, options, "ephemeralcontainers")
	switch {
	case unsupported(err):
		return nil, hint.Wrap(fmt.Errorf("the server has no ephemeral containers: %w", err),
			"they need Kubernetes 1.23; leave out --mode debug for a clone")
	case apierrors.IsForbidden(err):
		return nil, hint.Wrap(fmt.Errorf("add a debug container to pod/%s: %w", pod, err),
			"ask for \"patch\" on pods/ephemeralcontainers: the admin and edit roles do not have it")
	case err != nil:
		return nil, fmt.Errorf("add a debug container to pod/%s: %w", pod, err)
	}
	return added, nil
}

// unsupported reports whether the server does not know the subresource, as opposed to a pod that does not
// exist. Only the 404 for a missing pod names an object. Old servers send no details at all.
func unsupported(err error) bool {
	status, ok := err.(apierrors.APIStatus)
	return ok && apierrors.IsNotFound(err) &&
		(status.Status().Details == nil || status.Status().Details.Name == "")
}
