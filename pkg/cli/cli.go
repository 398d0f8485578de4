// Package cli is the command line. It turns flags and arguments into Options, a session's progress and errors
// into lines, and an outcome into an exit status. It decides nothing about workloads.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/picker"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// Main runs kubectl eshell with args and returns its exit status. Cancelling ctx ends a session and cleans
// up. A cause of type Signal becomes the status 128+n.
func Main(ctx context.Context, args []string, streams genericiooptions.IOStreams, version string) int {
	if isCompletion(args) {
		return complete(ctx, args, streams, version)
	}
	status := 0
	told := narrate(streams.ErrOut)
	defer told.wait(lastTime)
	streams.ErrOut = told
	command := newCommand(streams, version, &status)
	command.SetArgs(args)
	executed, err := command.ExecuteContextC(ctx)
	if err == nil {
		return status
	}
	kubeContext := ""
	if flag := executed.Flag("context"); flag != nil {
		kubeContext = flag.Value.String()
	}
	return report(told, explainPolicy(executed, args, explainDashes(executed, args, err)), kubeContext)
}

const long = `Open a shell next to a workload.

By default (--mode clone) eshell starts a new, temporary pod from the workload's
pod template: same image, environment and identity, but no traffic reaches it.
It is deleted when you leave, and lives for --ttl at most. With --mode debug
eshell adds an ephemeral container to a running pod, which sees the processes of
its container.

Without a workload you choose one from a list, on a terminal.

Without a command it opens bash, or sh where there is no bash. The exit status
is the command's own, 128+n after a signal n, and 125 when eshell itself fails.

To open a pod that is named like one of the commands below, write pod/NAME.`

const example = `  # A shell in a clone of the pods of a deployment
  kubectl eshell deploy/api

  # A command, with more memory and another variable than the workload has
  kubectl eshell deploy/api --memory 2Gi -e RAILS_LOG_LEVEL=debug -- bin/rails console

  # A script from here, its output to here
  kubectl eshell cronjob/report -i -- python - < script.py > report.csv

  # What a clone would be and why; nothing is created
  kubectl eshell deploy/api --explain

  # A shell that sees the processes of a running container
  kubectl eshell pod/api-7d4b9 -c app --mode debug`

func newCommand(streams genericiooptions.IOStreams, version string, status *int) *cobra.Command {
	f := newFlags()
	f.config.WithWrapConfigFn(identify(version))
	command := &cobra.Command{
		Use:           "kubectl-eshell " + arguments,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl eshell"},
		Short:         "Open a shell next to a workload",
		Long:          long,
		Example:       example,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // an argument that is not a command is a workload
		RunE: func(cmd *cobra.Command, args []string) error {
			f.unnamed = canChoose(streams)
			if len(args) == 0 && cmd.Flags().NFlag() == 0 && cmd.ArgsLenAtDash() < 0 && !f.unnamed {
				*status = failed
				_, err := io.WriteString(streams.ErrOut, shortUsage)
				return err
			}
			options, err := f.withDefaults(cmd.Context(), args, cmd.ArgsLenAtDash())
			if err != nil {
				return err
			}
			out := newPrinter(streams.ErrOut, options.Quiet)
			out.noteDefaults(f)
			setLogs(options.Verbosity, out.out)
			c, err := connect(cmd.Context(), f.config, out)
			if err != nil {
				return err
			}
			out.context, out.kubeContext = c.context, *f.config.Context
			if options.isUnnamed() {
				options, err = options.choose(cmd.Context(), c, cmd.Flags(), streams.In, out)
				if err != nil {
					return err
				}
			}
			*status, err = options.execute(cmd.Context(), c, streams, out)
			return explainWord(cmd, args, err)
		},
	}
	command.CompletionOptions.DisableDefaultCmd = true // ours prints the same, and installs
	command.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return explainFlag(cmd, err, "list the flags: kubectl eshell --help, kubectl eshell options; "+
			"a command and its own flags go after two dashes: -- ls -l")
	})
	f.addTo(command)
	command.AddCommand(sessionCommands(streams, version, status)...)
	command.AddCommand(newOptions(streams), newCompletion(streams), newConfig(streams),
		newPolicy(streams))
	command.SetIn(streams.In)
	command.SetOut(streams.Out)
	command.SetErr(streams.ErrOut)
	return command
}

// failed is the exit status when eshell itself fails. env, timeout, nohup and docker run use the same one,
// which is outside the range that commands return.
const failed = 125

// Signal is the cause of a context that was cancelled by a signal.
type Signal struct{ syscall.Signal }

// Error names the signal.
func (s Signal) Error() string { return "ended by a signal: " + s.Signal.String() }

// escaped is the cause of a context that the user has cancelled by the escape character, as if the terminal
// had been closed.
type escaped struct{ signal Signal }

func (e escaped) Error() string { return "ended from the keyboard" }

// Unwrap returns the signal whose exit status it has.
func (e escaped) Unwrap() error { return e.signal }

// exitStatus maps an error to an exit status. Nothing else does.
func exitStatus(err error) int {
	if signal, ok := errors.AsType[Signal](err); ok {
		return 128 + int(signal.Signal)
	}
	if _, ok := errors.AsType[*stream.OutputError](err); ok && isGone(err, runtime.GOOS) {
		return 128 + int(syscall.SIGPIPE)
	}
	if errors.Is(err, picker.ErrCancelled) { // on a raw terminal Ctrl-C is a key
		return 128 + int(syscall.SIGINT)
	}
	return failed
}

// isGone reports whether an error of writing means, on an operating system, that the reader has gone. Windows
// says ERROR_BROKEN_PIPE or ERROR_NO_DATA:
// https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes--0-499-
func isGone(err error, system string) bool {
	return errors.Is(err, syscall.EPIPE) ||
		system == "windows" && (errors.Is(err, syscall.Errno(109)) || errors.Is(err, syscall.Errno(232)))
}

// report prints an error, with its hint on a separate line, and returns the exit status. It prints nothing if
// the reader of the output has gone, as head does, or if the user has left a list without choosing.
// kubeContext is that of --context.
func report(out io.Writer, err error, kubeContext string) int {
	status := exitStatus(err)
	if status == 128+int(syscall.SIGPIPE) || errors.Is(err, picker.ErrCancelled) {
		return status
	}
	text, next := inWords(err)
	fmt.Fprintf(out, "error: %s\n", plain(text))
	if next = cmp.Or(hint.Of(err), next, lacking(err)); next != "" {
		fmt.Fprintf(out, "hint: %s\n", plain(inContext(next, kubeContext)))
	}
	return status
}

var kubectlCommand = regexp.MustCompile(`kubectl (eshell |config get-)?`)

// inContext adds --context, if it was given, to the commands of a hint, so that they mean the same cluster. A
// plugin takes no flags before its name. What lists the kubeconfig is of no context.
func inContext(next, kubeContext string) string {
	if kubeContext == "" {
		return next
	}
	return kubectlCommand.ReplaceAllStringFunc(next, func(command string) string {
		if strings.HasSuffix(command, "get-") {
			return command
		}
		return command + hint.Command("--context %s ", kubeContext)
	})
}
