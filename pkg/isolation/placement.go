package isolation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// OfPlacement returns the labels by which the scheduler places the pods of a workload: those of its required
// affinity to other pods or away from them, and of its topology spread. A clone that had them would keep
// production's pods Pending, or they would the clone, because such a rule holds both ways. Preferences are
// left out, and so are rules that look at a hash which no clone carries.
// https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
func OfPlacement(kind, name string, spec *corev1.PodSpec) []Selector {
	var selectors []Selector
	add := func(selector *metav1.LabelSelector, matchLabelKeys []string) {
		s, err := ofLabels(kind, name, selector)
		if err != nil || s.Match.Matches(labels.Set{}) || slices.ContainsFunc(matchLabelKeys,
			controllerLabels().has) {
			return // the server judges the first; what places itself by every pod cannot be escaped
		}
		s.Placement = true
		selectors = append(selectors, s)
	}
	for _, term := range requiredTerms(spec.Affinity) {
		add(term.LabelSelector, term.MatchLabelKeys)
	}
	for _, spread := range spec.TopologySpreadConstraints {
		if spread.WhenUnsatisfiable == corev1.DoNotSchedule {
			add(spread.LabelSelector, spread.MatchLabelKeys)
		}
	}
	return selectors
}

func requiredTerms(affinity *corev1.Affinity) []corev1.PodAffinityTerm {
	var terms []corev1.PodAffinityTerm
	if affinity != nil && affinity.PodAffinity != nil {
		terms = append(terms, affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
	}
	if affinity != nil && affinity.PodAntiAffinity != nil {
		terms = append(terms, affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
	}
	return terms
}
