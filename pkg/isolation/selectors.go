package isolation

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
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
	return ofLabels("PodDisruptionBudget", b.Name, b.Spec.Selector)
}

// OfController returns how a controller of kind, as in the API, selects pods. A nil selector selects
// nothing and an empty one everything, as metav1.LabelSelector says of itself; the built-in kinds
// have neither, the server refuses them. The error names the controller.
func OfController(kind, name string, selector *metav1.LabelSelector) (Selector, error) {
	return ofLabels(kind, name, selector)
}

func ofLabels(kind, name string, selector *metav1.LabelSelector) (Selector, error) {
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
