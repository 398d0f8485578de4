package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/policy"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/run"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// refusedStatus is the exit status if a session that was asked about would be refused.
const refusedStatus = 1

// checking is what to ask the server.
type checking struct {
	mode, via, output string
	target            []string // TYPE/NAME in words; none: only permissions are asked for
}

// finding is the answer to one question.
type finding struct {
	Name    string        `json:"name"`
	About   string        `json:"about"`
	Mode    string        `json:"mode,omitempty"` // empty: of both
	Answer  access.Answer `json:"answer"`
	Missing []lack        `json:"missing,omitempty"`
	Reason  string        `json:"reason,omitempty"` // the server's, if it would refuse a target

	session bool // a session that was asked about needs it
	next    string
}

// lack is a permission that the caller does not have.
type lack struct {
	Verb     string `json:"verb"`
	Group    string `json:"group"`
	Resource string `json:"resource"`
	Without  string `json:"without"`  // what is lost
	Required bool   `json:"required"` // nothing of the capability is left without it
}

func newCheck(c *sessionCommand, status *int) *cobra.Command {
	var k checking
	command := &cobra.Command{
		Use:   "check [TYPE/NAME | TYPE NAME] [flags]",
		Short: "Check what you are allowed to do, and if a session would be refused",
		Long: `Check what you are allowed to do, and if a session would be refused.

It asks the server for each permission that eshell can use in the namespace, and
tells for each capability whether it works, and what is missing. With a workload it
also sends what a session would create as a dry run, so that Pod Security, quotas
and admission policies judge it. It has your defaults of flags: ESHELL_REASON is
that of --reason. Nothing is created.

The exit status is 0 if a session of each --mode would start, 1 if one would be
refused, and 125 if eshell could not find out, or there is no such workload. A "no"
about anything else does not count: a session does without it.`,
		Example: `  # What you are allowed to do in this namespace
  kubectl eshell check

  # Would a clone of this deployment start?
  kubectl eshell check deploy/api --mode clone

  # What somebody else is allowed to do, for a program
  kubectl eshell check --as jane@example.com -o json`,
		ValidArgsFunction: answerer{c.flags}.workloads,
		RunE: func(cmd *cobra.Command, words []string) error {
			k.target = words
			if err := k.validate(); err != nil {
				return err
			}
			return c.run(cmd.Context(), func(ctx context.Context) (err error) {
				*status, err = c.check(ctx, k)
				return err
			})
		},
	}
	defineScope(command.Flags(), &k.mode, &k.via)
	command.Flags().StringVarP(&k.output, "output", "o", "", "print as `FORMAT`: json or yaml")
	return command
}

func (k checking) validate() error {
	err := cmp.Or(validateScope(k.mode, k.via), oneOf("output", k.output, "", "json", "yaml"))
	if err == nil && len(k.target) > 0 {
		_, err = workload.ParseReference(k.target)
	}
	return err
}

// check asks everything at once, prints the answers, and returns the exit status.
func (c *sessionCommand) check(ctx context.Context, k checking) (int, error) {
	capabilities := access.Capabilities(scopeOf(k.mode, k.via))
	var lacking []access.Permission
	var user, absent string
	var targets []finding
	var err, targetErr error
	var asked sync.WaitGroup
	asked.Go(func() {
		lacking, err = access.Lacking(ctx, c.cluster.Client, c.namespace, access.Permissions(capabilities))
	})
	asked.Go(func() { user = access.UserName(ctx, c.cluster.Client) })
	asked.Go(func() { absent = c.missingNamespace(ctx, "check") }) // permissions are the same in it
	asked.Go(func() { targets, targetErr = c.checkTarget(ctx, k) })
	asked.Wait()
	if next := hint.Of(targetErr); next != "" { // what was meant is not to be opened, but checked
		targetErr = hint.Wrap(targetErr, strings.ReplaceAll(next, "kubectl eshell ", "kubectl eshell check "))
	}
	if err := cmp.Or(err, targetErr); err != nil {
		return 0, err
	}
	if absent != "" {
		return 0, hint.Wrap(fmt.Errorf("namespaces %q not found", c.namespace), absent)
	}
	findings := make([]finding, 0, len(capabilities)+len(targets))
	for _, capability := range capabilities {
		f := judged(capability, lacking)
		// A target was read, perhaps by a rule that names it.
		f.session = f.session && (capability.Name != access.Workloads || len(targets) == 0)
		findings = append(findings, f)
	}
	findings = append(findings, targets...)
	if err := c.showFindings(k, findings); err != nil {
		return 0, err
	}
	c.tellNext(k, findings, user)
	if slices.ContainsFunc(findings, finding.refuses) {
		return refusedStatus, nil
	}
	return 0, nil
}

func judged(c access.Capability, lacking []access.Permission) finding {
	answer, unmet := c.Judge(lacking)
	f := finding{Name: c.Name, About: c.About, Mode: c.Mode, Answer: answer, session: c.Session}
	for _, n := range unmet {
		f.Missing = append(f.Missing, lack{n.Verb, n.Group, n.Resource, n.Without,
			n.Degree == access.Must && !c.Any})
	}
	return f
}

func (f finding) refuses() bool { return f.session && f.Answer == access.No }

