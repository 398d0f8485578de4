package podgen

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/target"
)

// labelRules: what counts or records the source is gone, what was wished is there, and of the
// vocabulary no more keys are given up than it takes. The smallest number is found by trying all.
func labelRules(s sample) []string {
	var found []string
	wish := s.Options.Labels
	for _, key := range always() {
		_, has := s.pod.Labels[key]
		found = complain(found, has, "label %s is the controller's", key)
	}
	for key, value := range owned.Labels(s.Options.Session) {
		found = complain(found, s.pod.Labels[key] != value, "label %s is %q", key, s.pod.Labels[key])
	}
	for key, value := range wish.Set {
		found = complain(found, s.pod.Labels[key] != value && s.Options.Overrides.Patch == "", "label %s=%s was wished, it is %q", key, value, s.pod.Labels[key])
	}
	for _, key := range wish.Drop {
		_, has := s.pod.Labels[key]
		_, set := wish.Set[key]
		found = complain(found, has && !set && owned.Labels("")[key] == "" && s.Options.Overrides.Patch == "", "label %s was to be dropped", key)
	}
	if wish.Keep {
		return found
	}
	fewest, possible := s.fewest()
	found = complain(found, !possible, "no choice of labels is selected by nobody, but %v was made", s.pod.Labels)
	return complain(found, possible && len(s.givenUp()) != fewest && s.Options.Overrides.Patch == "", "%v are given up, %d would do", s.givenUp(), fewest)
}

// givenUp are the words of the vocabulary that the clone does not carry and that it had to choose.
func (s sample) givenUp() []string {
	return slices.DeleteFunc(s.choices(), func(key string) bool { _, has := s.pod.Labels[key]; return has })
}

// choices are the keys that may be kept or given up: not those that always go or that the user
// decided about.
func (c Case) choices() []string {
	wish := c.Options.Labels
	return slices.DeleteFunc(sortedKeys(c.Target.Template.Labels), func(key string) bool {
		_, set := wish.Set[key]
		return set || slices.Contains(wish.Drop, key) || !slices.Contains(keys(), key)
	})
}

// fewest is how many of the choices have to be given up so that nothing selects the rest.
func (c Case) fewest() (int, bool) {
	choices, best := c.choices(), -1
	for mask := range 1 << len(choices) {
		set, given := c.fixed(), 0
		for i, key := range choices {
			if mask&(1<<i) != 0 {
				given++
			} else {
				set[key] = c.Target.Template.Labels[key]
			}
		}
		if !selected(c.Target, set) && (best < 0 || given < best) {
			best = given
		}
	}
	return best, best >= 0
}

// fixed are the clone's labels in any case: marks are left aside, no selector names them.
func (c Case) fixed() map[string]string {
	set := maps.Clone(c.Options.Labels.Set)
	if set == nil {
		set = map[string]string{}
	}
	maps.Copy(set, owned.Labels(c.Options.Session))
	return set
}

func selected(t *target.Target, set map[string]string) bool {
	return slices.ContainsFunc(t.Surroundings.Selectors, func(s isolation.Selector) bool { return s.Match.Matches(labels.Set(set)) })
}

// labelsRefusable reports that no clone can be made with these labels: something selects it
// whatever is given up, or a Service sends traffic to what is kept, ready or not.
func (c Case) labelsRefusable() bool {
	if c.Options.Labels.Keep {
		return slices.ContainsFunc(c.Target.Surroundings.Selectors, func(s isolation.Selector) bool { return s.NotReady })
	}
	_, possible := c.fewest()
	return !possible
}

func usedOnce(c target.Claim) bool {
	return len(c.Users) > 0 && slices.Contains(c.Spec.AccessModes, corev1.ReadWriteOncePod)
}
