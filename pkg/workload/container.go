package workload

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// defaultContainerAnnotation is how a pod tells kubectl which container is meant when none is named:
// https://kubernetes.io/docs/reference/labels-annotations-taints/#kubectl-kubernetes-io-default-container
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

func chooseContainer(t *Workload, wanted string) (string, error) {
	containers := t.Template.Spec.Containers
	if len(containers) == 0 {
		return "", fmt.Errorf("%s has no containers", t)
	}
	if wanted != "" {
		running := append(slices.Clone(containers), sidecars(t.Template.Spec)...)
		if !hasContainer(running, wanted) {
			return "", hint.Wrap(fmt.Errorf("%s has no container %q", t, wanted),
				"containers: "+containerNames(running))
		}
		return wanted, nil
	}
	if name := t.Template.Annotations[defaultContainerAnnotation]; hasContainer(containers, name) {
		return name, nil
	}
	return containers[0].Name, nil
}

// sidecars are the init containers that run beside the containers:
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
func sidecars(spec corev1.PodSpec) []corev1.Container {
	return slices.DeleteFunc(slices.Clone(spec.InitContainers), func(init corev1.Container) bool {
		return init.RestartPolicy == nil || *init.RestartPolicy != corev1.ContainerRestartPolicyAlways
	})
}

func hasContainer(containers []corev1.Container, name string) bool {
	for _, c := range containers {
		if c.Name == name {
			return true
		}
	}
	return false
}

func containerNames(containers []corev1.Container) string {
	names := make([]string, len(containers))
	for i, c := range containers {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}
