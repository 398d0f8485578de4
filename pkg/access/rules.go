package access

import (
	"slices"
	"strings"
)

// Rule is a rule of a Role, and why it is there.
type Rule struct {
	Group     string
	Resources []string
	Verbs     []string
	Reasons   []Reason
	// Needed reports that no session of the scope is possible, or as it is meant to be, without the rule.
	Needed bool
}

// Reason is what a verb of a rule is for, and what is lost without it.
type Reason struct {
	Verb    string
	For     []string // names of capabilities
	Without string
}

// Rules returns the least rules for a scope: those that are needed first, and no permission twice.
func Rules(scope Scope) []Rule {
	capabilities := Capabilities(scope)
	var rules []Rule
	for _, needed := range []bool{true, false} {
		first := len(rules)
		for _, p := range Permissions(capabilities) {
			if isNeeded(capabilities, p) == needed {
				rules = add(rules, first, p, reasons(capabilities, p), needed)
			}
		}
		rules = slices.Concat(rules[:first], merge(rules[first:]))
	}
	return rules
}

// Permissions returns all permissions that capabilities need, each once.
func Permissions(capabilities []Capability) (all []Permission) {
	for _, c := range capabilities {
		for _, n := range c.Needs {
			if !slices.Contains(all, n.Permission) {
				all = append(all, n.Permission)
			}
		}
	}
	return all
}

func isNeeded(capabilities []Capability, p Permission) bool {
	return slices.ContainsFunc(capabilities, func(c Capability) bool {
		return c.Session && slices.ContainsFunc(c.Needs, func(n Need) bool {
			return n.Permission == p && n.Degree != May
		})
	})
}

// reasons returns what a permission is for. Capabilities that lose the same share a reason.
func reasons(capabilities []Capability, p Permission) (all []Reason) {
	for _, c := range capabilities {
		for _, n := range c.Needs {
			if n.Permission != p {
				continue
			}
			same := slices.IndexFunc(all, func(r Reason) bool { return r.Without == n.Without })
			if same < 0 {
				all = append(all, Reason{Verb: p.Verb, For: []string{c.Name}, Without: n.Without})
			} else if !slices.Contains(all[same].For, c.Name) {
				all[same].For = append(all[same].For, c.Name)
			}
		}
	}
	return all
}

// add adds a permission to the rule of its resource, of the rules from first on, or as a new one.
func add(rules []Rule, first int, p Permission, why []Reason, needed bool) []Rule {
	for i := first; i < len(rules); i++ {
		if r := &rules[i]; r.Group == p.Group && r.Resources[0] == p.Resource {
			r.Verbs, r.Reasons = append(r.Verbs, p.Verb), append(r.Reasons, why...)
			return rules
		}
	}
	return append(rules, Rule{Group: p.Group, Resources: []string{p.Resource}, Verbs: []string{p.Verb},
		Reasons: why, Needed: needed})
}

// merge joins the rules that differ in nothing but their resources.
func merge(rules []Rule) (merged []Rule) {
	for _, r := range rules {
		same := slices.IndexFunc(merged, func(m Rule) bool {
			return m.Group == r.Group && slices.Equal(m.Verbs, r.Verbs) &&
				slices.EqualFunc(m.Reasons, r.Reasons, Reason.equal)
		})
		if same < 0 {
			merged = append(merged, r)
			continue
		}
		merged[same].Resources = append(merged[same].Resources, r.Resources...)
	}
	return merged
}

func (r Reason) equal(other Reason) bool {
	return r.Verb == other.Verb && r.Without == other.Without && slices.Equal(r.For, other.For)
}

// String returns the reason in one line.
func (r Reason) String() string {
	return r.Verb + ", for " + strings.Join(r.For, ", ") + ": without it " + r.Without
}

// LackedByEdit reports whether the ClusterRoles edit and admin, which every cluster has, lack a rule. They
// lack just one.
// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles
func LackedByEdit(r Rule) bool { return slices.Contains(r.Resources, "pods/ephemeralcontainers") }
