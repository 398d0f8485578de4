// Package words puts lists, numbers and label selectors into words.
package words

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// List joins items as a sentence does: "a, b and c".
func List(items []string, last string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	end := len(items) - 1
	return strings.Join(items[:end], ", ") + " " + last + " " + items[end]
}

// ShortList joins items like List, but names only three if there are more than four: "a, b, c and 3 more".
func ShortList(items []string, last string) string {
	if len(items) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:3], ", "), len(items)-3)
	}
	return List(items, last)
}

// Plural returns one for n = 1, and several otherwise.
func Plural(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// Rule returns the rule that a validator of Kubernetes states, without its examples and its regular
// expression.
func Rule(stated string) string {
	for _, after := range []string{" (e.g. ", ", regex used", " (regex used"} {
		stated, _, _ = strings.Cut(stated, after)
	}
	return stated
}

// Selected describes the objects of a kind that a selector selects: "pods with app=api and no label canary".
func Selected(kind string, s labels.Selector) string {
	all, _ := s.Requirements()
	if len(all) == 0 {
		return "every " + kind
	}
	items := make([]string, len(all))
	for i, r := range all {
		values := strings.Join(r.Values().List(), ", ")
		switch r.Operator() {
		case selection.Exists:
			items[i] = "label " + r.Key()
		case selection.DoesNotExist:
			items[i] = "no label " + r.Key()
		case selection.NotIn:
			items[i] = fmt.Sprintf("%s not in (%s)", r.Key(), values)
		case selection.In:
			items[i] = fmt.Sprintf("%s in (%s)", r.Key(), values)
		default:
			items[i] = fmt.Sprintf("%s%s%s", r.Key(), r.Operator(), values)
		}
	}
	return kind + "s with " + List(items, "and")
}
