// Package containers finds a container of any kind in a pod, and its status.
package containers

import (
	corev1 "k8s.io/api/core/v1"
)

// Spec returns the spec of a container of any kind, or nil if the pod has none of that name.
func Spec(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if c := (*corev1.Container)(
			&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon); c.Name == name {
			return c
		}
	}
	return nil
}

// Status returns the status of a container of any kind, or nil if the kubelet has not reported one.
func Status(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	status := &pod.Status
	for _, list := range [][]corev1.ContainerStatus{
		status.ContainerStatuses, status.InitContainerStatuses, status.EphemeralContainerStatuses,
	} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// IsSidecar reports whether an init container is a sidecar: one that runs beside the others.
// https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
func IsSidecar(init corev1.Container) bool {
	return init.RestartPolicy != nil && *init.RestartPolicy == corev1.ContainerRestartPolicyAlways
}
