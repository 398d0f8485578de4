package podgen

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The vocabulary is small, so that selectors and labels meet often.

func keys() []string {
	return []string{"app", "tier", "role", "track", "app.kubernetes.io/name"}
}

func values() []string { return []string{"api", "web", "db", ""} }

// given are labels that controllers give to their pods and count them by. No template has them.
func given() map[string]string {
	return map[string]string{
		"pod-template-hash":                  "7d4b9c6f5",
		"controller-revision-hash":           "api-7d4b9c6f5",
		"statefulset.kubernetes.io/pod-name": "api-0",
		"apps.kubernetes.io/pod-index":       "0",
		"batch.kubernetes.io/job-name":       "report",
		"batch.kubernetes.io/controller-uid": "0b7a8c5e-1111-4222-8333-444455556666",
		"job-name":                           "report",
		"controller-uid":                     "0b7a8c5e-1111-4222-8333-444455556666",
	}
}

// marks are labels that mean something to a queue, a GitOps tool, a mesh, a cloud or eshell.
func marks() map[string]string {
	return map[string]string{
		"kustomize.toolkit.fluxcd.io/name":      "shop",
		"helm.sh/chart":                         "api-1.2.3",
		"argocd.argoproj.io/instance":           "shop",
		"kueue.x-k8s.io/queue-name":             "batch",
		"pod-group.scheduling.sigs.k8s.io/name": "ring",
		"scheduling.x-k8s.io/pod-group":         "ring",
		"volcano.sh/queue-name":                 "batch",
		"sidecar.istio.io/inject":               "true",
		"azure.workload.identity/use":           "true",
		"app.kubernetes.io/managed-by":          "Helm",
		"kubectl-eshell.github.io/session":      "old01",
	}
}

func (g *generator) someLabels() map[string]string {
	made := map[string]string{}
	for _, key := range subset(g, 0.6, keys()...) {
		made[key] = pick(g, values()...)
	}
	for _, key := range subset(g, 0.1, sortedKeys(marks())...) {
		made[key] = marks()[key]
	}
	return made
}

// requirements are about different keys, so that some labels satisfy all of them.
func (g *generator) requirements(keys []string) []metav1.LabelSelectorRequirement {
	var made []metav1.LabelSelectorRequirement
	for _, key := range keys {
		r := metav1.LabelSelectorRequirement{Key: key,
			Operator: pick(g, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn,
				metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)}
		if r.Operator == metav1.LabelSelectorOpIn || r.Operator == metav1.LabelSelectorOpNotIn {
			r.Values = list(g, 1, 2, func(int) string { return pick(g, values()...) })
			r.Values = slices.Compact(r.Values)
		}
		made = append(made, r)
	}
	return made
}

// equalities are a selector as Services have it.
func (g *generator) equalities(most int) map[string]string {
	made := map[string]string{}
	for range g.between(1, most) {
		made[pick(g, keys()...)] = pick(g, values()...)
	}
	return made
}

// selector is any but the empty one, which selects everything.
func (g *generator) selector() *metav1.LabelSelector {
	if g.maybe(0.5) {
		return &metav1.LabelSelector{MatchLabels: g.equalities(2)}
	}
	chosen := keys()
	g.random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	s := &metav1.LabelSelector{MatchExpressions: g.requirements(chosen[:g.between(1, 2)])}
	if g.maybe(0.3) {
		s.MatchLabels = map[string]string{chosen[2]: pick(g, values()...)}
	}
	return s
}

// satisfying returns labels that the selector selects.
func satisfying(s *metav1.LabelSelector) map[string]string {
	made := map[string]string{}
	for key, value := range s.MatchLabels {
		made[key] = value
	}
	for _, r := range s.MatchExpressions {
		switch r.Operator {
		case metav1.LabelSelectorOpIn:
			made[r.Key] = r.Values[0]
		case metav1.LabelSelectorOpExists:
			made[r.Key] = values()[0]
		}
	}
	return made
}
