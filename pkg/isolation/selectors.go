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

// OfService returns how a Service selects pods, or false where Kubernetes makes no endpoints for it:
// without a selector somebody else does, and type ExternalName has none. Source of the rule: the
// comment of ServiceSpec.Selector in k8s.io/api/core/v1.
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
// namespace and none at all selects nothing: the comment of PodDisruptionBudgetSpec.Selector in
// k8s.io/api/policy/v1. (An empty one selected nothing in policy/v1beta1, gone since Kubernetes 1.25.)
// The error names the budget; the server lets invalid values stay that older versions let in.
func OfBudget(b *policyv1.PodDisruptionBudget) (Selector, error) {
	return OfController("PodDisruptionBudget", b.Name, b.Spec.Selector)
}

// OfController returns how a controller of kind, as in the API, selects pods. A nil selector selects
// nothing and an empty one everything, as metav1.LabelSelector says of itself; the built-in kinds
// have neither, the server refuses them. The error names the controller.
func OfController(kind, name string, selector *metav1.LabelSelector) (Selector, error) {
	s := Selector{Kind: kind, Name: name}
	match, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return Selector{}, fmt.Errorf("selector of %s: %w", s, err)
	}
	s.Match = match
	return s, nil
}

// Matching returns the selectors that match a pod with these labels, in their order.
func (s NamespaceState) Matching(podLabels map[string]string) []Selector {
	var matching []Selector
	for _, selector := range s.Selectors {
		if selector.Match.Matches(labels.Set(podLabels)) {
			matching = append(matching, selector)
		}
	}
	return matching
}

// OfPlacement returns the labels by which the scheduler places the pods of a workload: those of its required
// affinity to other pods or away from them, and of its topology spread. A clone that had them would keep
// production's pods Pending, or they would the clone, because such a rule holds both ways. Preferences are
// left out, and so are rules that look at a hash which no clone carries.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
func OfPlacement(kind, name string, spec *corev1.PodSpec) []Selector {
	var selectors []Selector
	add := func(selector *metav1.LabelSelector, matchLabelKeys []string) {
		s, err := OfController(kind, name, selector)
		if err != nil || s.Match.Matches(labels.Set{}) || slices.ContainsFunc(matchLabelKeys,
			controllerLabels().has) {
			return // the server judges the first; what places itself by every pod cannot be escaped
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

// asks are the keys of the labels that a pod has to have for a selector to match, sorted. The selector's
// other requirements are met by a label's absence: taking the label away never breaks them, and may be what
// meets them.
func asks(s labels.Selector) []string {
	requirements, _ := s.Requirements() // none for one that selects nothing
	var keys []string
	for _, r := range requirements {
		switch r.Operator() {
		case selection.DoesNotExist, selection.NotIn, selection.NotEquals:
		default:
			keys = appendNew(keys, r.Key())
		}
	}
	return keys
}
