// Package netpol compares a clone with its source under the NetworkPolicies of their namespace. It states
// facts about rules and leaves the consequences to the network. It does not know whether a policy is enforced
// at all, which address a pod gets, or which labels other namespaces have.
// https://kubernetes.io/docs/concepts/services-networking/network-policies/
package netpol

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// comparison holds the labels of a source and its clone, and the policies under which they are compared.
type comparison struct {
	policies      []policy
	source, clone labels.Set
}

// policy is a NetworkPolicy with its parsed pod selector, and that as text.
type policy struct {
	networkingv1.NetworkPolicy
	pods     labels.Selector
	selector string
}

// Differences returns what differs for a clone that has other labels than its source: which policies select
// only one of the two, and which ingress rules let only one of the two reach other pods. Each difference is a
// sentence without a full stop and is stated once. The differences are sorted by the policy's name.
// Differences leaves out which pods are allowed to reach the clone by their egress rules, because the clone
// serves nothing.
func Differences(policies []networkingv1.NetworkPolicy, source, clone map[string]string) []string {
	c := comparison{source: source, clone: clone}
	for _, p := range policies {
		if pods := podSelector(&p.Spec.PodSelector); !labels.MatchesNothing(pods) {
			c.policies = append(c.policies, policy{p, pods, pods.String()})
		}
	}
	slices.SortStableFunc(c.policies, func(a, b policy) int { return cmp.Compare(a.Name, b.Name) })
	var sentences []string
	for _, p := range c.policies {
		for _, sentence := range slices.Concat(c.selected(p),
			c.reached(p, c.source, c.clone, "this clone is not one of them"),
			c.reached(p, c.clone, c.source, "this clone is one of them, the original is not")) {
			if !slices.Contains(sentences, sentence) {
				sentences = append(sentences, sentence)
			}
		}
	}
	return sentences
}

// selected returns a sentence if p selects only one of source and clone.
func (c comparison) selected(p policy) []string {
	source, clone := p.pods.Matches(c.source), p.pods.Matches(c.clone)
	if source == clone {
		return nil
	}
	var directions []string
	for _, direction := range directionsOf(p.Spec) {
		directions = append(directions, strings.ToLower(string(direction)))
	}
	sentence := "policy %s selects the original and not the clone: its %s rules do not apply to the clone"
	if clone {
		sentence = "policy %s selects the clone and not the original: its %s rules apply to the clone"
	}
	return []string{fmt.Sprintf(sentence, p.Name, words.List(directions, "and"))}
}

// reached returns a sentence for each rule of p that lets in the pod one and not the pod other. It leaves out
// a rule if any rule for the same pods and ports lets other in. Each sentence ends with end.
func (c comparison) reached(p policy, one, other labels.Set, end string) []string {
	var sentences []string
	for _, rule := range p.ingress() {
		var peers []string
		for _, peer := range rule.From {
			if peerAdmits(p, peer, one) && !slices.Contains(peers, peerWords(peer)) {
				peers = append(peers, peerWords(peer))
			}
		}
		if len(peers) > 0 && !c.admitted(p, rule.Ports, other) { // few rules are compared with all others
			sentences = append(sentences, fmt.Sprintf("policy %s lets %s reach %s%s: %s",
				p.Name, words.List(peers, "or"), words.Selected("pod", p.pods), portWords(rule.Ports), end))
		}
	}
	return sentences
}

// admitted reports whether a rule for the pods of p, or for every pod, lets a pod in at these ports or at all
// ports.
func (c comparison) admitted(p policy, ports []networkingv1.NetworkPolicyPort, pod labels.Set) bool {
	for _, q := range c.policies {
		lets := func(rule networkingv1.NetworkPolicyIngressRule) bool {
			atPorts := len(rule.Ports) == 0 || equality.Semantic.DeepEqual(rule.Ports, ports)
			return atPorts && admits(q, rule, pod)
		}
		forPods := q.pods.Empty() || q.selector == p.selector
		if forPods && slices.ContainsFunc(q.ingress(), lets) {
			return true
		}
	}
	return false
}

// ingress returns p's ingress rules, or nil if p does not restrict ingress.
func (p policy) ingress() []networkingv1.NetworkPolicyIngressRule {
	if slices.Contains(directionsOf(p.Spec), networkingv1.PolicyTypeIngress) {
		return p.Spec.Ingress
	}
	return nil
}

// directionsOf returns the directions that the policy restricts. The default is the server's. Source of the
// rule: the comment of NetworkPolicySpec.PolicyTypes in k8s.io/api/networking/v1.
func directionsOf(spec networkingv1.NetworkPolicySpec) []networkingv1.PolicyType {
	switch {
	case len(spec.PolicyTypes) > 0:
		return spec.PolicyTypes
	case len(spec.Egress) > 0:
		return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	}
	return []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
}

// admits reports whether a rule of p lets in a pod of p's namespace, judged by the pod's labels.
func admits(p policy, rule networkingv1.NetworkPolicyIngressRule, pod labels.Set) bool {
	return len(rule.From) == 0 || slices.ContainsFunc(rule.From,
		func(peer networkingv1.NetworkPolicyPeer) bool {
			return peerAdmits(p, peer, pod)
		})
}

// peerAdmits reports whether a peer of p includes a pod of p's namespace. It assumes that a namespace
// selector selects the namespace unless it requires another name. Of the namespace's labels only the name is
// known, because reading a namespace takes cluster-wide rights.
func peerAdmits(p policy, peer networkingv1.NetworkPolicyPeer, pod labels.Set) bool {
	if peer.PodSelector == nil && peer.NamespaceSelector == nil { // an address, or a future kind of peer
		return false
	}
	if peer.PodSelector != nil && !has(pod, peer.PodSelector.MatchLabels) {
		return false // as most do; to parse a selector takes longer
	}
	namespaces := podSelector(peer.NamespaceSelector)
	requirements, _ := namespaces.Requirements()
	for _, r := range requirements {
		if r.Key() == corev1.LabelMetadataName &&
			!r.Matches(labels.Set{corev1.LabelMetadataName: p.Namespace}) {
			return false
		}
	}
	return !labels.MatchesNothing(namespaces) && podSelector(peer.PodSelector).Matches(pod)
}

func has(pod labels.Set, wanted map[string]string) bool {
	for key, value := range wanted {
		if own, ok := pod[key]; !ok || own != value {
			return false
		}
	}
	return true
}

// podSelector parses a selector. A nil selector is no restriction. One that cannot be parsed selects nothing,
// because it compares with values that no label can have. Only former versions of the server accepted such
// selectors.
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

func peerWords(peer networkingv1.NetworkPolicyPeer) string {
	pods := words.Selected("pod", podSelector(peer.PodSelector))
	if peer.NamespaceSelector == nil {
		return pods
	}
	return pods + " in " + words.Selected("namespace", podSelector(peer.NamespaceSelector))
}

// portWords names the ports of a rule, such as " on port 5432". It returns "" for all ports.
func portWords(ports []networkingv1.NetworkPolicyPort) string {
	if len(ports) == 0 {
		return ""
	}
	items := make([]string, len(ports))
	for i, p := range ports {
		items[i] = "*"
		if p.Port != nil {
			items[i] = p.Port.String()
		}
		if p.EndPort != nil {
			items[i] += "-" + strconv.Itoa(int(*p.EndPort))
		}
		if p.Protocol != nil && *p.Protocol != corev1.ProtocolTCP {
			items[i] += "/" + string(*p.Protocol)
		}
	}
	return " on " + words.Plural(len(items), "port ", "ports ") + words.List(items, "and")
}
