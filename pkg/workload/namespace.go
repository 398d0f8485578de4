package workload

import (
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
)

// neighbours are what a namespace's labels mean something to.
type neighbours struct {
	isolation.NamespaceState
	workloads []workload // those with a selector of their own
	claimants []workload // those whose pods mount claims
}

// listing is a LIST of one resource. Its items are added to neighbours.
type listing struct {
	resource string // as the server names it in errors
	list     func(ctx context.Context, near *neighbours) error
}

// listSelectors makes every listing at once: one round trip. What could not be listed is in Unknown;
// the rest is there.
func listSelectors(ctx context.Context, client kubernetes.Interface, namespace string) neighbours {
	listings := listings(client, namespace)
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

// unlisted names every resource that could not be listed, with the server's words about the first.
func unlisted(listings []listing, errs []error) error {
	var names []string
	var first error
	for i, err := range errs {
		if err == nil {
			continue
		}
		names = append(names, listings[i].resource)
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return nil
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	return fmt.Errorf("%s cannot be listed: %w", strings.Join(names, ", "), first)
}

// listings are not narrowed. Of the ReplicaSets only few can match a clone, but their own labels do not tell
// which: it is the selector that has to require pod-template-hash. Of the Jobs status.successful=0, the only
// field there is, would leave out a running one some of whose pods have succeeded, and it still adopts.
func listings(client kubernetes.Interface, namespace string) []listing {
	core, apps := client.CoreV1(), client.AppsV1()
	return []listing{
		listed("services", core.Services(namespace).List, addServices),
		listed("poddisruptionbudgets.policy", client.PolicyV1().PodDisruptionBudgets(namespace).List,
			addBudgets),
		listed("networkpolicies.networking.k8s.io", client.NetworkingV1().NetworkPolicies(namespace).List,
			func(l *networkingv1.NetworkPolicyList, near *neighbours) error {
				near.Policies = l.Items
				return nil
			}),
		listed("deployments.apps", apps.Deployments(namespace).List,
			func(l *appsv1.DeploymentList,
				near *neighbours) error {
				return addAll(near, l.Items, ofDeployment)
			}),
		listed("statefulsets.apps", apps.StatefulSets(namespace).List,
			func(l *appsv1.StatefulSetList,
				near *neighbours) error {
				return addAll(near, l.Items, ofStatefulSet)
			}),
		listed("daemonsets.apps", apps.DaemonSets(namespace).List,
			func(l *appsv1.DaemonSetList,
				near *neighbours) error {
				return addAll(near, l.Items, ofDaemonSet)
			}),
		listed("replicationcontrollers", core.ReplicationControllers(namespace).List,
			func(l *corev1.ReplicationControllerList, near *neighbours) error {
				return addAll(near, l.Items, ofReplicationController)
			}),
		listed("replicasets.apps", apps.ReplicaSets(namespace).List,
			func(l *appsv1.ReplicaSetList,
				near *neighbours) error {
				return addAll(near, l.Items, ofReplicaSet)
			}),
		listed("jobs.batch", client.BatchV1().Jobs(namespace).List,
			func(l *batchv1.JobList, near *neighbours) error { return addAll(near, l.Items, ofJob) }),
	}
}

// listed reads from the API server's cache: resourceVersion 0.
func listed[L any](resource string, list func(context.Context, metav1.ListOptions) (*L, error),
	add func(*L, *neighbours) error) listing {
	return listing{resource, func(ctx context.Context, near *neighbours) error {
		found, err := list(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		return add(found, near)
	}}
}

func addServices(l *corev1.ServiceList, near *neighbours) error {
	for i := range l.Items {
		if selector, ok := isolation.OfService(&l.Items[i]); ok {
			near.Selectors = append(near.Selectors, selector)
		}
	}
	return nil
}

func addBudgets(l *policyv1.PodDisruptionBudgetList, near *neighbours) error {
	for i := range l.Items {
		selector, err := isolation.OfBudget(&l.Items[i])
		if err != nil {
			return err
		}
		near.Selectors = append(near.Selectors, selector)
	}
	return nil
}

func addAll[T any](near *neighbours, items []T, read func(*T) workload) error {
	for i := range items {
		if err := near.add(read(&items[i])); err != nil {
			return err
		}
	}
	return nil
}

func (n *neighbours) add(w workload) error {
	if isHashed(w) { // by its Deployment, which is there itself
		return nil
	}
	n.Selectors = append(n.Selectors, isolation.OfPlacement(w.kind, w.meta.Name, &w.template.Spec)...)
	if len(podClaims(w.template.Spec)) > 0 || len(w.claimTemplates) > 0 {
		n.claimants = append(n.claimants, w)
	}
	if !w.adopts {
		return nil
	}
	selector, err := isolation.OfController(w.kind, w.meta.Name, w.selector)
	if err != nil {
		return err
	}
	n.Selectors = append(n.Selectors, selector)
	n.workloads = append(n.workloads, w)
	return nil
}

// isHashed says of a ReplicaSet that it can match no clone: its selector requires the hash of a pod
// template, which no clone carries.
func isHashed(w workload) bool {
	return w.kind == "ReplicaSet" && w.selector != nil &&
		w.selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] != ""
}

// include adds the source itself, which may be newer than the cache, of a kind that is not listed,
// or not in the cluster yet.
func (n *neighbours) include(w workload) {
	var alone neighbours
	if err := alone.add(w); err != nil {
		n.unknown(err)
	}
	for _, own := range alone.Selectors {
		same := func(s isolation.Selector) bool {
			return s.String() == own.String() && s.Match.String() == own.Match.String()
		}
		if !slices.ContainsFunc(n.Selectors, same) {
			n.Selectors = append(n.Selectors, own)
		}
	}
}

// unknown keeps the first reason: one is enough to judge no label.
func (n *neighbours) unknown(err error) {
	if n.Unknown == nil {
		n.Unknown = err
	}
}

// includeOwner adds the controller of a pod whose kind is not listed. The others' selectors are
// there: those of a Deployment's ReplicaSets cannot match, and a Node adopts nothing.
func (s *search) includeOwner(ctx context.Context, w workload, near *neighbours) {
	owner := metav1.GetControllerOfNoCopy(&w.meta)
	if w.pod == nil || owner == nil || owner.Kind == "Node" && owner.APIVersion == "v1" {
		return
	}
	if _, listed := kindOf(ownerKind(owner)); listed {
		return
	}
	adopter, err := s.getOwner(ctx, owner)
	if err == nil && adopter.selector == nil {
		err = fmt.Errorf("it has no selector")
	}
	if err != nil {
		near.unknown(fmt.Errorf("the pod's controller %s %s may adopt by labels that are not known: %w",
			owner.Kind, owner.Name, err))
		return
	}
	near.include(adopter)
}
