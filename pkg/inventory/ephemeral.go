package inventory

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
)

// EphemeralContainer is one that was added to a pod, by us or by others.
type EphemeralContainer struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`
	Target  string   `json:"target,omitempty"`  // the container whose processes it sees
	Command []string `json:"command,omitempty"` // with its arguments; empty: the image's own
	// Waiting, Running or Terminated, or Kubernetes' reason for it
	State    string       `json:"state"`
	ExitCode *int32       `json:"exitCode,omitempty"`
	Started  *metav1.Time `json:"started,omitempty"`
}

// Ephemeral lists the ephemeral containers of a pod in the order in which they were added. Nothing
// says when one was added; it says when it started.
func Ephemeral(ctx context.Context, client kubernetes.Interface, namespace,
	name string) ([]EphemeralContainer, error) {
	pod, err := client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("pod/%s in namespace %s: %w", name, namespace, err)
	}
	listed := []EphemeralContainer{}
	for _, c := range pod.Spec.EphemeralContainers {
		e := EphemeralContainer{Name: c.Name, Image: c.Image, Target: c.TargetContainerName,
			Command: slices.Concat(c.Command, c.Args), State: "Waiting"}
		if status := containers.Status(pod, c.Name); status != nil {
			e.setState(status.State)
		}
		listed = append(listed, e)
	}
	return listed, nil
}

func (e *EphemeralContainer) setState(state corev1.ContainerState) {
	switch {
	case state.Running != nil:
		e.State, e.Started = "Running", &state.Running.StartedAt
	case state.Terminated != nil:
		e.State, e.ExitCode, e.Started = "Terminated", &state.Terminated.ExitCode, &state.Terminated.StartedAt
		if state.Terminated.Reason != "" {
			e.State = state.Terminated.Reason
		}
	case state.Waiting != nil && state.Waiting.Reason != "":
		e.State = state.Waiting.Reason
	}
}
