package workload

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// running returns the images of the newest ready pod; of a pod that was named, its own.
func (s *search) running(w workload, pods []corev1.Pod) (map[string]string, error) {
	if w.pod != nil {
		return digests(w.pod), nil
	}
	pod, _ := newestReady(pods)
	if pod != nil {
		return digests(pod), nil
	}
	if w.selector == nil {
		return nil, hint.Wrap(fmt.Errorf("it has no pods whose images could be used"), "leave out --pin")
	}
	return nil, hint.Wrap(fmt.Errorf("none of its %d pods is ready, so there is no running image", len(pods)),
		"leave out --pin; its pods: "+s.getPods(w))
}

// digests are the images that a pod's containers run, by container, as registries name them. An
// image that no registry has, known by its own hash alone, is left out.
func digests(pod *corev1.Pod) map[string]string {
	images := map[string]string{}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		image := strings.TrimPrefix(status.ImageID, "docker-pullable://") // of dockershim
		if strings.Contains(image, "@sha256:") && !strings.Contains(image, "://") {
			images[status.Name] = image
		}
	}
	return images
}
