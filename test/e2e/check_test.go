//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
)

// TestCheckTarget: what would refuse a session refuses its rehearsal, in the same words. Nothing is created.
func TestCheckTarget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		rules  func(*testing.T, namespaceFixture)
		typed  string // after kubectl eshell check
		status int
		says   string // a pattern of stdout
		hint   string // the end of stderr
	}{
		{"nothing", func(*testing.T, namespaceFixture) {}, "deploy/app --mode clone", 0,
			`(?m)^deployment/app +yes +<none> +a session of it, --mode clone$`, ""},
		{"no pod to debug", func(*testing.T, namespaceFixture) {}, "deploy/app", 1,
			`(?s)deployment/app +yes .*deployment/app +no .*--mode debug: deployment/app in namespace \S+: it has no pod`,
			"hint: deployment/app: leave out --mode debug for a clone, or name a pod: .*\n"},
		{"quota", quota, "deploy/app --mode clone", 1,
			`deployment/app +no .*failed quota: small: must specify limits.memory for: app; requests.cpu for: app`,
			"hint: deployment/app: set the sizes, for example: --cpu 100m --memory 128Mi\n"},
		{"quota of pods", noPods, "deploy/app --mode clone", 1,
			`deployment/app +no .*exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0`,
			"hint: deployment/app: see its limits and use: kubectl describe quota none -n NAMESPACE\n"},
		{"quota of leases", noLeases, "deploy/app --mode clone", 0,
			`deployment/app +works, but +<none> +.*it would have no lease: .*exceeded quota: no-leases, requested: count/jobs.batch=1`,
			""},
		{"pod security", restricted, "deploy/app --mode clone", 1,
			`deployment/app +no .*violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false`,
			"hint: deployment/app: meet the policy: --as-user 1000 .*\n"},
		{"policy", policy, "pod/old", 1,
			`(?s)pod/old +no .*--mode clone: .*denied request: pods need the label team.*pod/old +no .*` +
				`--mode debug: .*denied request: pods need the label team`,
			"hint: pod/old: leave out --mode debug for a clone\n"},
		{"webhook", webhook, "deploy/app --mode clone", 1,
			`deployment/app +no .*admission webhook "hook.eshell.test" denied the request: pods need the label team`,
			"hint: deployment/app: change the clone with --overrides, and check it: --dry-run=server -o name\n"},
		{"permission", noCreate, "deploy/app --mode clone --as reader", 1,
			`deployment/app +no .*User "reader" cannot create resource "pods"`,
			"hint: ask whoever manages roles in namespace NAMESPACE for this Role: " +
				"kubectl eshell rbac --mode clone -n NAMESPACE --for reader --name eshell-reader\n"},
		{"a rule with a name", getsOne, "deploy/app --mode clone --as reader", 0,
			`(?s)workloads +no .*deployment/app +yes `, "for this Role: kubectl eshell rbac .*\n"},
		{"no such type", func(*testing.T, namespaceFixture) {}, "foo/bar", 125, `\A\z`,
			"error: the server doesn't have a resource type \"foo\"\nhint: types: pod, .*\n"},
		{"a type that is close", func(*testing.T, namespaceFixture) {}, "dploy/app", 125, `\A\z`,
			`hint: did you mean: kubectl eshell check deploy/app\n`},
		{"not there", func(*testing.T, namespaceFixture) {}, "deploy/aap", 125, `\A\z`,
			`hint: did you mean: kubectl eshell check deploy/app -n NAMESPACE\n`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			here := newRealm(t, "check-"+strings.ReplaceAll(tt.name, " ", "-"), application)
			tt.rules(t, here)
			before := here.pods(t)
			end := here.run(t, "kubectl eshell check "+tt.typed)
			hint := regexp.MustCompile(strings.ReplaceAll(tt.hint, "NAMESPACE", here.namespace) + `\z`)
			if end.status != tt.status || !regexp.MustCompile(tt.says).MatchString(end.stdout) ||
				!hint.MatchString(end.stderr) {
				t.Errorf("exit status %d, want %d; stdout\n%swant %s; stderr\n%swant %s", end.status, tt.status,
					end.stdout, tt.says, end.stderr, hint)
			}
			here.left(t, before)
			jobs, err := client(t).BatchV1().Jobs(here.namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(jobs.Items) > 0 {
				t.Errorf("leases are left: %v, %v", jobs.Items, err)
			}
		})
	}
}

