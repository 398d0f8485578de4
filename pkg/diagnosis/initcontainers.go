package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// initializing returns the first init container that the session's container waits for, or nil. An ephemeral
// container waits for none, and their failures do not affect it.
func initializing(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	if isEphemeral(pod, container) {
		return nil
	}
	for i := range pod.Status.InitContainerStatuses {
		status := &pod.Status.InitContainerStatuses[i]
		done := status.State.Terminated != nil && status.State.Terminated.ExitCode == 0
		if isSidecar(pod, status.Name) { // the next container starts once the sidecar has started
			done = status.Started != nil && *status.Started
		}
		if !done {
			return status
		}
	}
	return nil
}

// initStart reads the state of an init container that has not finished. told is false if the state says
// nothing. In that case the pod's conditions say more.
func initStart(pod *corev1.Pod, status *corev1.ContainerStatus) (s Status, told bool) {
	state := status.State
	switch {
	case state.Terminated != nil && !isSidecar(pod, status.Name):
		return initFailed(pod, status, state.Terminated), true
	case state.Terminated != nil || state.Running != nil:
		return initRunning(pod, status), true
	case state.Waiting == nil || blank(state.Waiting.Reason):
		return Status{}, false
	case state.Waiting.Reason == "CrashLoopBackOff" && status.LastTerminationState.Terminated != nil:
		return initFailed(pod, status, status.LastTerminationState.Terminated), true
	}
	return waiting(pod, status), true
}

// initRunning returns the status for an init container that runs, or for a sidecar that will run again, with
// its position among the init containers.
func initRunning(pod *corev1.Pod, status *corev1.ContainerStatus) Status {
	isThis := func(other corev1.ContainerStatus) bool { return other.Name == status.Name }
	place := slices.IndexFunc(pod.Status.InitContainerStatuses, isThis) + 1
	turn := fmt.Sprintf("%s (%d of %d)", kindAndName(pod, status.Name), place,
		len(pod.Status.InitContainerStatuses))
	if status.State.Terminated != nil { // its restart is due
		turn += " to be restarted"
	}
	return Status{Waiting: turn, Subject: status.Name, Logs: status.Name, Next: without(pod, status.Name)}
}

func kindAndName(pod *corev1.Pod, name string) string {
	switch {
	case isSidecar(pod, name):
		return "sidecar " + name
	case isInit(pod, name):
		return "init container " + name
	}
	return "container " + name
}

func initFailed(pod *corev1.Pod, status *corev1.ContainerStatus,
	end *corev1.ContainerStateTerminated) Status {
	words := DescribeExit(pod, status.Name, end)
	other := without(pod, status.Name)
	if status.Name == owned.ToolboxName {
		other = "use a toolbox with a static busybox: --toolbox busybox:musl"
	}
	failed := Status{Err: hint.Wrap(fmt.Errorf("%s failed: %s", kindAndName(pod, status.Name), words),
		cmp.Or(Hint(pod, status.Name, words), other))}
	if !notStarted(end) {
		failed.Logs = status.Name
	}
	return failed
}

// DescribeExit describes how a container's process ended, with the server's message.
func DescribeExit(pod *corev1.Pod, container string, end *corev1.ContainerStateTerminated) string {
	words := fmt.Sprintf("%s, exit status %d", end.Reason, end.ExitCode)
	if limit := memoryLimit(pod, container); limit != nil && OutOfMemory(end) {
		words += fmt.Sprintf(", memory limit %s", limit)
	}
	if end.Message != "" {
		words += ": " + end.Message
	}
	return words
}

// without returns the flag for a clone that does without an init container or a sidecar.
func without(pod *corev1.Pod, name string) string {
	others, sidecar := strings.Join(others(pod, name), ","), isSidecar(pod, name)
	switch {
	case name == owned.ToolboxName:
		return "leave out --toolbox"
	case sidecar && others == "":
		return "start without it: leave out --with and --with-all"
	case sidecar:
		return hint.Command("start without it: --with %s", others)
	}
	return hint.Command("start without it: --init %s", cmp.Or(others, "none"))
}

// others returns what comes along with name: the other init containers or, for a sidecar, the other sidecars
// and containers.
func others(pod *corev1.Pod, name string) []string {
	var others []string
	sidecar := isSidecar(pod, name)
	for _, c := range pod.Spec.InitContainers {
		if c.Name != name && c.Name != owned.ToolboxName && isSidecar(pod, c.Name) == sidecar {
			others = append(others, c.Name)
		}
	}
	if sidecar {
		for _, c := range pod.Spec.Containers {
			if !c.Stdin { // the session's own container reads its stdin
				others = append(others, c.Name)
			}
		}
	}
	return others
}

func isSidecar(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == name && containers.IsSidecar(c)
	})
}

func isInit(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers,
		func(c corev1.Container) bool { return c.Name == name })
}

func isEphemeral(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.EphemeralContainers,
		func(c corev1.EphemeralContainer) bool { return c.Name == name })
}
