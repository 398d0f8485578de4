package isolation

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// policy is a NetworkPolicy with its two kinds of rules made alike.
type policy struct {
	name, namespace string
	pods            labels.Selector
	rules           map[networkingv1.PolicyType][]rule // no entry: it does not restrict this direction
}

// rule allows traffic with peers, or with everyone where there are none.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func readPolicy(p networkingv1.NetworkPolicy) policy {
	read := policy{p.Name, p.Namespace, podSelector(&p.Spec.PodSelector), map[networkingv1.PolicyType][]rule{}}
	for _, direction := range directions(p.Spec) {
		read.rules[direction] = rulesOf(p.Spec, direction)
	}
	return read
}

// directions are those that the policy restricts. The default is the server's: the comment of
// NetworkPolicySpec.PolicyTypes in k8s.io/api/networking/v1.
func directions(spec networkingv1.NetworkPolicySpec) []networkingv1.PolicyType {
	switch {
	case len(spec.PolicyTypes) > 0:
		return spec.PolicyTypes
	case len(spec.Egress) > 0:
		return bothDirections()
	}
	return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
}

func bothDirections() []networkingv1.PolicyType {
	return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
}

func rulesOf(spec networkingv1.NetworkPolicySpec, direction networkingv1.PolicyType) []rule {
	var rules []rule
	if direction == networkingv1.PolicyTypeIngress {
		for _, r := range spec.Ingress {
			rules = append(rules, rule{r.From, r.Ports})
		}
		return rules
	}
	for _, r := range spec.Egress {
		rules = append(rules, rule{r.To, r.Ports})
	}
	return rules
}

// podSelector reads a selector; nil is no restriction. One that cannot be read, which only versions
// of the server that are gone let in, compares with values that no label can have: it selects nothing.
func podSelector(s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return labels.Everything()
	}
	read, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return read
}

// selects says whether the policy restricts a pod in a direction.
func (p policy) selects(direction networkingv1.PolicyType, podLabels map[string]string) bool {
	_, restricts := p.rules[direction]
	return restricts && p.pods.Matches(labels.Set(podLabels))
}

// mentioning counts the policies that select pods by one of the keys, as their own or as a peer.
func mentioning(policies []networkingv1.NetworkPolicy, keys []string) int {
	count := 0
	for _, p := range policies {
		if mentions(p.Spec, keys) {
			count++
		}
	}
	return count
}

func mentions(spec networkingv1.NetworkPolicySpec, keys []string) bool {
	selectors := []*metav1.LabelSelector{&spec.PodSelector}
	for _, direction := range bothDirections() {
		for _, r := range rulesOf(spec, direction) {
			for _, peer := range r.peers {
				selectors = append(selectors, peer.PodSelector)
			}
		}
	}
	return slices.ContainsFunc(selectors, func(s *metav1.LabelSelector) bool {
		return slices.ContainsFunc(requirements(podSelector(s)), func(r labels.Requirement) bool {
			return slices.Contains(keys, r.Key())
		})
	})
}
