package cli

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/policy"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
)

// policyFlags are the flags of the command policy as they were typed.
type policyFlags struct {
	pattern, maxTTL            string
	registries, images, exempt []string
	profiles                   []string
	selector, debugSelector    string
	action, namespace          string
}

// newPolicy returns the command that prints policies. It needs no cluster.
func newPolicy(streams genericiooptions.IOStreams) *cobra.Command {
	f := &policyFlags{}
	command := &cobra.Command{
		Use:   "policy [NAME...] [flags]",
		Short: "Print admission policies for sessions",
		Long: `Print admission policies for sessions.

These are ValidatingAdmissionPolicies with their bindings, and a ConfigMap with
their parameters, for Kubernetes 1.30 and later. The API server applies them to
everybody, whatever client they use. Nothing is sent to a cluster.

  identity   what looks like a session is one, of the user who creates it
  reason     a session needs a reason that matches a pattern
  ttl        a session lives for at most a time
  images     clones run images of some registries only
  debug      no debug containers, or only with some images and profiles
  connect    exec and attach reach only sessions
  audit      the audit log says whose a session is, why, and of what

Without a name all of them are printed.`,
		Example: `  # Try all of them first: the server warns, and records what it would refuse
  kubectl eshell policy --action warn | kubectl apply -f -

  # A session needs a ticket, and lives for four hours, in production
  kubectl eshell policy identity reason ttl --reason-pattern '^OPS-[0-9]+$' \
    --max-ttl 4h --namespace-selector env=production`,
		ValidArgsFunction: completePolicies,
		RunE: func(cmd *cobra.Command, names []string) error {
			options, err := f.options(names)
			if err = cmp.Or(err, notEmpty(cmd.Flags())); err != nil {
				return err
			}
			out := newPrinter(streams.ErrOut, false)
			for _, doubt := range doubts(cmd.Flags(), options.Names) {
				out.Warn("%s", doubt)
			}
			text, err := policy.Print(options)
			if err != nil {
				return err
			}
			_, err = streams.Out.Write(text)
			return written(err)
		},
	}
	f.addTo(command.Flags())
	command.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	for flag, words := range map[string][][2]string{"debug-profile": values()["profile"][1:],
		"action": {{"deny"}, {"warn", "and record what would be refused"}, {"audit"}}} {
		_ = command.RegisterFlagCompletionFunc(flag, fixed(words...)) // fails only if it has one already
	}
	command.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return explainFlag(cmd, err, "list the flags: "+cmd.CommandPath()+" --help")
	})
	command.SetUsageFunc(func(cmd *cobra.Command) error { return writePolicyUsage(cmd, cmd.OutOrStderr()) })
	return command
}

// notEmpty refuses flags without a value, as a script's that has lost a variable: their defaults allow more.
func notEmpty(set *pflag.FlagSet) (err error) {
	set.Visit(func(flag *pflag.Flag) {
		if value := flag.Value.String(); value == "" || value == "[]" {
			err = cmp.Or(err, fmt.Errorf("--%s has no value", flag.Name))
		}
	})
	return err
}

// doubts returns what might be forgotten among the policies to print.
func doubts(set *pflag.FlagSet, printed []string) (all []string) {
	if slices.Contains(printed, policy.Connect) && !slices.Contains(printed, policy.Identity) {
		all = append(all, "the policy connect tells sessions by their names, which the policy identity "+
			"guards: apply both")
	}
	set.Visit(func(flag *pflag.Flag) {
		about, _, is := strings.Cut(flag.Usage, ": ") // as in "ttl: sessions live for at most"
		if is && slices.Contains(policy.Names(), about) && !slices.Contains(printed, about) {
			all = append(all, "--"+flag.Name+" is for the policy "+about+", which is not printed")
		}
	})
	return all
}

func writePolicyUsage(cmd *cobra.Command, out io.Writer) error {
	set := pflag.NewFlagSet("policy", pflag.ContinueOnError) // without --help, as for the other commands
	new(policyFlags).addTo(set)
	_, err := fmt.Fprintf(out, "Usage:\n  %s\n\nExamples:\n%s\n%s\n", cmd.UseLine(), cmd.Example,
		usages([]group{{title: "Flags", FlagSet: set}}))
	return err
}

