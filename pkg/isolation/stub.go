package isolation

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func Judge(source map[string]string, s Surroundings, w Wish, own map[string]string) (Verdict, error) {
	return Verdict{Labels: own}, nil
}
func (s Surroundings) Matching(labels map[string]string) []Selector { return nil }
func Consequences(policies []networkingv1.NetworkPolicy, source, clone map[string]string) []string {
	return nil
}

func IsMark(key string) bool { return false }

func OfService(s *corev1.Service) (Selector, bool)               { return Selector{}, false }
func OfBudget(s *policyv1.PodDisruptionBudget) (Selector, error) { return Selector{}, nil }
func OfController(kind, name string, s *metav1.LabelSelector) (Selector, error) {
	return Selector{}, nil
}
