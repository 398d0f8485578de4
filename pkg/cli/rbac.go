package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// modeAll is both modes, where a command is about permissions.
const modeAll = "all"

// granting is a Role that is to be printed, and for whom.
type granting struct {
	mode, via string
	minimal   bool
	aggregate string // a ClusterRole that is to have the rules; empty: a Role is printed
	name      string
	output    string

	users, groups, accounts []string
}

func newRBAC(c *sessionCommand) *cobra.Command {
	var g granting
	command := &cobra.Command{
		Use:   "rbac [flags]",
		Short: "Print the least Role that sessions need",
		Long: `Print the least Role that sessions need.

It is YAML for kubectl apply -f -. Each rule says what it is for, and what is lost
without it. The rules that sessions cannot do without come first, and are alone
with --minimal. With --for, --group or --service-account, which can be repeated, a
RoleBinding follows. Applied again, it replaces who is bound: bind somebody else by
another --name. Nothing is sent to a cluster.

The ClusterRoles edit and admin lack only what --mode debug needs. --aggregate
prints a ClusterRole that adds it to one of them, for all who have that.`,
		Example: `  # A Role for both modes in this namespace, and a binding for a user
  kubectl eshell rbac --for jane@example.com | kubectl apply -f -

  # The least for clones, for a group, in another namespace
  kubectl eshell rbac --mode clone --minimal --group developers -n shop

  # Everybody who is allowed to edit is allowed to debug
  kubectl eshell rbac --aggregate edit`,
		RunE: func(cmd *cobra.Command, words []string) error {
			if err := cmp.Or(takesNothing(words, *c.flags.AuthInfoName), g.validate()); err != nil {
				return err
			}
			at, err := whereTo(cmd.Context(), c.flags)
			if err != nil {
				return err
			}
			text, err := g.print(at.namespace)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.streams.Out, text)
			return written(err)
		},
	}
	g.define(command.Flags())
	return command
}

// takesNothing refuses words, and the flag with which kubectl create rolebinding names whom to bind: as for
// every command of a plugin it is about the kubeconfig, so that nobody would be bound.
func takesNothing(words []string, user string) error {
	return cmp.Or(
		refuse(len(words) > 0, "rbac takes no names: "+strings.Join(words, " "), ""),
		refuse(user != "", "--user names a user of the kubeconfig, and rbac sends nothing",
			hint.Command("bind the Role to a user: --for %s", user)))
}

func (g *granting) define(set *pflag.FlagSet) {
	set.SortFlags = false
	defineScope(set, &g.mode, &g.via)
	set.BoolVar(&g.minimal, "minimal", false, "only the rules that sessions cannot do without")
	set.StringArrayVar(&g.users, "for", nil, "bind it to the user `NAME`")
	set.StringArrayVar(&g.groups, "group", nil, "bind it to the group `NAME`")
	set.StringArrayVar(&g.accounts, "service-account", nil,
		"bind it to the service account `NAMESPACE:NAME`")
	set.StringVar(&g.name, "name", "eshell", "the `NAME` of the role and of the binding")
	set.StringVar(&g.aggregate, "aggregate", "",
		"print a ClusterRole that adds to `ROLE` what it lacks: edit or admin")
	set.StringVarP(&g.output, "output", "o", "", "print as `FORMAT`: yaml (with comments) or json")
}

// defineScope adds the flags that say which permissions a command is about.
func defineScope(set *pflag.FlagSet, mode, via *string) {
	set.StringVar(mode, "mode", modeAll, "`MODE` is clone, debug or all")
	set.StringVar(via, "via", "", "run by `WAY`: exec or attach (default: exec, or else attach)")
}

func validateScope(mode, via string) error {
	return cmp.Or(oneOf("mode", mode, access.Clone, access.Debug, modeAll),
		oneOf("via", via, "", access.Exec, access.Attach))
}

func scopeOf(mode, via string) access.Scope {
	if mode == modeAll {
		mode = ""
	}
	return access.Scope{Mode: mode, Via: via}
}

func (g *granting) validate() error {
	subjects := slices.Concat(g.users, g.groups, g.accounts)
	return cmp.Or(
		validateScope(g.mode, g.via),
		oneOf("aggregate", g.aggregate, "", "edit", "admin"),
		oneOf("output", g.output, "", "yaml", "json"),
		validRoleName(g.name),
		refuse(slices.Contains(subjects, ""), "--for, --group and --service-account need a name", ""),
		g.validateAccounts(),
		refuse(g.aggregate != "" && len(subjects) > 0, "--aggregate cannot be combined with "+
			"--for, --group and --service-account: who has "+g.aggregate+" is bound already", ""),
	)
}

