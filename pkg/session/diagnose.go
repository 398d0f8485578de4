package session

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// ErrNoShell means that the container has no sh for the holder or the gate.
var ErrNoShell = errors.New("the image has no shell (sh) in its PATH")

// start is how far a container has come.
type start struct {
	waiting    string // what it waits for, with the server's words; empty: it waits no longer
	unlikely   bool   // to run soon, because the image cannot be pulled; but the kubelet goes on trying
	terminated *corev1.ContainerStateTerminated
	err        error // why it will never run
}

// diagnose reads a pod's status. It is all that the session knows: no events are read.
func diagnose(pod *corev1.Pod, container string) start {
	if status := statusOf(pod, container); status != nil {
		switch {
		case status.State.Running != nil:
			return start{}
		case status.State.Terminated != nil:
			return ended(status)
		case status.State.Waiting != nil && !blank(status.State.Waiting.Reason):
			return held(status)
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return start{err: podFailed(pod)}
	}
	if s, found := initializing(pod); found {
		return s
	}
	return start{waiting: beforeStart(pod, container)}
}

func statusOf(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range statuses {
			if statuses[i].Name == container {
				return &statuses[i]
			}
		}
	}
	return nil
}

// blank reports the reasons that say nothing about what is being waited for.
func blank(reason string) bool {
	return reason == "" || reason == "ContainerCreating" || reason == "PodInitializing"
}

// ended tells a process that has run from one that could not be started.
func ended(status *corev1.ContainerStatus) start {
	end := status.State.Terminated
	if end.Reason != "StartError" && end.Reason != "ContainerCannotRun" {
		return start{terminated: end}
	}
	return start{err: notStartable(status, end.Message)}
}

// notStartable reads the runtime's words: a shell that is not there is not the user's mistake.
func notStartable(status *corev1.ContainerStatus, message string) error {
	if strings.Contains(message, `exec: "sh": executable file not found`) {
		return fmt.Errorf("container %s: %w: %s", status.Name, ErrNoShell, status.Image)
	}
	return fmt.Errorf("container %s: %s", status.Name, message)
}

// held reads a reason of the kubelet's for not starting a container. Most do not heal while
// somebody waits: they end at once. A registry may come back, and so may a cache of the kubelet's.
func held(status *corev1.ContainerStatus) start {
	reason, message := status.State.Waiting.Reason, status.State.Waiting.Message
	words := reason
	if message != "" {
		words += ": " + message
	}
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable":
		if noSuchImage(message) {
			return start{unlikely: true, err: hint.Errorf("check the name, or run another: --image IMAGE", "container %s: image %s: %s", status.Name, status.Image, words)}
		}
		return start{unlikely: true, waiting: fmt.Sprintf("image %s could not be pulled yet: %s", status.Image, pullError(message))}
	case "CreateContainerConfigError", "CreateContainerError":
		if strings.Contains(message, "failed to sync") {
			return start{waiting: words}
		}
	case "RunContainerError": // the runtime's words for what a clone's container ends with as StartError
		return start{err: notStartable(status, words)}
	case "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "PreCreateHookError", "CrashLoopBackOff":
	default:
		return start{waiting: "container " + status.Name + ": " + words}
	}
	return start{err: fmt.Errorf("container %s: %s", status.Name, words)}
}

// pullError is what the registry's answer was: the kubelet repeats it while it backs off.
func pullError(message string) string {
	if _, answer, again := strings.Cut(message, "ErrImagePull: "); again {
		return answer
	}
	return message
}

// noSuchImage reports a registry's final word: the image is not there, or not for us.
func noSuchImage(message string) bool {
	for _, final := range []string{"not found", "manifest unknown", "name unknown", "unauthorized", "authorization failed", "denied", "forbidden", "no match for platform"} {
		if strings.Contains(strings.ToLower(message), final) {
			return true
		}
	}
	return false
}

func podFailed(pod *corev1.Pod) error {
	for _, status := range pod.Status.InitContainerStatuses {
		if end := status.State.Terminated; end != nil && end.ExitCode != 0 {
			return initFailed(pod, status.Name, end)
		}
	}
	return fmt.Errorf("pod/%s failed: %s: %s", pod.Name, pod.Status.Reason, pod.Status.Message)
}

func initFailed(pod *corev1.Pod, name string, end *corev1.ContainerStateTerminated) error {
	words := fmt.Sprintf("%s, exit status %d", end.Reason, end.ExitCode)
	if end.Message != "" {
		words += ": " + end.Message
	}
	return hint.Errorf("its output went with the pod; the same container's in the workload: kubectl logs -n "+pod.Namespace+" POD -c "+name,
		"init container %s failed: %s", name, words)
}

// initializing reads the first init container that has not finished.
func initializing(pod *corev1.Pod) (start, bool) {
	for i, status := range pod.Status.InitContainerStatuses {
		switch {
		case status.State.Terminated != nil && status.State.Terminated.ExitCode == 0:
			continue
		case status.State.Terminated != nil:
			return start{err: initFailed(pod, status.Name, status.State.Terminated)}, true
		case status.State.Running != nil:
			return start{waiting: fmt.Sprintf("init container %s (%d of %d)", status.Name, i+1, len(pod.Status.InitContainerStatuses))}, true
		case status.State.Waiting != nil && !blank(status.State.Waiting.Reason):
			return held(&status), true
		default:
			return start{}, false
		}
	}
	return start{}, false
}

// beforeStart says what a pod without news from its containers waits for, by its conditions:
// https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
func beforeStart(pod *corev1.Pod, container string) string {
	if scheduled := condition(pod, corev1.PodScheduled); scheduled == nil || scheduled.Status != corev1.ConditionTrue {
		if scheduled != nil && scheduled.Message != "" {
			return "scheduling: " + scheduled.Message
		}
		return "scheduling"
	}
	if ready := condition(pod, corev1.PodReadyToStartContainers); ready != nil && ready.Status == corev1.ConditionFalse {
		return "volumes and network on node " + pod.Spec.NodeName
	}
	return "image " + imageOf(pod, container) + " to be pulled and started"
}

func condition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// imageOf is the image that is being pulled: an init container's, while one of them waits.
func imageOf(pod *corev1.Pod, container string) string {
	for _, status := range pod.Status.InitContainerStatuses {
		if status.State.Waiting != nil && statusOf(pod, container) != nil && pod.Spec.Containers[0].Name == container {
			return status.Image
		}
	}
	for _, c := range pod.Spec.EphemeralContainers {
		if c.Name == container {
			return c.Image
		}
	}
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}
