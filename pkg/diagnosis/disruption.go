package diagnosis

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// failed tells a pod that failed by its init container from one that was given up, whose containers'
// states are only what came of it, or are left from before.
func failed(pod *corev1.Pod, unfinished *corev1.ContainerStatus) Status {
	if unfinished != nil && unfinished.State.Terminated != nil && pod.Status.Reason == "" {
		return initFailed(pod, unfinished, unfinished.State.Terminated)
	}
	return Status{Err: podFailed(pod)}
}

// podFailed is a pod that its node or a controller gave up: evicted, rejected, lost with its node.
func podFailed(pod *corev1.Pod) error {
	words := joined(pod.Status.Reason, pod.Status.Message)
	if words == "" {
		words = disruption(pod)
	}
	return hint.Wrap(fmt.Errorf("pod/%s failed: %s", pod.Name, orUnsaid(words)), whereItWas(pod))
}

// beingDeleted is a pod that somebody else deletes. Kubernetes says why where it does so itself:
// https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
func beingDeleted(pod *corev1.Pod) error {
	if why := disruption(pod); why != "" {
		return hint.Wrap(fmt.Errorf("pod/%s is being deleted: %s", pod.Name, why), whereItWas(pod))
	}
	return hint.Wrap(fmt.Errorf("pod/%s is being deleted by somebody else", pod.Name), eventsOf(pod))
}

func disruption(pod *corev1.Pod) string {
	target := condition(pod, corev1.DisruptionTarget)
	if target == nil || target.Status != corev1.ConditionTrue {
		return ""
	}
	return joined(target.Reason, target.Message)
}

// Deleted adds to err, the end of a pod, what the pod's last version says about it.
func Deleted(pod *corev1.Pod, err error) error {
	if why := disruption(pod); why != "" {
		return hint.Wrap(fmt.Errorf("%w: %s", err, why), whereItWas(pod))
	}
	return hint.Wrap(err, eventsOf(pod))
}

func whereItWas(pod *corev1.Pod) string {
	if pod.Spec.NodeName == "" {
		return eventsOf(pod)
	}
	return describeNode(pod.Spec.NodeName)
}

func joined(reason, message string) string {
	return strings.TrimSuffix(strings.TrimPrefix(reason+": "+message, ": "), ": ")
}

func orUnsaid(words string) string {
	if words == "" {
		return "its status does not say why"
	}
	return words
}
