package podgen

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// find completes the target with what else eshell reads.
func (g *generator) find(c *Case) {
	t := c.Target
	t.Name = Name
	t.Container = pick(g, t.Template.Spec.Containers...).Name
	t.Access = workload.Access{DeletePods: true, WatchPods: true, ExecPods: g.maybe(0.9), AttachPods: true}
	t.NamespaceState = surroundings(append([]runtime.Object{c.Workload}, c.Around...))
	for _, name := range claimNames() {
		t.Claims = append(t.Claims, g.found(name))
	}
	for _, template := range t.ClaimTemplates {
		t.Claims = append(t.Claims, g.found(template.Name+"-"+Name+"-0"))
	}
	t.Running = map[string]string{}
	for _, container := range t.Template.Spec.Containers {
		t.Running[container.Name] = "api@sha256:" + digest
	}
}

// Live is the case of the workload's pod as it is in the cluster, with all that a server has filled
// in. The options that only its workload has a meaning for are left out.
func (c Case) Live(pod *corev1.Pod) Case {
	live := *c.Target
	live.Kind, live.ClaimTemplates = "Pod", nil
	live.Template = corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
	c.Options.Components.Ordinal = nil
	return Case{Workload: pod, Pod: pod, Around: c.Around, Target: &live, Options: c.Options}
}

func (g *generator) found(claim string) workload.Claim {
	return workload.Claim{Name: claim, Spec: new(g.claimSpec()),
		Users: list(g, 0, 2, func(i int) workload.User {
			return workload.User{Pod: fmt.Sprintf("%s-%d", Name, i), Node: pick(g, Node, "")}
		})}
}

// surroundings reads the selectors of objects, by the rules of their kinds.
func surroundings(objects []runtime.Object) isolation.NamespaceState {
	var s isolation.NamespaceState
	for _, object := range objects {
		if policy, ok := object.(*networkingv1.NetworkPolicy); ok {
			s.Policies = append(s.Policies, *policy)
		} else if selector := selectorOf(object); selector.Match != nil {
			selector.Name = object.(metav1.Object).GetName()
			s.Selectors = append(s.Selectors, selector)
		}
	}
	return s
}

func selectorOf(object runtime.Object) isolation.Selector {
	switch o := object.(type) {
	case *corev1.Service:
		return isolation.Selector{Kind: "Service", Match: equal(o.Spec.Selector),
			NotReady: o.Spec.PublishNotReadyAddresses}
	case *policyv1.PodDisruptionBudget:
		return isolation.Selector{Kind: "PodDisruptionBudget", Match: parsed(o.Spec.Selector)}
	case *appsv1.Deployment:
		return isolation.Selector{Kind: "Deployment", Match: parsed(o.Spec.Selector)}
	case *appsv1.ReplicaSet:
		return isolation.Selector{Kind: "ReplicaSet", Match: parsed(o.Spec.Selector)}
	case *appsv1.StatefulSet:
		return isolation.Selector{Kind: "StatefulSet", Match: parsed(o.Spec.Selector)}
	case *corev1.ReplicationController:
		return isolation.Selector{Kind: "ReplicationController", Match: equal(o.Spec.Selector)}
	}
	return isolation.Selector{}
}

// equal is a Service's or a ReplicationController's selector: an empty one selects nothing.
func equal(set map[string]string) labels.Selector {
	if len(set) == 0 {
		return labels.Nothing()
	}
	return labels.SelectorFromSet(set)
}

// parsed panics on a selector that is invalid: the generator made it.
func parsed(s *metav1.LabelSelector) labels.Selector {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		panic(err)
	}
	return selector
}
