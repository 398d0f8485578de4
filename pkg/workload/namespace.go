package workload

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
)

// neighbours holds the objects in a namespace to which labels matter.
type neighbours struct {
	isolation.NamespaceState
	workloads []workload // those that can be the one behind a Service
	claimants []workload // workloads whose pods mount claims
}

// listing is a LIST request for one resource. Its items are added to neighbours.
type listing struct {
	resource string // as the server names it in errors
	list     func(ctx context.Context, near *neighbours) error
}

// listSelectors makes all listings at once, in one round trip. Unknown names the resources that could not be
// listed. The result holds the rest.
func listSelectors(ctx context.Context, cluster Cluster, namespace string) neighbours {
	listings := listings(cluster, namespace)
	parts, errs := make([]neighbours, len(listings)), make([]error, len(listings))
	var listed sync.WaitGroup
	for i, l := range listings {
		listed.Go(func() { errs[i] = l.list(ctx, &parts[i]) })
	}
	listed.Wait()
	var near neighbours
	for _, part := range parts {
		near.Selectors = append(near.Selectors, part.Selectors...)
		near.Policies = append(near.Policies, part.Policies...)
		near.workloads = append(near.workloads, part.workloads...)
		near.claimants = append(near.claimants, part.claimants...)
	}
	near.Unknown = unlisted(listings, errs)
	return near
}

// unlisted returns an error that names the resources that could not be listed, with the server's message
// about the first. It names at most three resources and counts the others.
func unlisted(listings []listing, errs []error) error {
	var names []string
	for i, err := range errs {
		if err != nil {
			names = append(names, listings[i].resource)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	return fmt.Errorf("%s cannot be listed: %w", strings.Join(names, ", "), cmp.Or(errs...))
}

func listings(cluster Cluster, namespace string) []listing {
	client := cluster.Client
	core, apps := client.CoreV1(), client.AppsV1()
	return []listing{
		listed("services", core.Services(namespace).List),
		listed("poddisruptionbudgets.policy", client.PolicyV1().PodDisruptionBudgets(namespace).List),
		listed("networkpolicies.networking.k8s.io", client.NetworkingV1().NetworkPolicies(namespace).List),
		listed("deployments.apps", apps.Deployments(namespace).List),
		listed("statefulsets.apps", apps.StatefulSets(namespace).List),
		listed("daemonsets.apps", apps.DaemonSets(namespace).List),
		listed("replicationcontrollers", core.ReplicationControllers(namespace).List),
		listedScarcely(scarceReplicaSets(), cluster.Tables, namespace, apps.ReplicaSets(namespace)),
		listedScarcely(scarceJobs(), cluster.Tables, namespace, client.BatchV1().Jobs(namespace)),
	}
}

// listed reads from the API server's cache, with resourceVersion 0.
func listed[L runtime.Object](resource string,
	list func(context.Context, metav1.ListOptions) (L, error)) listing {
	return listing{resource, func(ctx context.Context, near *neighbours) error {
		found, err := list(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		return meta.EachListItem(found, near.take)
	}}
}

// take adds an item of a list. It has a case for each of the listings.
func (n *neighbours) take(object runtime.Object) error {
	switch o := object.(type) {
	case *corev1.Service:
		if selector, ok := isolation.OfService(o); ok {
			n.Selectors = append(n.Selectors, selector)
		}
	case *policyv1.PodDisruptionBudget:
		selector, err := isolation.OfBudget(o)
		if err != nil {
			return err
		}
		n.Selectors = append(n.Selectors, selector)
	case *networkingv1.NetworkPolicy:
		n.Policies = append(n.Policies, *o)
	case *appsv1.Deployment:
		return n.add(ofDeployment(o))
	case *appsv1.StatefulSet:
		return n.add(ofStatefulSet(o))
	case *appsv1.DaemonSet:
		return n.add(ofDaemonSet(o))
	case *corev1.ReplicationController:
		return n.add(ofReplicationController(o))
	case *appsv1.ReplicaSet:
		return n.add(ofReplicaSet(o))
	case *batchv1.Job:
		if !hasFinished(o) {
			return n.add(ofJob(o))
		}
	}
	return nil
}

// hasFinished reports whether a Job has finished, for good. All of its pods have ended then, and its
// controller adopts none any more.
// https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/job/job_controller.go#L977
func hasFinished(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) &&
			c.Status == corev1.ConditionTrue
	})
}

func (n *neighbours) add(w workload) error {
	// A ReplicaSet of a Deployment is left out, because the Deployment itself is listed. Such a ReplicaSet
	// can match no clone, because its selector requires the hash of a pod template, which no clone carries.
	if w.kind == "ReplicaSet" && w.selector != nil {
		if _, has := w.selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey]; has {
			return nil
		}
	}
	n.Selectors = append(n.Selectors, isolation.OfPlacement(w.kind, w.meta.Name, &w.template.Spec)...)
	if len(podClaims(w.template.Spec)) > 0 || len(w.claimTemplates) > 0 {
		n.claimants = append(n.claimants, w)
	}
	if w.serves() {
		n.workloads = append(n.workloads, w)
	}
	if !w.adopts {
		return nil
	}
	selector, err := isolation.OfController(w.kind, w.meta.Name, w.selector)
	if err != nil {
		return err
	}
	n.Selectors = append(n.Selectors, selector)
	return nil
}

// include adds a workload that might not have been listed, such as the source. It may be newer than the
// cache, of a kind that is not listed, or not in the cluster yet.
func (n *neighbours) include(w workload) {
	var alone neighbours
	n.Unknown = cmp.Or(n.Unknown, alone.add(w)) // with one error, no label can be judged
	for _, own := range alone.Selectors {
		same := func(s isolation.Selector) bool {
			return s.Kind == own.Kind && s.Name == own.Name && s.Placement == own.Placement &&
				s.Match.String() == own.Match.String()
		}
		if !slices.ContainsFunc(n.Selectors, same) {
			n.Selectors = append(n.Selectors, own)
		}
	}
}

// includeOwner adds the controller of a pod if its kind is not listed. The selectors of the other controllers
// are already there. The ReplicaSets of a Deployment cannot match, and a Node adopts nothing.
func (s *search) includeOwner(ctx context.Context, w workload, near *neighbours) {
	owner := metav1.GetControllerOfNoCopy(&w.meta)
	if w.pod == nil || owner == nil || owner.Kind == "Node" && owner.APIVersion == "v1" {
		return
	}
	kind := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind)
	if _, listed := kindOf(kind); listed {
		return
	}
	adopter, err := s.getOwner(ctx, kind, owner.Name)
	if err == nil && adopter.selector == nil {
		err = fmt.Errorf("it has no selector")
	}
	if err != nil {
		near.Unknown = cmp.Or(near.Unknown,
			fmt.Errorf("the pod's controller %s %s may adopt by labels that are not known: %w", owner.Kind,
				owner.Name, err))
		return
	}
	near.include(adopter)
}
