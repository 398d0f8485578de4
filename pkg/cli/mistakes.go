package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// instead is what eshell has in place of the flags of kubectl debug, kubectl run, kubectl get, oc debug and
// heroku run.
func instead(flag string) string {
	return map[string]string{
		"A":               "a session is in one namespace: -n NAMESPACE",
		"all-namespaces":  "a session is in one namespace: -n NAMESPACE",
		"attach":          "attach to a session of yours: kubectl eshell attach NAME",
		"copy-to":         "leave it out: a clone is what you get, and it has a name of its own",
		"debug":           "--mode debug",
		"detached":        "--detach",
		"l":               "name one workload: kubectl eshell TYPE/NAME",
		"node-name":       "--node NODE",
		"profile":         "leave it out: the session has the container's own security context",
		"replace":         "leave it out: a clone changes no other pod",
		"restart":         "leave it out: a session's pod is never restarted",
		"rm":              "leave it out: a session always removes what it creates",
		"same-node":       "--node NODE",
		"selector":        "name one workload: kubectl eshell TYPE/NAME",
		"share-processes": "--mode debug",
		"target":          "-c CONTAINER --mode debug",
		"to-namespace":    "-n NAMESPACE",
	}[flag]
}

// explainFlag adds a hint to an error about flags: what a flag that is not there may have been meant for, or
// where flags are listed.
func explainFlag(cmd *cobra.Command, err error, listed string) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &invalid):
		return fmt.Errorf("--%s %q is not %s", invalid.GetFlag().Name, invalid.GetValue(),
			kindOfValue(invalid.GetFlag().Value.Type()))
	case !errors.As(err, &unknown):
		return hint.Wrap(err, listed)
	}
	flag := unknown.GetSpecifiedName()
	if next := instead(flag); next != "" && cmd.Parent() == nil {
		return hint.Wrap(err, next)
	}
	var flags []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	if closest := hint.Closest(flag, flags); len(closest) > 0 && len(flag) > 1 {
		return hint.Wrap(err, "did you mean: --"+strings.Join(closest, ", --"))
	}
	return hint.Wrap(err, listed)
}

// kindOfValue returns what a flag's value has to be, in words.
func kindOfValue(typ string) string {
	switch typ {
	case "int", "int32", "int64":
		return "a number"
	case "bool":
		return "true or false"
	}
	return "a valid " + typ
}

// explainDashes adds a hint to the error about an unknown flag that may be one of a command's: the command
// line with two dashes in it.
func explainDashes(cmd *cobra.Command, args []string, err error) error {
	var unknown *pflag.NotExistError
	words := cmd.Flags().Args()
	if !errors.As(err, &unknown) || len(words) == 0 || slices.Contains(args, "--") {
		return err
	}
	named := 2 // TYPE NAME
	if strings.Contains(words[0], "/") || cmd.Parent() != nil {
		named = 1
	}
	if len(words) <= named {
		return err
	}
	last := slices.Index(args, words[named-1])
	at := last + 1 + slices.Index(args[last+1:], words[named])
	typed := slices.Concat(args[:at], []string{"--"}, args[at:])
	return hint.Wrap(err, hint.Command("a command goes after two dashes: kubectl eshell"+
		strings.Repeat(" %s", len(typed)), typed...))
}

// explainWord adds a hint to the error about a workload or a type that is not there, if a command may have
// been meant.
func explainWord(cmd *cobra.Command, words []string, err error) error {
	_, noType := errors.AsType[*workload.UnknownTypeError](err)
	if len(words) == 0 || strings.Contains(words[0], "/") || !noType && !apierrors.IsNotFound(err) {
		return err
	}
	var commands []string
	for _, c := range cmd.Commands() {
		commands = append(commands, c.Name())
	}
	for _, meant := range hint.Closest(words[0], commands) {
		typed := slices.Concat([]string{meant}, words[1:])
		return hint.Wrap(err, hint.Command("did you mean: kubectl eshell"+strings.Repeat(" %s", len(typed)),
			typed...))
	}
	return err
}
