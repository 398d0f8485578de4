package isolation

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// OfService returns how a Service selects pods, or false if Kubernetes makes no endpoints for it. For a
// Service without a selector somebody else makes them, and a Service of type ExternalName has none. Source of
// the rule: the comment of ServiceSpec.Selector in k8s.io/api/core/v1.
func OfService(s *corev1.Service) (Selector, bool) {
	if len(s.Spec.Selector) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName {
		return Selector{}, false
	}
	return Selector{
		Kind:     "Service",
		Name:     s.Name,
		Match:    labels.SelectorFromSet(s.Spec.Selector),
		NotReady: s.Spec.PublishNotReadyAddresses,
	}, true
}

// OfBudget returns how a PodDisruptionBudget selects pods. An empty selector selects every pod of the
// namespace, and a missing one selects nothing. Source of the rule: the comment of
// PodDisruptionBudgetSpec.Selector in k8s.io/api/policy/v1. (An empty selector selected nothing in
// policy/v1beta1, which was removed in Kubernetes 1.25.) The error names the budget. It occurs because the
// server keeps invalid values that older versions accepted.
func OfBudget(b *policyv1.PodDisruptionBudget) (Selector, error) {
	return OfController("PodDisruptionBudget", b.Name, b.Spec.Selector)
}

// OfController returns how a controller of kind, as in the API, selects pods. A nil selector selects nothing
// and an empty one selects everything, as documented for metav1.LabelSelector. Controllers of the built-in
// kinds have neither, because the server refuses them. The error names the controller.
func OfController(kind, name string, selector *metav1.LabelSelector) (Selector, error) {
	s := Selector{Kind: kind, Name: name}
	match, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return Selector{}, fmt.Errorf("selector of %s: %w", s, err)
	}
	s.Match = match
	return s, nil
}

// Matching returns the selectors that match a pod with these labels, in the order of Selectors.
func (s NamespaceState) Matching(podLabels map[string]string) []Selector {
	var matching []Selector
	for _, selector := range s.Selectors {
		if selector.Match.Matches(labels.Set(podLabels)) {
			matching = append(matching, selector)
		}
	}
	return matching
}

// OfPlacement returns the label selectors by which the scheduler places the pods of a workload. These are the
// selectors of its required pod affinity and anti-affinity, and of its topology spread. A clone with such
// labels would keep production's pods Pending, or they would keep the clone Pending, because such a rule
// applies in both directions. Preferences are left out, and so are rules that use a hash that no clone
// carries.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
func OfPlacement(kind, name string, spec *corev1.PodSpec) []Selector {
	var selectors []Selector
	add := func(selector *metav1.LabelSelector, matchLabelKeys []string) {
		s, err := OfController(kind, name, selector)
		if err != nil || s.Match.Matches(labels.Set{}) || slices.ContainsFunc(matchLabelKeys,
			controllerLabels().has) {
			return // the server judges an error; a rule about every pod cannot be escaped
		}
		s.Placement = true
		selectors = append(selectors, s)
	}
	affinity := cmp.Or(spec.Affinity, &corev1.Affinity{})
	near := cmp.Or(affinity.PodAffinity, &corev1.PodAffinity{})
	away := cmp.Or(affinity.PodAntiAffinity, &corev1.PodAntiAffinity{})
	for _, term := range slices.Concat(near.RequiredDuringSchedulingIgnoredDuringExecution,
		away.RequiredDuringSchedulingIgnoredDuringExecution) {
		add(term.LabelSelector, term.MatchLabelKeys)
	}
	for _, spread := range spec.TopologySpreadConstraints {
		if spread.WhenUnsatisfiable == corev1.DoNotSchedule {
			add(spread.LabelSelector, spread.MatchLabelKeys)
		}
	}
	return selectors
}

// asks returns the keys of the labels that a pod must have for a selector to match, sorted. The selector's
// other requirements are met by the absence of a label. Dropping a label never breaks them, and may be what
// meets them.
func asks(s labels.Selector) []string {
	requirements, _ := s.Requirements() // none if it selects nothing
	var keys []string
	for _, r := range requirements {
		if needsLabel(r) {
			keys = appendNew(keys, r.Key())
		}
	}
	return keys
}

func needsLabel(r labels.Requirement) bool {
	switch r.Operator() {
	case selection.DoesNotExist, selection.NotIn, selection.NotEquals:
		return false
	}
	return true
}
