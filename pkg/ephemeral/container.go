package ephemeral

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// State is what a container does, in the words of corev1.ContainerState. An ephemeral container is never
// restarted: it goes from each state to the next one, or from Waiting to Terminated.
type State string

// The states, in their order.
const (
	Waiting    State = "Waiting" // also while the kubelet has not reported the container yet
	Running    State = "Running"
	Terminated State = "Terminated"
)

// Container is an ephemeral container in its pod.
type Container struct {
	Name     string
	Image    string
	Target   string // the container whose processes it sees, or ""
	State    State
	Reason   string    // why it waits or has ended, in Kubernetes' word for it: "ErrImagePull", "Completed"
	ExitCode *int32    // of a terminated container
	Started  time.Time // zero if it has not started
}

// Containers returns the ephemeral containers of a pod, in the order of its spec.
func Containers(pod *corev1.Pod) []Container {
	var list []Container
	for _, c := range pod.Spec.EphemeralContainers {
		viewed := Container{Name: c.Name, Image: c.Image, Target: c.TargetContainerName, State: Waiting}
		for _, status := range pod.Status.EphemeralContainerStatuses {
			if status.Name == c.Name {
				viewed.report(status.State)
			}
		}
		list = append(list, viewed)
	}
	return list
}

func (c *Container) report(state corev1.ContainerState) {
	switch {
	case state.Terminated != nil:
		c.State, c.Reason = Terminated, state.Terminated.Reason
		c.ExitCode, c.Started = new(state.Terminated.ExitCode), state.Terminated.StartedAt.Time
	case state.Running != nil:
		c.State, c.Started = Running, state.Running.StartedAt.Time
	case state.Waiting != nil:
		c.Reason = state.Waiting.Reason
	}
}
