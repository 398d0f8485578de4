package isolation

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

// selection says what it means that p selects only one of source and clone. Policies add up: while
// any other selects a pod, one less frees it from nothing but takes what it allows.
func (c comparison) selection(p policy) []string {
	original, clone := p.pods.Matches(labels.Set(c.source)), p.pods.Matches(labels.Set(c.clone))
	switch {
	case original && !clone:
		free, lacking := c.difference(p, c.clone)
		what := both(ruled("is free of its ", free, " rules"), ruled("lacks what its ", lacking, " rules allow"))
		hint := ""
		if len(lacking) > 0 {
			hint = c.keepHint(p.pods)
		}
		return []string{"policy " + p.name + " selects the original and not the clone: " + orElse(what, "clone") + hint}
	case clone && !original:
		bound, gained := c.difference(p, c.source)
		what := both(ruled("is bound by its ", bound, " rules"), ruled("has also what its ", gained, " rules allow"))
		return []string{"policy " + p.name + " selects the clone and not the original: " + orElse(what, "original")}
	}
	return nil
}

func orElse(what, other string) string {
	if what == "" {
		return "nothing changes, other policies restrict the " + other + " as much"
	}
	return "the clone " + what
}

// difference tells p's directions apart for a pod that p does not select: those in which nothing
// restricts it, and those in which others do and it has not all that p allows.
func (c comparison) difference(p policy, podLabels map[string]string) (unrestricted, lacking []string) {
	for _, direction := range bothDirections() {
		rules, restricts := p.rules[direction]
		word := strings.ToLower(string(direction))
		switch {
		case !restricts:
		case !c.restricted(direction, podLabels):
			unrestricted = append(unrestricted, word)
		case !c.allowed(direction, podLabels, rules):
			lacking = append(lacking, word)
		}
	}
	return unrestricted, lacking
}

func (c comparison) restricted(direction networkingv1.PolicyType, podLabels map[string]string) bool {
	for _, p := range c.policies {
		if p.selects(direction, podLabels) {
			return true
		}
	}
	return false
}

// allowed says whether the policies that select a pod have each of the rules, or a wider one.
func (c comparison) allowed(direction networkingv1.PolicyType, podLabels map[string]string, rules []rule) bool {
	var has []rule
	for _, p := range c.policies {
		if p.selects(direction, podLabels) {
			has = append(has, p.rules[direction]...)
		}
	}
	for _, r := range rules {
		if !r.within(has) {
			return false
		}
	}
	return true
}

func (r rule) within(rules []rule) bool {
	for _, wide := range rules {
		if coversPorts(wide.ports, r.ports) && (len(wide.peers) == 0 || equality.Semantic.DeepEqual(wide.peers, r.peers)) {
			return true
		}
	}
	return false
}

func ruled(before string, directions []string, after string) string {
	if len(directions) == 0 {
		return ""
	}
	return before + list(directions, "and") + after
}

func both(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " and " + b
}