func completePolicies(_ *cobra.Command, names []string, typed string) ([]string, cobra.ShellCompDirective) {
	var left [][2]string
	for _, name := range policy.Names() {
		if !slices.Contains(names, name) {
			left = append(left, [2]string{name})
		}
	}
	return offer(typed, left...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func (f *policyFlags) addTo(set *pflag.FlagSet) {
	set.SortFlags = false
	set.StringVar(&f.pattern, "reason-pattern", "",
		"reason: a regular expression (RE2) `PATTERN` that a reason contains (default: any reason)")
	set.StringVar(&f.maxTTL, "max-ttl", "", "ttl: sessions live for at most `DURATION` (default 8h)")
	set.StringSliceVar(&f.registries, "registry", nil,
		"images: `PREFIX` of an image's full name, up to a slash; * is all (default *)")
	set.StringSliceVar(&f.profiles, "debug-profile", nil,
		"debug: debug containers have no more rights than `PROFILE` (default: no debug containers)")
	set.StringSliceVar(&f.images, "debug-image", nil,
		"debug: the full name of an `IMAGE`, with its tag or without; * is all (default *)")
	set.StringSliceVar(&f.exempt, "connect-exempt", nil,
		"connect: `NAME` of a user or group who is not refused")
	set.StringVar(&f.selector, "namespace-selector", "",
		"the namespaces that the policies are about, by `LABELS` (default: all)")
	set.StringVar(&f.debugSelector, "debug-namespace-selector", "",
		"debug: the same for this policy, by `LABELS` (default: as the others)")
	set.StringVar(&f.action, "action", "deny",
		"what the server does: `ACTION` is deny, warn (and audit), or audit")
	set.StringVar(&f.namespace, "parameter-namespace", "kube-system", "`NAMESPACE` of the ConfigMap")
}

// options validates the names and flags.
func (f *policyFlags) options(names []string) (policy.Options, error) {
	o := policy.Options{Names: names, Namespace: f.namespace, Parameters: map[string]string{}}
	if len(names) == 0 {
		o.Names = policy.Names()
	}
	actions := map[string][]admissionv1.ValidationAction{"deny": {admissionv1.Deny},
		"warn": {admissionv1.Warn, admissionv1.Audit}, "audit": {admissionv1.Audit}}
	o.Actions = actions[f.action]
	err := cmp.Or(
		knownPolicies(names),
		oneOf("action", f.action, "deny", "warn", "audit"),
		f.parameters(o.Parameters),
		parseSelector(&o.Selector, "namespace-selector", f.selector),
		parseSelector(&o.DebugSelector, "debug-namespace-selector", f.debugSelector),
	)
	if problems := validation.IsDNS1123Label(f.namespace); err == nil && len(problems) > 0 {
		err = fmt.Errorf("--parameter-namespace %q is not a valid name: %s", f.namespace,
			words.Rule(problems[0]))
	}
	return o, err
}

func knownPolicies(names []string) error {
	for _, name := range names {
		if slices.Contains(policy.Names(), name) {
			continue
		}
		err := fmt.Errorf("%q is not one of the policies: %s", name, strings.Join(policy.Names(), ", "))
		for _, meant := range hint.Closest(name, policy.Names()) {
			return hint.Wrap(err, hint.Command("did you mean: kubectl eshell policy %s", meant))
		}
		return err
	}
	return nil
}

// parameters sets what was typed. What was not has its value from the file.
func (f *policyFlags) parameters(set map[string]string) error {
	var ttl time.Duration
	_, invalid := regexp.Compile(f.pattern)
	if invalid != nil {
		invalid = fmt.Errorf("--reason-pattern %q is not a regular expression: %w", f.pattern, invalid)
	}
	if err := cmp.Or(invalid, parseDurationFlag(&ttl, "max-ttl", f.maxTTL, time.Second),
		validImages("registry", f.registries), validImages("debug-image", f.images),
		inFull(f.images), validProfiles(f.profiles)); err != nil {
		return err
	}
	length := ""
	if ttl > 0 {
		length = shortDuration(ttl)
	}
	for key, value := range map[string]string{policy.ReasonPattern: f.pattern, policy.MaxTTL: length,
		policy.Registries: strings.Join(f.registries, ","), policy.DebugImages: strings.Join(f.images, ","),
		policy.DebugProfiles: strings.Join(f.profiles, ","),
		policy.ConnectExempt: strings.Join(f.exempt, ",")} {
		if value != "" {
			set[key] = value
		}
	}
	return nil
}

// shortDuration returns a duration of whole seconds as a person writes it: 4h, not 4h0m0s.
func shortDuration(d time.Duration) string {
	text := d.Round(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// plainImage matches a part of an image's name. A scheme is none.
var plainImage = regexp.MustCompile(
	`^(\*|[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[A-Za-z0-9._/-]*)?(:[A-Za-z0-9._-]+)?)$`)

func validImages(flag string, images []string) error {
	for _, image := range images {
		if !plainImage.MatchString(image) {
			return hint.Wrap(fmt.Errorf("--%s %q is not the beginning of an image's name", flag, image),
				"for example: --"+flag+" registry.example/team")
		}
	}
	return nil
}

// inFull refuses images without a registry: the server would not find them.
func inFull(images []string) error {
	for _, image := range images {
		first, _, isPath := strings.Cut(image, "/")
		if image == "*" || isPath && (strings.ContainsAny(first, ".:") || first == "localhost") {
			continue
		}
		full := "docker.io/" + image
		if !isPath {
			full = "docker.io/library/" + image
		}
		return hint.Wrap(fmt.Errorf("--debug-image %q does not name its registry", image),
			hint.Command("in full: --debug-image %s", full))
	}
	return nil
}

func validProfiles(names []string) error {
	for _, name := range names {
		if !slices.Contains(profiles()[1:], name) { // the first one is auto: what the target has
			return oneOf("debug-profile", name, profiles()[1:]...)
		}
	}
	return nil
}

func parseSelector(to **metav1.LabelSelector, flag, text string) error {
	if text == "" {
		return nil
	}
	selector, err := metav1.ParseToLabelSelector(text)
	if err != nil {
		return hint.Wrap(fmt.Errorf("--%s: %w", flag, err), "for example: --"+flag+" env=production")
	}
	*to = selector
	return nil
}

// explainPolicy adds to the refusal of a session by one of the policies the command that it lets pass.
func explainPolicy(cmd *cobra.Command, args []string, err error) error {
	refused := policy.Refusal(err)
	switch {
	case refused == nil || cmd.HasParent() && hint.Of(err) != "":
		return err
	case cmd.HasParent():
		return hint.Wrap(err, seePolicy(refused))
	}
	return hint.Wrap(err, passing(refused, args))
}

// seePolicy says where an administrator finds out more.
func seePolicy(refused *policy.RefusedError) string {
	if refused.Policy == "" {
		return hint.Command("tell whoever manages it; it reads: kubectl get "+
			"validatingadmissionpolicybinding %s -o jsonpath={.spec.paramRef}", refused.Binding)
	}
	return hint.Command("for whoever manages policies: kubectl get validatingadmissionpolicy %s -o yaml",
		refused.Object)
}

// passing returns the command that one of the policies lets pass. args are those of the command for a session
// that it has refused.
func passing(refused *policy.RefusedError, args []string) string {
	named := func(pattern, otherwise string) string {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(refused.Sentence); found != nil {
			return found[1]
		}
		return otherwise
	}
	switch {
	case refused.Policy == policy.Reason:
		return again(args, nil, "--reason", "TICKET")
	case refused.Policy == policy.TTL && named(`(at most )`, "") != "":
		return again(args, nil, "--ttl", named(`at most ([0-9a-z.]+)`, "DURATION"))
	case refused.Policy == policy.Images:
		flag := "--image"
		for _, other := range []string{"--toolbox", "--toolbox-image"} {
			if isTyped(args, other, named(`^(\S+) is not from `, "")) {
				flag = other
			}
		}
		return again(args, nil, flag, named(`is not from ([^ ,]+)`, "REGISTRY")+"/IMAGE")
	case refused.Policy != policy.Debug:
		return seePolicy(refused)
	case strings.Contains(refused.Sentence, "--image"):
		return again(args, nil, "--image", named(`is not one of ([^ ,]+)`, "IMAGE"))
	case strings.Contains(refused.Sentence, "--profile"):
		return again(args, []string{"--inherit"}, "--profile", named(`profiles? ([^ ,]+)`, "PROFILE"))
	}
	return "for a clone: " + again(args, debugFlags(), "--mode", "clone")
}

// isTyped reports whether a flag has the value in a command line.
func isTyped(args []string, flag, value string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	at := slices.Index(args, flag)
	return slices.Contains(args, flag+"="+value) || at >= 0 && at+1 < len(args) && args[at+1] == value
}

// debugFlags returns the flags that a clone does not have.
func debugFlags() []string {
	var names []string
	for _, g := range newFlags().groups {
		if g.mode == plan.ModeDebug {
			g.VisitAll(func(flag *pflag.Flag) { names = append(names, "--"+flag.Name) })
		}
	}
	return names
}

// again returns a command line with another value of a flag, and without some flags.
func again(args, without []string, flag, value string) string {
	without = append(without, flag, "--context") // which the hint gets anyway
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	known := newFlags().set
	var typed []string
	for n := 0; n < end; n++ {
		name, _, hasValue := strings.Cut(args[n], "=")
		switch {
		case !slices.Contains(without, name):
			typed = append(typed, args[n])
		case hasValue:
		default:
			if of := known.Lookup(name[2:]); of == nil || of.NoOptDefVal == "" {
				n++ // its value
			}
		}
	}
	typed = slices.Concat(typed, []string{flag, value}, args[end:])
	return hint.Command("kubectl eshell"+strings.Repeat(" %s", len(typed)), typed...)
}
