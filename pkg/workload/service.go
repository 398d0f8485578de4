package workload

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// behind returns the workload behind a Service: the one whose pods it selects, else the newest
// ready pod that it selects. For a live pod the Service will do as it is.
func (s *search) behind(ctx context.Context, service workload, workloads []workload) (workload, error) {
	selector := service.service.Spec.Selector
	if len(selector) == 0 {
		return workload{}, hint.Wrap(fmt.Errorf("it has no selector, so there is no workload behind it"),
			"name a workload; list what there is: kubectl get deployments,statefulsets,daemonsets -n "+
				s.Namespace)
	}
	if s.Live {
		return service, nil
	}
	var found []workload
	for _, w := range workloads {
		if w.serves() && labels.SelectorFromSet(selector).Matches(labels.Set(w.template.Labels)) {
			found = append(found, w)
		}
	}
	switch len(found) {
	case 0:
		return s.podBehind(ctx, service)
	case 1:
		return found[0], nil
	}
	return workload{}, hint.Wrap(fmt.Errorf("it selects the pods of %s", list(found)),
		"name one: kubectl eshell "+found[0].String()+" -n "+s.Namespace)
}

// serves says that a workload is one to be named for its pods. A ReplicaSet with a controller is
// only a revision of it, and a Job's pods end.
func (w workload) serves() bool {
	return w.kind != "Job" && (w.kind != "ReplicaSet" || metav1.GetControllerOfNoCopy(&w.meta) == nil)
}

func (s *search) podBehind(ctx context.Context, service workload) (workload, error) {
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

// String returns the canonical TYPE/NAME.
func (w workload) String() string { return strings.ToLower(w.kind) + "/" + w.meta.Name }

func list(workloads []workload) string {
	var names []string
	for _, w := range workloads {
		names = append(names, w.String())
	}
	return strings.Join(names, ", ")
}
