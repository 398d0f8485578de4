package isolation

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// maxSets bounds the search: all the sets that there are of twelve keys. A workload has a handful of
// keys that anything selects by.
const maxSets = 1 << 12

// instanceLabel is what Argo CD, where it tracks by label, knows an application's objects by. A pod
// without an owner that has it is taken for one that was removed from the manifests, and pruned:
// https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
const instanceLabel = "app.kubernetes.io/instance"

// search looks for the keys of loose to give up, so that no selector matches labels without them.
type search struct {
	selectors []Selector
	policies  []networkingv1.NetworkPolicy
	labels    map[string]string
	loose     map[string]string // those of labels that may be given up
}

func (l *labelSelection) search(selectors []Selector) search {
	return search{selectors, l.state.Policies, l.labels(), l.loose}
}

// fewest returns the keys to give up, sorted: of the smallest sets the most dispensable one. Where no
// set will do it returns the selectors that it could not escape.
//
// It goes through the sets by size. One that a selector matches is extended by each key that this
// selector asks for: no other key stops it from matching, so that every smallest set is come by, and
// where no such key is left no larger set will do either. That holds for selectors that ask for the
// absence of a key too, because each set is judged against all selectors. Beyond maxSets it settles for
// a set of which no key can be kept alone.
func (s search) fewest() (keys []string, stuck []Selector) {
	level, seen := [][]string{nil}, map[string]bool{}
	for len(level) > 0 {
		var free, next [][]string
		for _, given := range level {
			match, matched := s.match(given)
			if !matched {
				free = append(free, given)
				continue
			}
			keys := s.breaking(match, given)
			if len(keys) == 0 {
				stuck = append(stuck, match)
			}
			next = append(next, extend(given, keys, seen)...)
		}
		switch {
		case len(free) > 0:
			return slices.MinFunc(free, s.compare), nil
		case len(seen) > maxSets:
			return s.settle()
		}
		level = next
	}
	return nil, stuck
}

// match returns the first selector that matches without the given keys.
func (s search) match(given []string) (Selector, bool) {
	rest := s.without(given)
	i := slices.IndexFunc(s.selectors, func(m Selector) bool { return m.Match.Matches(rest) })
	if i < 0 {
		return Selector{}, false
	}
	return s.selectors[i], true
}

func (s search) without(given []string) labels.Set {
	rest := maps.Clone(s.labels)
	for _, key := range given {
		delete(rest, key)
	}
	return rest
}

// breaking returns the keys each of which stops m from matching.
func (s search) breaking(m Selector, given []string) []string {
	var keys []string
	for _, r := range requirements(m.Match) {
		if _, loose := s.loose[r.Key()]; loose && presence(r) && !slices.Contains(given, r.Key()) {
			keys = appendNew(keys, r.Key())
		}
	}
	return keys
}

// extend returns the sets of the given and one of keys, but for those seen before.
func extend(given, keys []string, seen map[string]bool) [][]string {
	var wider [][]string
	for _, key := range keys {
		set := slices.Sorted(slices.Values(append([]string{key}, given...)))
		if id := strings.Join(set, ","); !seen[id] {
			seen[id] = true
			wider = append(wider, set)
		}
	}
	return wider
}

// settle gives up every key that any selector asks for and takes back what it can.
func (s search) settle() (keys []string, stuck []Selector) {
	for _, m := range s.selectors {
		keys = append(keys, s.breaking(m, keys)...)
	}
	slices.Sort(keys)
	if match, matched := s.match(keys); matched {
		return nil, []Selector{match}
	}
	for i := s.spare(keys); i >= 0; i = s.spare(keys) {
		keys = slices.Delete(keys, i, i+1)
	}
	return keys, nil
}

// spare returns the index of a key that can be kept although the others are given up, or -1.
func (s search) spare(keys []string) int {
	return slices.IndexFunc(keys, func(key string) bool {
		others := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == key })
		_, matched := s.match(others)
		return !matched
	})
}

// compare orders sets of one size, the one to give up first.
func (s search) compare(a, b []string) int {
	return cmp.Or(
		cmp.Compare(mentioning(s.policies, a), mentioning(s.policies, b)),
		instanceFirst(a, b),
		slices.Compare(a, b),
	)
}

func instanceFirst(a, b []string) int {
	switch has := slices.Contains(a, instanceLabel); {
	case has == slices.Contains(b, instanceLabel):
		return 0
	case has:
		return -1
	}
	return 1
}

// mentioning counts the policies that select pods by one of the keys, as their own or as a peer.
func mentioning(policies []networkingv1.NetworkPolicy, keys []string) int {
	count := 0
	for _, p := range policies {
		if slices.ContainsFunc(podSelectors(p.Spec),
			func(s *metav1.LabelSelector) bool { return mentions(s, keys) }) {
			count++
		}
	}
	return count
}

func podSelectors(spec networkingv1.NetworkPolicySpec) []*metav1.LabelSelector {
	all := []*metav1.LabelSelector{&spec.PodSelector}
	for _, rule := range spec.Ingress {
		for _, peer := range rule.From {
			all = append(all, peer.PodSelector)
		}
	}
	for _, rule := range spec.Egress {
		for _, peer := range rule.To {
			all = append(all, peer.PodSelector)
		}
	}
	return all
}

func mentions(s *metav1.LabelSelector, keys []string) bool {
	return s != nil && slices.ContainsFunc(keys, func(key string) bool {
		_, equal := s.MatchLabels[key]
		asks := func(r metav1.LabelSelectorRequirement) bool { return r.Key == key }
		return equal || slices.ContainsFunc(s.MatchExpressions, asks)
	})
}
