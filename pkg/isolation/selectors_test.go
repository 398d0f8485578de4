package isolation

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOfService(t *testing.T) {
	tests := []struct {
		name    string
		service *corev1.Service
		want    string // empty: it selects nothing
	}{
		{"a selector", service("api", "b=2,a=1"), "service/api: a=1,b=2 false"},
		{"not ready pods too", service("api", "a=1", notReady), "service/api: a=1 true"},
		{"no selector", service("api", ""), ""},
		{"a name elsewhere",
			service("api", "a=1", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }),
			""},
	}
	for _, tt := range tests {
		got := ""
		if s, ok := OfService(tt.service); ok {
			got = fmt.Sprintf("%s: %s %t", s, s.Match, s.NotReady)
		}
		equal(t, tt.name, "selector", got, tt.want)
	}
}

func TestOfBudgetAndController(t *testing.T) {
	tests := []struct {
		name     string
		selector *metav1.LabelSelector
		matches  []string // of the labels "", "a=1", "a=2" and "b=1"
	}{
		{"none", nil, nil},
		{"empty", &metav1.LabelSelector{}, []string{"", "a=1", "a=2", "b=1"}},
		{"equality", labelSelector("a=1"), []string{"a=1"}},
		{"expressions", labelSelector("a notin (1),!b"), []string{"", "a=2"}},
	}
	for _, tt := range tests {
		b, err := OfBudget(budget("x", tt.selector))
		if err != nil || b.String() != "poddisruptionbudget/x" {
			t.Errorf("%s: budget %s: %v", tt.name, b, err)
		}
		c, err := OfController("CloneSet", "x", tt.selector)
		if err != nil || c.String() != "cloneset/x" {
			t.Errorf("%s: controller %s: %v", tt.name, c, err)
		}
		s := NamespaceState{Selectors: []Selector{b, c}}
		var matches []string
		for _, pod := range []string{"", "a=1", "a=2", "b=1"} {
			if matching := s.Matching(set(pod)); len(matching) == 2 {
				matches = append(matches, pod)
			} else if len(matching) != 0 {
				t.Errorf("%s: of the same selectors only %v matches", tt.name, names(matching))
			}
		}
		equal(t, tt.name, "matches", matches, tt.matches)
	}
}

// What an old server has let in is named, not passed over.
func TestUnreadableSelectors(t *testing.T) {
	bad := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "no label's value!"}}
	_, err := OfBudget(&policyv1.PodDisruptionBudget{ObjectMeta: meta("old"),
		Spec: policyv1.PodDisruptionBudgetSpec{Selector: bad}})
	if err == nil || !strings.HasPrefix(err.Error(), "selector of poddisruptionbudget/old: ") {
		t.Errorf("budget: %v", err)
	}
	_, err = OfController("DaemonSet", "old", bad)
	if err == nil || !strings.HasPrefix(err.Error(), "selector of daemonset/old: ") {
		t.Errorf("controller: %v", err)
	}
}
