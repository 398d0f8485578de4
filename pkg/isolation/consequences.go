package isolation

import (
	"cmp"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// comparison is of a source and its clone under the policies of their namespace.
type comparison struct {
	policies      []policy
	source, clone map[string]string // their labels
}

// Consequences says what is different for a clone with other labels than its source under the
// NetworkPolicies of their namespace: which of them select only one of the two, and which let only one
// of the two reach other pods. Each is a sentence without a full stop, and said once; they are sorted
// by the policy's name. Nothing is said of who may reach the clone by the egress rules of others: it
// serves nothing.
func Consequences(policies []networkingv1.NetworkPolicy, source, clone map[string]string) []string {
	c := comparison{source: source, clone: clone}
	for _, p := range policies {
		if read := readPolicy(p); !labels.MatchesNothing(read.pods) {
			c.policies = append(c.policies, read)
		}
	}
	slices.SortStableFunc(c.policies, func(a, b policy) int { return cmp.Compare(a.name, b.name) })
	var sentences []string
	for _, p := range c.policies {
		for _, sentence := range slices.Concat(c.selection(p), c.refusals(p), c.admissions(p)) {
			sentences = appendNew(sentences, sentence)
		}
	}
	return sentences
}