// getsOne lets a user get one deployment only, and clone it.
func getsOne(t *testing.T, r namespaceFixture) {
	r.apply(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: named}
rules:
- {apiGroups: [apps], resources: [deployments], resourceNames: [app], verbs: [get]}
- {apiGroups: [""], resources: [pods], verbs: [create, watch, delete]}
- {apiGroups: [""], resources: [pods/attach, pods/exec], verbs: [create, get]}
- {apiGroups: [batch], resources: [jobs], verbs: [create, patch, delete]}
`)
	kubectl(t, "create", "rolebinding", "named", "-n", r.namespace, "--role=named", "--user=reader")
}

// noLeases lets no Job pass.
func noLeases(t *testing.T, r namespaceFixture) {
	kubectl(t, "create", "quota", "no-leases", "-n", r.namespace, "--hard=count/jobs.batch=0")
	r.counted(t, "no-leases")
}

// TestCheck: for a program, and for a user who is allowed nothing or does not reach the cluster.
func TestCheck(t *testing.T) {
	t.Parallel()
	end := eshell(t.Context(), "check", "-n", env.namespace, "--as", "nobody", "-o", "json")
	var list struct {
		APIVersion, Kind string
		Items            []struct {
			Name    string
			Answer  access.Answer
			Missing []struct{ access.Permission }
		}
	}
	if err := json.Unmarshal([]byte(end.stdout), &list); err != nil || end.status != 1 {
		t.Fatalf("exit status %d, %v: %s%s", end.status, err, end.stdout, end.stderr)
	}
	if list.Kind != "CapabilityList" || list.APIVersion != annotated+"v1alpha1" {
		t.Errorf("it is a %s %s", list.APIVersion, list.Kind)
	}
	for _, item := range list.Items {
		want := access.No
		if item.Name == "streams" || item.Name == "claims" || item.Name == "explain" { // no Must
			want = access.Partly
		}
		if item.Answer != want || len(item.Missing) == 0 {
			t.Errorf("%s: %s, missing %v", item.Name, item.Answer, item.Missing)
		}
	}
	if end := eshell(t.Context(), "check", "--server", "https://127.0.0.1:1"); end.status != 125 ||
		end.stdout != "" || !strings.HasPrefix(end.stderr, "error: ") {
		t.Errorf("without a server: %+v", end)
	}
	if end := eshell(t.Context(), "check", "-n", env.namespace+"x"); end.status != 125 || end.stdout != "" ||
		!strings.HasSuffix(end.stderr, "did you mean: kubectl eshell check -n "+env.namespace+"\n") {
		t.Errorf("in a namespace that is not there: %+v", end)
	}
	if end := eshell(t.Context(), "rbac", "--server", "https://127.0.0.1:1"); end.status != 0 {
		t.Errorf("rbac asks a server: %+v", end)
	}
}

// TestAggregate: the ClusterRole edit lacks just what kubectl eshell rbac --aggregate edit adds to it, and
// with it a user lacks nothing. It is added to a ClusterRole of the test's own, made like edit.
func TestAggregate(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "aggregate", application)
	own := here.namespace
	aggregated := func(label string) metav1.LabelSelector {
		return metav1.LabelSelector{MatchLabels: map[string]string{label: "true"}}
	}
	roles := client(t).RbacV1().ClusterRoles()
	likeEdit := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: own + "-edit"},
		AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
			aggregated("rbac.authorization.k8s.io/aggregate-to-edit"), aggregated(own + "/aggregate-to-edit")}}}
	if _, err := roles.Create(t.Context(), likeEdit, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kubectl(t, "delete", "clusterrole", "--ignore-not-found", own+"-edit", own) })
	kubectl(t, "create", "rolebinding", "editor", "-n", own, "--clusterrole="+own+"-edit", "--user=editor")

	r := realmOfRoles{namespaceFixture: here}
	awaits := func(want string) {
		t.Helper()
		here.await(t, "editor lacks "+want, func(context.Context) (bool, error) {
			return fmt.Sprint(r.missing(t, "editor")) == want, nil
		})
	}
	awaits("[patch pods/ephemeralcontainers]")
	printed := output(t, "rbac", "--aggregate", "edit", "--name", own)
	for _, label := range []string{"edit", "admin"} {
		text := output(t, "rbac", "--aggregate", label, "-o", "json")
		if !strings.Contains(text, `"rbac.authorization.k8s.io/aggregate-to-`+label+`": "true"`) {
			t.Errorf("--aggregate %s prints\n%s", label, text)
		}
	}
	here.apply(t, strings.ReplaceAll(printed, "rbac.authorization.k8s.io/aggregate-to-edit", own+"/aggregate-to-edit"))
	awaits("[]")
	if end := eshell(t.Context(), "rbac", "--aggregate", "admin", "--mode", "clone"); end.status != 125 ||
		!strings.HasPrefix(end.stderr, "error: admin lacks nothing that --mode clone needs\nhint: bind it: kubectl create rolebinding") {
		t.Errorf("%+v", end)
	}
}
