package cli

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
)

// decoded returns the documents of rbac's output, which has no field that the API does not know.
func decoded(t *testing.T, text string) (role rbacv1.Role, bindings []rbacv1.RoleBinding) {
	t.Helper()
	documents := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	var raw []json.RawMessage
	for {
		var document json.RawMessage
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, document)
	}
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(raw[0], &list); err != nil {
		t.Fatal(err)
	}
	if list.Items != nil {
		raw = list.Items
	}
	if err := json.Unmarshal(raw[0], &role); err != nil {
		t.Fatal(err)
	}
	for _, document := range raw[1:] {
		var binding rbacv1.RoleBinding
		if err := json.Unmarshal(document, &binding); err != nil {
			t.Fatal(err)
		}
		bindings = append(bindings, binding)
	}
	return role, bindings
}

// The YAML with comments is the same as the JSON without, whatever is asked for, and no line is long.
func TestRBACFormats(t *testing.T) {
	for _, flags := range []string{"", "--mode clone", "--mode debug --via attach", "--minimal",
		"--aggregate edit", "--aggregate admin --name x", "--for jane@example.com --for true --group system:x",
		"--service-account shop:ci --name ci.role"} {
		argv := strings.Fields("rbac -n shop " + flags)
		text, document := runMain(t.Context(), t, argv...), runMain(t.Context(), t, append(argv, "-o", "json")...)
		if text.status != 0 || document.status != 0 || text.errOut != "" {
			t.Fatalf("%s: %+v", flags, text)
		}
		role, bindings := decoded(t, text.out)
		otherRole, otherBindings := decoded(t, document.out)
		if !reflect.DeepEqual(role, otherRole) || !reflect.DeepEqual(bindings, otherBindings) {
			t.Errorf("%s: YAML\n%+v %+v\nJSON\n%+v %+v", flags, role, bindings, otherRole, otherBindings)
		}
		if again := runMain(t.Context(), t, argv...); again != text {
			t.Errorf("%s: it prints something else the second time", flags)
		}
		for line := range strings.Lines(text.out) {
			if len(line) > 111 {
				t.Errorf("%s: %d columns: %s", flags, len(line), line)
			}
		}
	}
}

func TestRBACBinding(t *testing.T) {
	got := runMain(t.Context(), t, "rbac", "-n", "shop", "--group", "developers", "--for", "jane", "--for", "joe",
		"--service-account", "ci:runner", "--name", "eshell-users")
	role, bindings := decoded(t, got.out)
	want := []rbacv1.RoleBinding{{
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "eshell-users"},
		Subjects: []rbacv1.Subject{
			{APIGroup: rbacv1.GroupName, Kind: "User", Name: "jane"},
			{APIGroup: rbacv1.GroupName, Kind: "User", Name: "joe"},
			{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "developers"},
			{Kind: "ServiceAccount", Namespace: "ci", Name: "runner"},
		}}}
	want[0].TypeMeta = typeOf("RoleBinding")
	want[0].Name, want[0].Namespace = "eshell-users", "shop"
	if !reflect.DeepEqual(bindings, want) || role.Name != "eshell-users" || role.Namespace != "shop" {
		t.Errorf("%s/%s, %+v; want %+v", role.Namespace, role.Name, bindings, want)
	}
	if got := runMain(t.Context(), t, "rbac"); strings.Contains(got.out, "kind: RoleBinding") ||
		!strings.Contains(got.out, "# It is bound to nobody: ") {
		t.Errorf("without a subject it prints\n%s", got.out)
	}
}

// The minimum is what comes first in the whole.
func TestRBACMinimal(t *testing.T) {
	for _, mode := range []string{"all", "clone", "debug"} {
		whole := runMain(t.Context(), t, "rbac", "--mode", mode).out
		minimal := runMain(t.Context(), t, "rbac", "--mode", mode, "--minimal").out
		needed, optional, found := strings.Cut(whole, "# OPTIONAL: ")
		if !found || minimal != needed || !strings.Contains(optional, "events") {
			t.Errorf("--mode %s --minimal prints\n%s\nwant\n%s", mode, minimal, needed)
		}
	}
}

