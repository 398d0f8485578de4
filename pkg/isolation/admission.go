package isolation

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// answer is whether a rule admits a pod.
type answer int

const (
	no answer = iota
	maybe
	yes
)

// admits says whether the rule, of a policy in namespace, admits a pod in the same namespace.
func (r rule) admits(namespace string, podLabels map[string]string) answer {
	if len(r.peers) == 0 {
		return yes
	}
	best := no
	for _, peer := range r.peers {
		best = max(best, admits(peer, namespace, podLabels))
	}
	return best
}

// admits says whether the peer means a pod. A pod's address is not known beforehand, nor whether an
// ipBlock sees it at all: NetworkPolicyPeer's documentation leaves that to the network.
func admits(peer networkingv1.NetworkPolicyPeer, namespace string, podLabels map[string]string) answer {
	switch {
	case peer.IPBlock != nil:
		return maybe
	case !podSelector(peer.PodSelector).Matches(labels.Set(podLabels)):
		return no
	case peer.NamespaceSelector != nil:
		return inNamespace(podSelector(peer.NamespaceSelector), namespace)
	case peer.PodSelector == nil: // a kind of peer that this version does not know
		return no
	}
	return yes
}

// inNamespace says whether s selects the namespace. Of its labels only one is known: reading a
// namespace takes rights in the whole cluster, which users of one namespace do not have, and the
// server gives each its name as a label.
func inNamespace(s labels.Selector, namespace string) answer {
	if labels.MatchesNothing(s) {
		return no
	}
	result := yes
	for _, r := range requirements(s) {
		switch {
		case r.Key() != corev1.LabelMetadataName:
			result = min(result, maybe)
		case !r.Matches(labels.Set{corev1.LabelMetadataName: namespace}):
			return no
		}
	}
	return result
}

// covers says whether p holds for every pod that other holds for: it asks for nothing more.
func (p policy) covers(other policy) bool {
	asked := map[string]bool{}
	for _, r := range requirements(other.pods) {
		asked[spelled(r)] = true
	}
	return !slices.ContainsFunc(requirements(p.pods), func(r labels.Requirement) bool { return !asked[spelled(r)] })
}

// spelled is one spelling for a requirement that has several: app=db is app in (db).
func spelled(r labels.Requirement) string {
	if !among(r) {
		return r.String()
	}
	return r.Key() + " in (" + strings.Join(r.Values().List(), ",") + ")"
}

func among(r labels.Requirement) bool {
	return r.Operator() == selection.In || r.Operator() == selection.Equals || r.Operator() == selection.DoubleEquals
}

// apartFrom says that no pod is held by both: they ask for different values of the same label.
func (p policy) apartFrom(other policy) bool {
	for _, a := range requirements(p.pods) {
		for _, b := range requirements(other.pods) {
			if a.Key() == b.Key() && among(a) && among(b) && !a.Values().HasAny(b.Values().List()...) {
				return true
			}
		}
	}
	return false
}

// coversPorts says whether each of the narrow ports is among the wide ones; no ports are all ports.
func coversPorts(wide, narrow []networkingv1.NetworkPolicyPort) bool {
	if len(wide) == 0 || len(narrow) == 0 {
		return len(wide) == 0
	}
	for _, n := range narrow {
		if !slices.ContainsFunc(wide, func(w networkingv1.NetworkPolicyPort) bool { return coversPort(w, n) }) {
			return false
		}
	}
	return true
}

func coversPort(wide, narrow networkingv1.NetworkPolicyPort) bool {
	switch {
	case protocol(wide) != protocol(narrow):
		return false
	case wide.Port == nil || narrow.Port == nil:
		return wide.Port == nil
	case wide.Port.Type == intstr.Int && narrow.Port.Type == intstr.Int:
		return wide.Port.IntVal <= narrow.Port.IntVal && lastPort(narrow) <= lastPort(wide)
	}
	return *wide.Port == *narrow.Port
}

func protocol(p networkingv1.NetworkPolicyPort) corev1.Protocol {
	if p.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return *p.Protocol
}

func lastPort(p networkingv1.NetworkPolicyPort) int32 {
	if p.EndPort == nil {
		return p.Port.IntVal
	}
	return *p.EndPort
}
