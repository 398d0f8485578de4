package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/kubectl/pkg/util/podutils"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// livePod returns the pod of the workload that the query selects, and why it is that one. If the workload is
// a pod, it returns that pod, and no reason.
func (s *search) livePod(ctx context.Context, w workload) (*corev1.Pod, string, error) {
	if w.pod != nil {
		return w.pod, "", nil
	}
	if w.kind == "CronJob" && w.selector == nil {
		return nil, "", hint.Wrap(fmt.Errorf("it has no active job, so there is no pod to debug"),
			"leave out --mode debug for a clone")
	}
	pods, err := s.podsOf(ctx, w)
	if err != nil {
		return nil, "", err
	}
	chosen, err := selectPod(pods, s.PodSelection)
	if err != nil {
		return nil, "", hint.Wrap(err, "leave out --mode debug for a clone, or name a pod: "+s.getPods(w))
	}
	return chosen.pod, chosen.why, nil
}

// podsOf lists the workload's pods. If the workload is a pod, the list has that pod alone. Without a
// selector, the list is empty if the workload is not in the cluster or is a CronJob without an active job.
func (s *search) podsOf(ctx context.Context, w workload) ([]corev1.Pod, error) {
	if w.pod != nil {
		return []corev1.Pod{*w.pod}, nil
	}
	if w.selector == nil {
		if w.kind == "CronJob" || w.meta.UID == "" {
			return nil, nil
		}
		return nil, fmt.Errorf("it has no selector to find its pods")
	}
	options, err := selecting(w)
	if err != nil {
		return nil, err
	}
	pods, err := s.Client.CoreV1().Pods(s.Namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	return pods.Items, nil
}

// selecting returns the options to list what a workload selects. An empty selector, which would list
// everything, is an error.
func selecting(w workload) (metav1.ListOptions, error) {
	selector, err := metav1.LabelSelectorAsSelector(w.selector)
	if err != nil {
		return metav1.ListOptions{}, fmt.Errorf("its selector: %w", err)
	}
	if selector.Empty() {
		return metav1.ListOptions{}, fmt.Errorf("its selector is empty")
	}
	return metav1.ListOptions{LabelSelector: selector.String()}, nil
}

// getPods returns the command that shows the workload's pods.
func (s *search) getPods(w workload) string {
	return hint.Command("kubectl get pods -n %s -l %s", s.Namespace, metav1.FormatLabelSelector(w.selector))
}

func newestReady(pods []corev1.Pod) (newest *corev1.Pod, ready int) {
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil || !podutils.IsPodReady(pod) {
			continue
		}
		ready++
		if newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
	}
	return newest, ready
}

// running returns the images of the newest ready pod or, if a pod was named, of that pod.
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

// digests returns the images that a pod's containers run, by container, as registries name them. It leaves
// out an image that no registry has and that is known by its own hash alone.
func digests(pod *corev1.Pod) map[string]string {
	images := map[string]string{}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		image := strings.TrimPrefix(status.ImageID, "docker-pullable://") // dockershim adds it
		if strings.Contains(image, "@sha256:") && !strings.Contains(image, "://") {
			images[status.Name] = image
		}
	}
	return images
}

// behind returns the workload behind a Service. This is the workload whose pods the Service selects, or else
// the newest ready pod that it selects. If a live pod is wanted, behind returns the Service itself.
func (s *search) behind(ctx context.Context, service workload, workloads []workload) (workload, error) {
	selector := service.service.Spec.Selector
	if len(selector) == 0 {
		return workload{}, hint.Wrap(fmt.Errorf("it has no selector, so there is no workload behind it"),
			hint.Command("name a workload; list what there is: "+
				"kubectl get deployments,statefulsets,daemonsets -n %s", s.Namespace))
	}
	if s.Live {
		return service, nil
	}
	found := slices.DeleteFunc(slices.Clone(workloads), func(w workload) bool {
		return !labels.SelectorFromSet(selector).Matches(labels.Set(w.template.Labels))
	})
	isJob := func(w workload) bool { return w.kind == "Job" }
	if lasting := slices.DeleteFunc(slices.Clone(found), isJob); len(lasting) > 0 {
		found = lasting // a Job beside them, such as one that migrates, often has their labels
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var names []string
		for _, w := range found {
			names = append(names, strings.ToLower(w.kind)+"/"+w.meta.Name)
		}
		return workload{}, hint.Wrap(fmt.Errorf("it selects the pods of %s", strings.Join(names, ", ")),
			hint.Command("name one: kubectl eshell %s -n %s", names[0], s.Namespace))
	}
	pods, err := s.podsOf(ctx, service)
	if err != nil {
		return workload{}, err
	}
	pod, _ := newestReady(pods)
	if pod == nil {
		return workload{}, hint.Wrap(fmt.Errorf("no workload is behind it, and none of its %d pods is ready",
			len(pods)), "list what it selects: "+s.getPods(service))
	}
	return ofPod(pod), nil
}

// serves reports whether a workload can be named as the one behind a Service. A ReplicaSet or a Job with a
// controller is only a part of that.
func (w workload) serves() bool {
	return w.kind != "ReplicaSet" && w.kind != "Job" || metav1.GetControllerOfNoCopy(&w.meta) == nil
}
