package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func scopes() (all []Scope) {
	for _, mode := range []string{"", Clone, Debug} {
		for _, via := range []string{"", Exec, Attach} {
			all = append(all, Scope{mode, via})
		}
	}
	return all
}

func permissionsOf(rules []Rule) (all []string) {
	for _, r := range rules {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				all = append(all, Permission{verb, r.Group, resource}.String())
			}
		}
	}
	return all
}

// A Role has each permission of its scope once, what is needed first, and says what is lost without it.
func TestRules(t *testing.T) {
	for _, scope := range scopes() {
		var want []string
		for _, p := range Permissions(Capabilities(scope)) {
			want = append(want, p.String())
		}
		rules := Rules(scope)
		got := permissionsOf(rules)
		if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%+v: %v, want %v", scope, got, want)
		}
		if !slices.IsSortedFunc(rules, func(a, b Rule) int { return rank(a) - rank(b) }) {
			t.Errorf("%+v: a rule that is needed comes after one that is not", scope)
		}
		for _, r := range rules {
			for _, verb := range r.Verbs {
				if !slices.ContainsFunc(r.Reasons, func(why Reason) bool {
					return why.Verb == verb && why.Without != "" && len(why.For) > 0
				}) {
					t.Errorf("%+v: %s on %v is for nothing", scope, verb, r.Resources)
				}
			}
		}
	}
}

func rank(r Rule) int {
	if r.Needed {
		return 0
	}
	return 1
}

// What a scope leaves out is not in its Role.
func TestScopes(t *testing.T) {
	for _, scope := range scopes() {
		all := permissionsOf(Rules(scope))
		has := func(p string, want bool) {
			t.Helper()
			if slices.Contains(all, p) != want {
				t.Errorf("%+v: %s: %t, want %t", scope, p, !want, want)
			}
		}
		has("create pods", scope.Mode != Debug)
		has("list services", scope.Mode != Debug)
		has("patch pods/ephemeralcontainers", scope.Mode != Clone)
		has("create pods/exec", scope.Via != Attach || scope.Mode != Clone)
		has("get pods/exec", scope.Via != Attach)
		has("create pods/attach", true)
		has("create jobs.batch", true)
	}
}

func TestJudge(t *testing.T) {
	needs := func(degrees ...Degree) (all []Need) {
		for i, d := range degrees {
			all = append(all, need(d, "get", fmt.Sprintf("r%d", i), "x"))
		}
		return all
	}
	tests := []struct {
		capability Capability
		lacking    string // the numbers of the needs
		want       Answer
	}{
		{Capability{Needs: needs(Must, Should, May)}, "", Yes},
		{Capability{Needs: needs(Must, Should, May)}, "2", Partly},
		{Capability{Needs: needs(Must, Should, May)}, "1 2", Partly},
		{Capability{Needs: needs(Must, Should, May)}, "0", No},
		{Capability{Needs: needs(Must, Must)}, "1", No},
		{Capability{Any: true, Needs: needs(Must, Must, May)}, "1", Partly},
		{Capability{Any: true, Needs: needs(Must, Must, May)}, "2", Partly},
		{Capability{Any: true, Needs: needs(Must, Must, May)}, "0 1", No},
		{Capability{Needs: needs(May)}, "0", Partly},
	}
	for _, tt := range tests {
		lacking := []Permission{{"list", "", "r0"}, {"get", "apps", "r0"}} // others
		for _, n := range strings.Fields(tt.lacking) {
			lacking = append(lacking, Permission{Verb: "get", Resource: "r" + n})
		}
		answer, unmet := tt.capability.Judge(lacking)
		if answer != tt.want || len(unmet) != len(lacking)-2 {
			t.Errorf("%+v without %q: %s, %v; want %s", tt.capability, tt.lacking, answer, unmet, tt.want)
		}
	}
}

// By exec alone, exec is a must; without a way, attach takes its place.
func TestExec(t *testing.T) {
	lacking := []Permission{{Verb: "create", Resource: "pods/exec"}}
	for via, want := range map[string]Answer{Exec: No, "": Partly, Attach: Yes} {
		for _, c := range Capabilities(Scope{Mode: Clone, Via: via}) {
			if got, _ := c.Judge(lacking); c.Name == "clone" && got != want {
				t.Errorf("--via %q: %s, want %s", via, got, want)
			}
		}
	}
}

// edit lacks one permission: what TestAggregate measures.
func TestLackedByEdit(t *testing.T) {
	lacked := slices.DeleteFunc(Rules(Scope{}), func(r Rule) bool { return !LackedByEdit(r) })
	if got := permissionsOf(lacked); !slices.Equal(got, []string{"patch pods/ephemeralcontainers"}) {
		t.Error(got)
	}
}