func TestRBACMistakes(t *testing.T) {
	const noName = "error: --for, --group and --service-account need a name\n"
	tests := map[string]string{
		"rbac --mode clon":                   "error: --mode \"clon\" is not one of: clone, debug, all\nhint: did you mean: --mode=clone\n",
		"rbac --via ssh":                     "error: --via \"ssh\" is not one of: exec, attach\n",
		"rbac --aggregate view":              "error: --aggregate \"view\" is not one of: edit, admin\n",
		"rbac -o name":                       "error: --output \"name\" is not one of: yaml, json\n",
		"rbac --name a/b":                    "error: --name \"a/b\" is not a valid name: may not contain '/'\n",
		"rbac --name=":                       "error: --name \"\" is not a valid name: it is empty\n",
		"rbac --for=":                        noName,
		"rbac --group=":                      noName,
		"rbac --service-account ci":          "error: --service-account \"ci\" is not NAMESPACE:NAME\nhint: for example: --service-account default:ci\n",
		"rbac --service-account :ci":         "error: --service-account \":ci\" is not NAMESPACE:NAME\nhint: for example: --service-account default:ci\n",
		"rbac --aggregate edit --for jane":   "error: --aggregate cannot be combined with --for, --group and --service-account: who has edit is bound already\n",
		"rbac --aggregate edit --mode clone": "error: edit lacks nothing that --mode clone needs\nhint: bind it: kubectl create rolebinding eshell --clusterrole edit --user USER -n default\n",
		"rbac deploy/api":                    "error: rbac takes no names: deploy/api\n",
		"rbac --user jane":                   "error: --user names a user of the kubeconfig, and rbac sends nothing\nhint: bind the Role to a user: --for jane\n",
		"check -o name":                      "error: --output \"name\" is not one of: json, yaml\n",
		"check --mode x":                     "error: --mode \"x\" is not one of: clone, debug, all\n",
		"check a b c":                        "error: expected one workload, but there are more words after a\nhint: a command goes after two dashes: kubectl eshell a -- b c\n",
	}
	for argv, want := range tests {
		if got := runMain(t.Context(), t, strings.Fields(argv)...); got != (ran{125, "", want}) {
			t.Errorf("%s: got\n%+v\nwant\n%s", argv, got, want)
		}
	}
}

// The command that prints the Role is for the user who lacks it.
func TestGrant(t *testing.T) {
	for _, tt := range []struct{ mode, via, user, want string }{
		{"all", "", "jane@example.com",
			"kubectl eshell rbac -n shop --for jane@example.com --name eshell-jane@example.com"},
		{"clone", "exec", "a user",
			"kubectl eshell rbac --mode clone --via exec -n shop --for 'a user' --name 'eshell-a user'"},
		{"debug", "", "system:serviceaccount:ci:runner",
			"kubectl eshell rbac --mode debug -n shop --service-account ci:runner --name eshell-ci:runner"},
		{"all", "", "https://sso/jane",
			"kubectl eshell rbac -n shop --for https://sso/jane --name eshell-https:--sso-jane"},
		{"all", "", "", "kubectl eshell rbac -n shop"},
	} {
		if got := grant(tt.mode, tt.via, "shop", tt.user); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func TestFindings(t *testing.T) {
	exec := lack{Verb: "create", Resource: "pods/exec", Without: "it runs by attach"}
	list := func(resource string) lack { return lack{Verb: "list", Resource: resource, Without: "no labels"} }
	tests := []struct {
		finding
		missing, details string
		refuses          bool
	}{
		{finding{About: "a clone", Answer: access.Yes, session: true}, "", "a clone", false},
		{finding{Answer: access.Partly, Missing: []lack{exec}, session: true}, "create pods/exec",
			"it runs by attach", false},
		{finding{Answer: access.No, Missing: []lack{list("a"), list("b"), list("c"), exec}},
			"list a, list b, 2 more", "no labels", false},
		{finding{Answer: access.Partly, Missing: []lack{list("a"), list("b"), exec}}, "list a, list b, 1 more",
			"no labels; it runs by attach", false},
		{finding{About: "a session", Answer: access.No, Reason: "quota", session: true}, "", "a session: quota",
			true},
	}
	for _, tt := range tests {
		f := tt.finding
		if f.missing() != tt.missing || f.details() != tt.details || f.refuses() != tt.refuses {
			t.Errorf("%+v: %q, %q, %t", f, f.missing(), f.details(), f.refuses())
		}
	}
}
