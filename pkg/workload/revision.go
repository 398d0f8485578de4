package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// revisionAnnotation states which revision of its Deployment a ReplicaSet is:
// https://kubernetes.io/docs/reference/labels-annotations-taints/#deployment-kubernetes-io-revision
const revisionAnnotation = "deployment.kubernetes.io/revision"

// Revision is what a workload was at a time.
type Revision struct {
	Template corev1.PodTemplateSpec
	Created  metav1.Time
}

// Revisions returns the revisions of a Deployment, a StatefulSet or a DaemonSet by their numbers. It makes
// two requests, one after the other: what belongs to a workload is selected as the workload says.
func (c Cluster) Revisions(ctx context.Context, namespace string, r Reference) (map[int64]Revision, error) {
	s := search{Cluster: c, Query: Query{Reference: r, Namespace: namespace}}
	w, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	return s.revisionsOf(ctx, w)
}

// templateOf returns the pod template that the workload had at the requested revision.
func (s *search) templateOf(ctx context.Context, w workload) (corev1.PodTemplateSpec, error) {
	revisions, err := s.revisionsOf(ctx, w)
	if err != nil {
		return corev1.PodTemplateSpec{}, err
	}
	if found, ok := revisions[s.Revision]; ok {
		return found.Template, nil
	}
	var numbers []string
	for _, number := range slices.Sorted(maps.Keys(revisions)) {
		numbers = append(numbers, strconv.FormatInt(number, 10))
	}
	return corev1.PodTemplateSpec{}, hint.Wrap(fmt.Errorf("it has no revision %d", s.Revision),
		"revisions: "+strings.Join(numbers, ", "))
}

func (s *search) revisionsOf(ctx context.Context, w workload) (map[int64]Revision, error) {
	var list func(context.Context, workload, metav1.ListOptions) (map[int64]Revision, error)
	switch w.kind {
	case "Deployment":
		list = s.deploymentRevisions
	case "StatefulSet", "DaemonSet":
		list = s.controllerRevisions
	default:
		return nil, hint.Wrap(fmt.Errorf("its kind has no revisions"),
			"kinds with revisions: deployments, statefulsets, daemonsets")
	}
	options, err := selecting(w)
	if err != nil {
		return nil, err
	}
	return list(ctx, w, options)
}

// deploymentRevisions returns the templates of a Deployment's ReplicaSets by revision, without the hash that
// distinguishes them.
func (s *search) deploymentRevisions(ctx context.Context, w workload,
	options metav1.ListOptions) (map[int64]Revision, error) {
	list, err := s.Client.AppsV1().ReplicaSets(s.Namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	revisions := map[int64]Revision{}
	for i := range list.Items {
		set := &list.Items[i]
		number, err := strconv.ParseInt(set.Annotations[revisionAnnotation], 10, 64)
		if err == nil && metav1.IsControlledBy(set, &w.meta) {
			delete(set.Spec.Template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
			revisions[number] = Revision{set.Spec.Template, set.CreationTimestamp}
		}
	}
	return revisions, nil
}

// controllerRevisions returns the templates in a workload's ControllerRevisions by revision. The data of a
// ControllerRevision is a patch that replaces the whole of .spec.template.
func (s *search) controllerRevisions(ctx context.Context, w workload,
	options metav1.ListOptions) (map[int64]Revision, error) {
	list, err := s.Client.AppsV1().ControllerRevisions(s.Namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	revisions := map[int64]Revision{}
	for i := range list.Items {
		revision := &list.Items[i]
		if !metav1.IsControlledBy(revision, &w.meta) {
			continue
		}
		var patch struct {
			Spec struct{ Template corev1.PodTemplateSpec }
		}
		if err := json.Unmarshal(revision.Data.Raw, &patch); err != nil {
			return nil, fmt.Errorf("controllerrevisions %q: %w", revision.Name, err)
		}
		revisions[revision.Revision] = Revision{patch.Spec.Template, revision.CreationTimestamp}
	}
	return revisions, nil
}
