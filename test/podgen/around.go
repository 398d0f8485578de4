package podgen

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (g *generator) around() []runtime.Object {
	kinds := []func(metav1.ObjectMeta) runtime.Object{
		g.service, g.service, g.service, g.budget, g.networkPolicy, g.networkPolicy,
		g.replicaSet, g.otherDeployment, g.otherStatefulSet, g.replicationController,
	}
	return list(g, 0, 6, func(i int) runtime.Object {
		return pick(g, kinds...)(metav1.ObjectMeta{Name: fmt.Sprintf("other-%d", i)})
	})
}

// service may have no selector: then it selects nothing, its endpoints are somebody else's.
func (g *generator) service(meta metav1.ObjectMeta) runtime.Object {
	s := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Port: 80}}, PublishNotReadyAddresses: g.maybe(0.2)}}
	s.Spec.Selector = some(g, 0.9, func() map[string]string { return g.equalities(3) })
	return s
}

// budget may have an empty selector, which selects every pod, or none, which selects nothing.
func (g *generator) budget(meta metav1.ObjectMeta) runtime.Object {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: meta,
		Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(1)),
			Selector: g.selector()}}
	switch g.between(0, 20) {
	case 0:
		b.Spec.Selector = &metav1.LabelSelector{}
	case 1:
		b.Spec.Selector = nil
	}
	return b
}

func (g *generator) networkPolicy(meta metav1.ObjectMeta) runtime.Object {
	peers := func() []networkingv1.NetworkPolicyPeer {
		return list(g, 0, 2, func(int) networkingv1.NetworkPolicyPeer {
			if g.maybe(0.2) {
				return networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8",
					Except: []string{"10.1.0.0/16"}}}
			}
			return networkingv1.NetworkPolicyPeer{PodSelector: g.selector(),
				NamespaceSelector: some(g, 0.3, g.selector)}
		})
	}
	p := &networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: networkingv1.NetworkPolicySpec{
		Ingress: list(g, 0, 2, func(int) networkingv1.NetworkPolicyIngressRule {
			return networkingv1.NetworkPolicyIngressRule{From: peers()}
		}),
		Egress: list(g, 0, 1, func(int) networkingv1.NetworkPolicyEgressRule {
			return networkingv1.NetworkPolicyEgressRule{To: peers()}
		}),
	}}
	p.Spec.PolicyTypes = subset(g, 0.7, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	if g.maybe(0.8) {
		p.Spec.PodSelector = *g.selector()
	}
	return p
}

func (g *generator) replicaSet(meta metav1.ObjectMeta) runtime.Object {
	s := g.selector()
	return &appsv1.ReplicaSet{ObjectMeta: meta,
		Spec: appsv1.ReplicaSetSpec{Selector: s, Template: otherTemplate(s)}}
}

func (g *generator) otherDeployment(meta metav1.ObjectMeta) runtime.Object {
	s := g.selector()
	return &appsv1.Deployment{ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{Selector: s, Template: otherTemplate(s)}}
}

func (g *generator) otherStatefulSet(meta metav1.ObjectMeta) runtime.Object {
	s := g.selector()
	return &appsv1.StatefulSet{ObjectMeta: meta,
		Spec: appsv1.StatefulSetSpec{ServiceName: Name, Selector: s, Template: otherTemplate(s)}}
}

func (g *generator) replicationController(meta metav1.ObjectMeta) runtime.Object {
	s := &metav1.LabelSelector{MatchLabels: g.equalities(2)}
	return &corev1.ReplicationController{ObjectMeta: meta,
		Spec: corev1.ReplicationControllerSpec{Selector: s.MatchLabels, Template: new(otherTemplate(s))}}
}

func otherTemplate(s *metav1.LabelSelector) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: satisfying(s)},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "other", Image: "busybox"}}}}
}
