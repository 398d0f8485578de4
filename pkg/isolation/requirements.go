package isolation

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// requirements are what a selector asks for, sorted by key; none for one that selects nothing.
func requirements(s labels.Selector) labels.Requirements {
	all, _ := s.Requirements()
	return all
}

// presence says whether a requirement can only be met by a label that is there. The others are met
// by its absence: taking the label away never breaks them, and may be what meets them.
func presence(r labels.Requirement) bool {
	switch r.Operator() {
	case selection.DoesNotExist, selection.NotIn, selection.NotEquals:
		return false
	}
	return true
}

// asksFor says whether a selector only matches pods that have the label key.
func asksFor(s labels.Selector, key string) bool {
	for _, r := range requirements(s) {
		if r.Key() == key && presence(r) {
			return true
		}
	}
	return false
}

// inWords says which objects of a kind a selector selects.
func inWords(kind string, s labels.Selector) string {
	all := requirements(s)
	if len(all) == 0 {
		return "every " + kind
	}
	words := make([]string, len(all))
	for i, r := range all {
		words[i] = requirementInWords(r)
	}
	return kind + "s with " + list(words, "and")
}

func requirementInWords(r labels.Requirement) string {
	values := strings.Join(r.Values().List(), ", ")
	switch r.Operator() {
	case selection.Exists:
		return "label " + r.Key()
	case selection.DoesNotExist:
		return "no label " + r.Key()
	case selection.NotIn:
		return fmt.Sprintf("%s not in (%s)", r.Key(), values)
	case selection.In:
		return fmt.Sprintf("%s in (%s)", r.Key(), values)
	}
	return fmt.Sprintf("%s%s%s", r.Key(), r.Operator(), values)
}
