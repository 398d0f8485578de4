package isolation

import (
	"cmp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// maxSets bounds the search. It is the number of sets that twelve keys can form. A workload has a handful of
// keys that anything selects by.
const maxSets = 1 << 12

// instanceLabel is the label by which Argo CD recognizes an application's objects if it tracks them by label.
// It takes a pod that has the label and no owner for one that was removed from the manifests, and prunes it:
// https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
const instanceLabel = "app.kubernetes.io/instance"

// fewest returns the loose keys to give up so that none of the selectors matches, sorted. It returns one of
// the smallest sets, and of these the most dispensable one. If no set is enough, it returns the selectors
// that it could not escape.
//
// It goes through the sets by size. A set that a selector still matches is extended by each key that this
// selector requires. No other key stops the selector from matching, so the search finds every smallest set.
// If no such key is left, no larger set is enough either. This also holds for selectors that require the
// absence of a key, because each set is judged against all selectors. Beyond maxSets, fewest returns a set
// from which no single key can be taken back.
func (l *labelSelection) fewest(selectors []Selector) (keys []string, stuck []Selector) {
	selectors = within(selectors, l.labels())
	level, seen := [][]string{nil}, map[string]bool{}
	for len(level) > 0 {
		var free, next [][]string
		for _, given := range level {
			i := l.match(selectors, given)
			if i < 0 {
				free = append(free, given)
				continue
			}
			keys := l.breaking(selectors[i], given)
			if len(keys) == 0 {
				stuck = append(stuck, selectors[i])
			}
			next = append(next, extend(given, keys, seen)...)
		}
		switch {
		case len(free) > 0:
			return slices.MinFunc(free, l.compare), nil
		case len(seen) > maxSets:
			return l.settle(selectors)
		}
		level = next
	}
	return nil, stuck
}

// within returns the selectors that can match some of the labels, if the others are given up. In a big
// namespace these are few.
func within(selectors []Selector, all labels.Set) (possible []Selector) {
	for _, m := range selectors {
		requirements, selectable := m.Match.Requirements()
		missing := func(r labels.Requirement) bool { return needsLabel(r) && !r.Matches(all) }
		if selectable && !slices.ContainsFunc(requirements, missing) {
			possible = append(possible, m)
		}
	}
	return possible
}

// match returns the index of the first selector that matches without the given keys, or -1.
func (l *labelSelection) match(selectors []Selector, given []string) int {
	rest := l.without(given)
	return slices.IndexFunc(selectors, func(m Selector) bool { return m.Match.Matches(rest) })
}

func (l *labelSelection) without(given []string) labels.Set {
	rest := l.labels()
	for _, key := range given {
		delete(rest, key)
	}
	return rest
}

// breaking returns the loose keys, other than the given ones, each of which stops m from matching when it is
// dropped.
func (l *labelSelection) breaking(m Selector, given []string) []string {
	return slices.DeleteFunc(asks(m.Match), func(key string) bool {
		_, loose := l.loose[key]
		return !loose || slices.Contains(given, key)
	})
}

// extend returns the sets that consist of the given keys and one of keys, except for those seen before.
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

// settle gives up every key that any selector requires and takes back what it can.
func (l *labelSelection) settle(selectors []Selector) (keys []string, stuck []Selector) {
	for _, m := range selectors {
		keys = append(keys, l.breaking(m, keys)...)
	}
	slices.Sort(keys)
	if i := l.match(selectors, keys); i >= 0 {
		return nil, []Selector{selectors[i]}
	}
	for {
		spare := slices.IndexFunc(keys, func(key string) bool {
			return l.match(selectors, except(keys, key)) < 0
		})
		if spare < 0 {
			return keys, nil
		}
		keys = slices.Delete(keys, spare, spare+1)
	}
}

func except(keys []string, key string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == key })
}

// compare orders sets of the same size. The one to give up comes first.
func (l *labelSelection) compare(a, b []string) int {
	rank := func(keys []string) int {
		if slices.Contains(keys, instanceLabel) {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(l.mentioning(a), l.mentioning(b)),
		cmp.Compare(rank(a), rank(b)),
		slices.Compare(a, b),
	)
}

// mentioning counts the policies that select pods by one of the keys, either the pods that they apply to or
// their peers.
func (l *labelSelection) mentioning(keys []string) int {
	count := 0
	for _, p := range l.state.Policies {
		if mentions(p.Spec, keys) {
			count++
		}
	}
	return count
}

func mentions(spec networkingv1.NetworkPolicySpec, keys []string) bool {
	selects := func(pods *metav1.LabelSelector) bool {
		return pods != nil && slices.ContainsFunc(keys, func(key string) bool {
			_, has := pods.MatchLabels[key]
			return has || slices.ContainsFunc(pods.MatchExpressions,
				func(r metav1.LabelSelectorRequirement) bool { return r.Key == key })
		})
	}
	peer := func(p networkingv1.NetworkPolicyPeer) bool { return selects(p.PodSelector) }
	return selects(&spec.PodSelector) ||
		slices.ContainsFunc(spec.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool {
			return slices.ContainsFunc(rule.From, peer)
		}) ||
		slices.ContainsFunc(spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return slices.ContainsFunc(rule.To, peer)
		})
}