// checkTarget rehearses a session of the target in each mode, at the same time. What is not there is an
// error, and so is a server that does not answer.
func (c *sessionCommand) checkTarget(ctx context.Context, k checking) ([]finding, error) {
	if len(k.target) == 0 {
		return nil, nil
	}
	modes := []string{access.Clone, access.Debug}
	if k.mode != modeAll {
		modes = []string{k.mode}
	}
	findings, errs := make([]finding, len(modes)), make([]error, len(modes))
	var asked sync.WaitGroup
	for i, mode := range modes {
		asked.Go(func() { findings[i], errs[i] = c.rehearse(ctx, k, mode) })
	}
	asked.Wait()
	return findings, cmp.Or(errs...)
}

// rehearse plans a session as it would be opened here and now, with the defaults of flags, and has the server
// judge it.
func (c *sessionCommand) rehearse(ctx context.Context, k checking, mode string) (finding, error) {
	f := newFlags()
	f.config = c.flags
	for flag, value := range map[string]string{"mode": mode, "dry-run": string(DryRunServer), "via": k.via} {
		if value == "" {
			continue
		}
		if err := f.set.Set(flag, value); err != nil {
			return finding{}, err
		}
	}
	o, err := f.withDefaults(ctx, k.target, -1)
	if err != nil {
		return finding{}, err
	}
	query, err := o.query(ctx, c.connection, c.streams.In)
	if err != nil {
		return finding{}, err
	}
	request := o.rehearsal(run.Request{Cluster: c.cluster, Query: query, Mode: o.Mode, Plan: o.Plan,
		Shells: c.shells})
	request.Session.Client, request.Session.Write = c.cluster.Client, o.write()
	noLease, refused := run.Rehearse(ctx, request)
	if isNoAnswer(ctx, refused) {
		return finding{}, refused
	}
	answer := rehearsed(o, noLease, refused)
	if by := policy.Refusal(refused); by != nil {
		answer.next = passing(by, slices.Concat(k.target, []string{"--mode", mode, "-n", c.namespace}))
	}
	return answer, nil
}

// isNoAnswer reports whether an error says nothing about a target: it or its type is not there, or the server
// was not reached.
func isNoAnswer(ctx context.Context, err error) bool {
	_, unreachable := errors.AsType[*url.Error](err)
	_, unknown := errors.AsType[*workload.UnknownTypeError](err)
	return err != nil && (ctx.Err() != nil || unreachable || unknown || apierrors.IsNotFound(err))
}

// rehearsed returns the answer about a target.
func rehearsed(o Options, noLease, refused error) finding {
	f := finding{Name: o.Reference.String(), Mode: string(o.Mode), Answer: access.Yes, session: true,
		About: hint.Command("a session of it, --mode %s", string(o.Mode))}
	switch {
	case refused != nil:
		text, next := inWords(refused)
		f.Answer, f.Reason, f.next = access.No, text, cmp.Or(hint.Of(refused), next)
	case noLease != nil:
		f.Answer, f.Reason = access.Partly, "it would have no lease: "+noLease.Error()
	}
	return f
}

func (c *sessionCommand) showFindings(k checking, findings []finding) error {
	if k.output != "" {
		return c.document(k.output, "CapabilityList", findings)
	}
	printer := printers.NewTablePrinter(printers.PrintOptions{})
	return written(printer.PrintObj(findingTable(findings), c.stdout))
}

func findingTable(findings []finding) *metav1.Table {
	return tabulate([]column[finding]{
		{"Capability", false, func(f finding) string { return f.Name }},
		{"Answer", false, func(f finding) string {
			if f.Answer == access.Partly {
				return "works, but"
			}
			return string(f.Answer)
		}},
		{"Missing", false, finding.missing},
		{"Details", false, finding.details},
	}, findings)
}

// missing returns the missing permissions, two of them at most.
func (f finding) missing() string {
	var names []string
	for _, l := range f.Missing {
		names = append(names, access.Permission{Verb: l.Verb, Group: l.Group, Resource: l.Resource}.String())
	}
	names = slices.Compact(names)
	if more := len(names) - 2; more > 0 {
		names = append(names[:2], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// details returns what is lost, or what is there. If all is lost, one reason is enough.
func (f finding) details() string {
	var lost []string
	for _, l := range f.Missing {
		if !slices.Contains(lost, l.Without) {
			lost = append(lost, l.Without)
		}
	}
	if f.Answer == access.No && len(lost) > 0 {
		lost = lost[:1]
	}
	switch {
	case f.Reason != "":
		return f.About + ": " + f.Reason
	case len(lost) > 0:
		return strings.Join(lost, "; ")
	}
	return f.About
}

// tellNext says what to type about what does not work. The server does not say who gives permissions.
func (c *sessionCommand) tellNext(k checking, findings []finding, user string) {
	for _, f := range findings {
		if f.next != "" {
			c.out.Say("hint: %s", inContext(f.Name+": "+f.next, c.out.kubeContext))
		}
	}
	if slices.ContainsFunc(findings, func(f finding) bool { return len(f.Missing) > 0 }) {
		c.out.Say("hint: %s", inContext("ask whoever manages roles in namespace "+c.namespace+
			" for this Role: "+grant(k.mode, k.via, c.namespace, user), c.out.kubeContext))
	}
}
