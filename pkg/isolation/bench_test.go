package isolation

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkSelectLabels judges the labels of a pod in a namespace with 1,000 Services, 500 policies and 2,000
// Jobs, of which few select it.
func BenchmarkSelectLabels(b *testing.B) {
	selector := func(n int) map[string]string {
		return map[string]string{"app": fmt.Sprint("app-", n), "instance": fmt.Sprint("app-", n)}
	}
	var state NamespaceState
	for n := range 1000 {
		s, _ := OfService(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("app-", n)},
			Spec: corev1.ServiceSpec{Selector: selector(n)}})
		state.Selectors = append(state.Selectors, s)
	}
	for n := range 2000 {
		s, err := OfController("Job", fmt.Sprint("job-", n), &metav1.LabelSelector{MatchLabels: selector(n)})
		if err != nil {
			b.Fatal(err)
		}
		state.Selectors = append(state.Selectors, s)
	}
	for n := range 500 {
		spec := networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: selector(n)}}
		state.Policies = append(state.Policies, networkingv1.NetworkPolicy{Spec: spec})
	}
	source := selector(7)
	for _, key := range []string{"tier", "part-of", "name", "version", "team"} {
		source[key] = "x"
	}
	for b.Loop() {
		if _, err := SelectLabels(source, state, LabelOptions{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
