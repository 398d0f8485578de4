package isolation

import (
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
