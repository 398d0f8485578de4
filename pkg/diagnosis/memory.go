package diagnosis

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// enough is the least memory that is proposed: the runtime itself needs some to start a container.
const enough = "128Mi"

// OutOfMemory reports whether a container was killed because it used too much memory.
func OutOfMemory(end *corev1.ContainerStateTerminated) bool { return end.Reason == "OOMKilled" }

// memoryLimit is the limit that a container runs under, or nil: its own, or else its pod's. An
// ephemeral container has none of its own.
func memoryLimit(pod *corev1.Pod, container string) *resource.Quantity {
	if c := containers.Spec(pod, container); c != nil && !c.Resources.Limits.Memory().IsZero() {
		return c.Resources.Limits.Memory()
	}
	if pod.Spec.Resources != nil && !pod.Spec.Resources.Limits.Memory().IsZero() {
		return pod.Spec.Resources.Limits.Memory()
	}
	return nil
}

// withMoreMemory proposes twice the limit. The flag sizes the session's container and the toolbox's,
// and with them the pod; another container's own limit takes an override.
func withMoreMemory(pod *corev1.Pod, container string, _ []string) string {
	if container == "" {
		container = sized(pod)
	}
	limit := memoryLimit(pod, container)
	switch {
	case isEphemeral(pod, container):
		return "leave out --mode debug for a clone"
	case limit == nil: // the node itself ran out
		return describeNode(pod.Spec.NodeName)
	}
	more := limit.DeepCopy()
	more.Add(more)
	if least := resource.MustParse(enough); more.Cmp(least) < 0 {
		more = least
	}
	if own := containers.Spec(pod, container); container != owned.ToolboxName && container != sized(pod) &&
		!own.Resources.Limits.Memory().IsZero() {
		return "raise the limit: --override-type strategic --overrides '" + moreMemory(pod, container, more) +
			"'"
	}
	return "raise the limit: --memory " + more.String()
}

// sized is the container that --memory sizes: the session's own, which alone reads its stdin.
func sized(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if c.Stdin {
			return c.Name
		}
	}
	return ""
}

func moreMemory(pod *corev1.Pod, container string, more resource.Quantity) string {
	kind := "containers"
	if slices.ContainsFunc(pod.Spec.InitContainers, named(container)) {
		kind = "initContainers"
	}
	return fmt.Sprintf(`{"spec":{"%s":[{"name":"%s","resources":{"limits":{"memory":"%s"}}}]}}`, kind,
		container, &more)
}
