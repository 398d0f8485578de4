package podgen

import (
	"maps"
	"math/bits"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// labelRules: what counts or records the source is gone, what was wished is there, and no more keys
// are given up than it takes. The smallest number is found by trying all.
func labelRules(s sample) []string {
	var found []string
	patched := s.patchesLabels()
	for key, value := range s.fixed() {
		found = complain(found, s.pod.Labels[key] != value && !patched, "label %s is %q, not %q", key,
			s.pod.Labels[key], value)
	}
	for _, key := range sortedKeys(s.pod.Labels) {
		_, fixed := s.fixed()[key]
		found = complain(found, !fixed && !slices.Contains(s.loose(), key) && !patched, "label %s is there",
			key)
	}
	if s.Options.Labels.Keep || patched {
		return found
	}
	fewest, possible := s.fewest()
	found = complain(found, !possible, "no choice of labels is selected by nobody, but %v was made",
		s.pod.Labels)
	given := slices.DeleteFunc(s.loose(), func(key string) bool { _, has := s.pod.Labels[key]; return has })
	return complain(found, possible && len(given) != fewest, "%v are given up, %d would do", given, fewest)
}

func (c Case) patchesLabels() bool { return strings.Contains(c.Options.Overrides.Patch, "labels") }

// fixed are the clone's labels in any case.
func (c Case) fixed() map[string]string {
	set := maps.Clone(c.Options.Labels.Set)
	if set == nil {
		set = map[string]string{}
	}
	maps.Copy(set, owned.Labels(c.Options.Session))
	return set
}

// loose are the keys that may be kept or given up: not those that always go or that the user
// decided about.
func (c Case) loose() []string {
	return slices.DeleteFunc(sortedKeys(c.Target.Template.Labels), func(key string) bool {
		_, fixed := c.fixed()[key]
		return fixed || goes(key) || slices.Contains(c.Options.Labels.Drop, key)
	})
}

// goes reports the marks of controllers, GitOps tools and queues.
func goes(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	return slices.Contains([]string{"pod-template-hash", "controller-revision-hash", "job-name",
		"controller-uid", "statefulset.kubernetes.io",
		"apps.kubernetes.io", "batch.kubernetes.io", "kustomize.toolkit.fluxcd.io", "helm.sh",
		"argocd.argoproj.io",
		"kueue.x-k8s.io", "pod-group.scheduling.sigs.k8s.io", "scheduling.x-k8s.io", "volcano.sh"}, domain)
}

// fewest is how many keys have to be given up so that nothing selects the rest. Only those matter
// that a selector asks for.
func (c Case) fewest() (int, bool) {
	set, asked := c.fixed(), []string{}
	for _, key := range c.loose() {
		set[key] = c.Target.Template.Labels[key]
		if slices.ContainsFunc(c.Target.NamespaceState.Selectors,
			func(s isolation.Selector) bool { return asks(s.Match, key) }) {
			asked = append(asked, key)
		}
	}
	best := -1
	for mask := range 1 << len(asked) {
		rest := maps.Clone(set)
		for i, key := range asked {
			if mask&(1<<i) != 0 {
				delete(rest, key)
			}
		}
		if given := bits.OnesCount(uint(mask)); !selected(c.Target, rest) && (best < 0 || given < best) {
			best = given
		}
	}
	return best, best >= 0
}

func asks(s labels.Selector, key string) bool {
	requirements, _ := s.Requirements()
	return slices.ContainsFunc(requirements, func(r labels.Requirement) bool { return r.Key() == key })
}

func selected(t *workload.Workload, set map[string]string) bool {
	return slices.ContainsFunc(t.NamespaceState.Selectors,
		func(s isolation.Selector) bool { return s.Match.Matches(labels.Set(set)) })
}

// labelsRefusable reports that no clone can be made with these labels: something selects it
// whatever is given up, or what is kept lets somebody take it for its own.
func (c Case) labelsRefusable() bool {
	if c.Options.Labels.Keep {
		return slices.ContainsFunc(c.Target.NamespaceState.Selectors, takes)
	}
	_, possible := c.fewest()
	return !possible
}

// takes reports a selector that does more than count: a Service that sends traffic to pods that are
// not ready, a controller that adopts pods of any name.
func takes(s isolation.Selector) bool {
	return s.NotReady || s.Kind == "ReplicaSet" || s.Kind == "ReplicationController"
}

func usedOnce(c workload.Claim) bool {
	return len(c.Users) > 0 && slices.Contains(c.Spec.AccessModes, corev1.ReadWriteOncePod)
}
