package isolation

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The builders make valid objects in the namespace shop from kubectl's notation of labels and
// selectors ("app=api,tier in (web, db),!canary"), so that a test states only what it is about.

func set(words string) map[string]string {
	parsed, err := labels.ConvertSelectorToLabelsMap(words)
	if err != nil {
		panic(err)
	}
	return parsed
}

func labelSelector(words string) *metav1.LabelSelector {
	parsed, err := metav1.ParseToLabelSelector(words)
	if err != nil {
		panic(err)
	}
	return parsed
}

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: "shop"} }

func service(name, selector string, changes ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Selector: set(selector)}}
	for _, change := range changes {
		change(s)
	}
	return s
}

func notReady(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }

func budget(name string, selector *metav1.LabelSelector) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{ObjectMeta: meta(name),
		Spec: policyv1.PodDisruptionBudgetSpec{Selector: selector}}
}

// around are the selectors of a namespace in the notation "service/api: app=api".
func around(words ...string) NamespaceState {
	var s NamespaceState
	for _, word := range words {
		s.Selectors = append(s.Selectors, selecting(word))
	}
	return s
}

func selecting(words string) Selector {
	object, selector, _ := strings.Cut(words, ": ")
	kind, name, _ := strings.Cut(object, "/")
	match, err := labels.Parse(selector)
	if err != nil {
		panic(err)
	}
	return Selector{Kind: kind, Name: strings.TrimPrefix(name, "notready-"), Match: match,
		NotReady: strings.HasPrefix(name, "notready-")}
}

func (s NamespaceState) with(policies ...networkingv1.NetworkPolicy) NamespaceState {
	s.Policies = policies
	return s
}

// networkPolicy restricts the ingress of the pods of a selector, and lets nobody in.
func networkPolicy(name, selector string,
	changes ...func(*networkingv1.NetworkPolicySpec)) networkingv1.NetworkPolicy {
	p := networkingv1.NetworkPolicy{ObjectMeta: meta(name),
		Spec: networkingv1.NetworkPolicySpec{PodSelector: *labelSelector(selector)}}
	for _, change := range changes {
		change(&p.Spec)
	}
	return p
}

type peer = networkingv1.NetworkPolicyPeer

func from(peers ...peer) func(*networkingv1.NetworkPolicySpec) {
	return func(s *networkingv1.NetworkPolicySpec) {
		s.Ingress = append(s.Ingress, networkingv1.NetworkPolicyIngressRule{From: peers})
	}
}

func to(peers ...peer) func(*networkingv1.NetworkPolicySpec) {
	return func(s *networkingv1.NetworkPolicySpec) {
		s.Egress = append(s.Egress, networkingv1.NetworkPolicyEgressRule{To: peers})
	}
}

func podsWith(selector string) peer { return peer{PodSelector: labelSelector(selector)} }

func podsIn(namespaces, selector string) peer {
	return peer{NamespaceSelector: labelSelector(namespaces), PodSelector: labelSelector(selector)}
}

func equal(t *testing.T, name, what string, got, want any) {
	t.Helper()
	if g, w := dump(got), dump(want); g != w {
		t.Errorf("%s: %s =\n%s\nwant\n%s", name, what, g, w)
	}
}