// validRoleName applies the rule for the names of roles, which is not that of most objects.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#path-segment-names
func validRoleName(name string) error {
	problems := content.IsPathSegmentName(name)
	if name == "" {
		problems = []string{"it is empty"}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("--name %q is not a valid name: %s", name, problems[0])
}

func (g *granting) validateAccounts() error {
	for _, account := range g.accounts {
		namespace, name, _ := strings.Cut(account, ":")
		if namespace == "" || name == "" || strings.Contains(name, ":") {
			return hint.Wrap(fmt.Errorf("--service-account %q is not NAMESPACE:NAME", account),
				hint.Command("for example: --service-account %s", "default:"+cmp.Or(namespace, name, "ci")))
		}
	}
	return nil
}

// print returns the documents.
func (g *granting) print(namespace string) (string, error) {
	rules := slices.DeleteFunc(access.Rules(scopeOf(g.mode, g.via)), func(r access.Rule) bool {
		return g.minimal && !r.Needed || g.aggregate != "" && !access.LackedByEdit(r)
	})
	if len(rules) == 0 {
		return "", hint.Wrap(fmt.Errorf("%s lacks nothing that --mode %s needs", g.aggregate, g.mode),
			hint.Command("bind it: kubectl create rolebinding %s --clusterrole %s --user USER -n %s",
				g.name, g.aggregate, namespace))
	}
	role := g.role(namespace, rules)
	binding := g.binding(namespace)
	if g.output == "json" {
		return inJSON(role, binding)
	}
	text, err := inYAML(role.metadata())
	if err != nil {
		return "", err
	}
	text = g.heading(namespace) + text + "rules:\n" + ruleText(rules)
	if binding == nil {
		return text, nil
	}
	bound, err := inYAML(binding)
	return text + "---\n" + bound, err
}

// role is a Role or a ClusterRole: both have the same fields as far as eshell sets them.
type role struct{ rbacv1.Role }

func (g *granting) role(namespace string, rules []access.Rule) role {
	r := role{rbacv1.Role{TypeMeta: typeOf("Role"),
		ObjectMeta: metav1.ObjectMeta{Name: g.name, Namespace: namespace}}}
	if g.aggregate != "" {
		r.Kind, r.Namespace = "ClusterRole", ""
		// https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
		r.Labels = map[string]string{rbacv1.GroupName + "/aggregate-to-" + g.aggregate: "true"}
	}
	for _, rule := range rules {
		r.Rules = append(r.Rules, rbacv1.PolicyRule{APIGroups: []string{rule.Group},
			Resources: rule.Resources, Verbs: rule.Verbs})
	}
	return r
}

// metadata returns what comes before the rules.
func (r role) metadata() any {
	return map[string]any{"apiVersion": r.APIVersion, "kind": r.Kind, "metadata": r.ObjectMeta}
}

func typeOf(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
}

// binding returns the binding of the role, or nil if it is for nobody.
func (g *granting) binding(namespace string) *rbacv1.RoleBinding {
	b := &rbacv1.RoleBinding{TypeMeta: typeOf("RoleBinding"),
		ObjectMeta: metav1.ObjectMeta{Name: g.name, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: g.name}}
	for _, name := range g.users {
		b.Subjects = append(b.Subjects, subject(rbacv1.UserKind, name))
	}
	for _, name := range g.groups {
		b.Subjects = append(b.Subjects, subject(rbacv1.GroupKind, name))
	}
	for _, account := range g.accounts {
		namespace, name, _ := strings.Cut(account, ":")
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace,
			Name: name})
	}
	if len(b.Subjects) == 0 {
		return nil
	}
	return b
}

func subject(kind, name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

// heading is the comment before the documents.
func (g *granting) heading(namespace string) string {
	if g.aggregate != "" {
		return "# Adds to the ClusterRole " + g.aggregate + " what it lacks for eshell, in all namespaces.\n"
	}
	text := wrapComment("Whoever is allowed to create pods is allowed to use every Secret and every " +
		"service account of the namespace, with eshell or without it.")
	if len(g.users)+len(g.groups)+len(g.accounts) == 0 {
		text += "# It is bound to nobody: kubectl eshell rbac --for USER prints a RoleBinding too.\n"
	}
	return text
}

// ruleText returns the rules in YAML, with their reasons.
func ruleText(rules []access.Rule) string {
	var text strings.Builder
	for i, r := range rules {
		switch {
		case i > 0 && rules[i-1].Needed == r.Needed:
		case r.Needed:
			text.WriteString("# NEEDED: without these rules some sessions, or all, are not possible.\n")
		default:
			text.WriteString("# OPTIONAL: sessions do without these rules, and lose what the comments say.\n")
		}
		for _, reason := range r.Reasons {
			text.WriteString(wrapComment(reason.String()))
		}
		group := cmp.Or(r.Group, `""`)
		fmt.Fprintf(&text, "- {apiGroups: [%s], resources: [%s], verbs: [%s]}\n", group,
			strings.Join(r.Resources, ", "), strings.Join(r.Verbs, ", "))
	}
	return text.String()
}

// wrapComment returns a comment in lines of at most commentWidth bytes.
func wrapComment(words string) string {
	const commentWidth = 100
	text, line := "", "#"
	for _, word := range strings.Fields(words) {
		if len(line)+1+len(word) > commentWidth {
			text, line = text+line+"\n", "#  "
		}
		line += " " + word
	}
	return text + line + "\n"
}

// inYAML returns an object as YAML, in the order of kubectl.
func inYAML(object any) (string, error) {
	text, err := yaml.Marshal(object)
	return string(text), err
}

// inJSON returns a role and its binding, if there is one, as a List.
func inJSON(r role, binding *rbacv1.RoleBinding) (string, error) {
	items := []any{r.Role}
	if binding != nil {
		items = append(items, binding)
	}
	text, err := json.MarshalIndent(map[string]any{"apiVersion": "v1", "kind": "List", "items": items}, "",
		"    ")
	return string(text) + "\n", err
}

// grant returns the command that prints the Role which a user lacks. user is empty if it is not known. The
// Role has a name of its own: who is bound to another one keeps what they have.
func grant(mode, via, namespace, user string) string {
	command := "kubectl eshell rbac"
	if mode != modeAll {
		command += hint.Command(" --mode %s", mode)
	}
	if via != "" {
		command += hint.Command(" --via %s", via)
	}
	command += hint.Command(" -n %s", namespace)
	if user == "" {
		return command
	}
	subject, isAccount := strings.CutPrefix(user, "system:serviceaccount:")
	named := hint.Command(" --name %s", "eshell-"+strings.NewReplacer("/", "-", "%", "-").Replace(subject))
	if isAccount {
		return command + hint.Command(" --service-account %s", subject) + named
	}
	return command + hint.Command(" --for %s", user) + named
}
