package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
)

// completer is the name by which kubectl calls a plugin's completion, with the words after "kubectl eshell".
// https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#tab-completion-of-plugins
const completer = "kubectl_complete-eshell"

// Args returns the arguments of a process by all of its words. If kubectl calls it for completion, the first
// is cobra's command for that.
func Args(words []string) []string {
	if strings.TrimSuffix(filepath.Base(words[0]), ".exe") == completer {
		return append([]string{cobra.ShellCompRequestCmd}, words[1:]...)
	}
	return words[1:]
}

func isCompletion(args []string) bool {
	return len(args) > 0 &&
		(args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// tabTime is how long a person waits for the answer to the Tab key without losing their rhythm.
const tabTime = 300 * time.Millisecond

// The directives of an answer without words: a shell offers its files, or nothing.
// https://pkg.go.dev/github.com/spf13/cobra#ShellCompDirective
const (
	offerFiles   = ":0\n"
	offerNothing = ":4\n"
)

// complete answers a shell in time or not at all. Nothing goes to stderr, which is the user's prompt: neither
// what the server warns of nor what a program says that gets credentials.
func complete(ctx context.Context, args []string, streams genericiooptions.IOStreams, version string) int {
	answer := offerNothing
	if typed := len(args) - 1; typed > 0 && slices.Contains(args[1:typed], "--") {
		answer = offerFiles // a command in the container, of which nothing is known here
	} else if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = null
		setLogs(0, io.Discard)
		ctx, cancel := context.WithTimeout(ctx, tabTime)
		defer cancel()
		if text, err := bounded.Call(ctx, func() (string, error) {
			return answerTo(ctx, args, version)
		}); err == nil {
			answer = text
		}
	}
	_, _ = io.WriteString(streams.Out, answer) // a shell that has gone needs none
	return 0
}

// answerTo returns the words for a command line that ends in an incomplete word, and cobra's directive.
func answerTo(ctx context.Context, args []string, version string) (string, error) {
	var out strings.Builder
	silent := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: io.Discard}
	command := newCommand(silent, version, new(int))
	command.SetArgs(args)
	command.SetHelpCommand(&cobra.Command{}) // cobra offers it before all other words: one that is empty
	for _, c := range command.Commands() {
		c.Hidden = true // typesAndCommands offers them, after the types
	}
	if err := command.ExecuteContext(ctx); err != nil {
		return "", err
	}
	text := strings.TrimPrefix(out.String(), "\n") // the command without a name
	text = strings.ReplaceAll(text, "`", "")       // which mark the value in a flag's description
	switch rest, wrong := strings.CutSuffix(text, offerFiles); {
	case wrong: // by cobra, after a flag that is not there or has no valid value
		return rest + offerNothing, nil
	case text == filesWanted:
		return offerFiles, nil
	}
	return text, nil
}

// askForFiles is the directive of a flag that names a file, and filesWanted its answer: cobra uses the number
// of the directive itself for its own errors too.
const (
	askForFiles = cobra.ShellCompDirectiveKeepOrder
	filesWanted = ":32\n"
)

// answerer answers for one of the commands.
type answerer struct {
	config *genericclioptions.ConfigFlags
}

// answer has the type of cobra's completion functions.
type answer = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// request connects to the cluster, and calls list for the words to offer.
func (a answerer) request(list func(ctx context.Context, c connection, q question) []string) answer {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		// There is nobody to answer what a program that gets credentials asks.
		a.config.WithWrapConfigFn(func(config *rest.Config) *rest.Config {
			if config.ExecProvider != nil {
				config.ExecProvider.StdinUnavailable = true
			}
			return config
		})
		c, err := connect(cmd.Context(), a.config, newPrinter(io.Discard, true))
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		words := list(cmd.Context(), c, question{cmd, args, typed})
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// question is a command line that ends in a word which is not complete.
type question struct {
	command *cobra.Command
	args    []string // without flags
	typed   string
}

// offer returns the words that complete what was typed, each with its description in one line.
func offer(typed string, words ...[2]string) (offered []string) {
	for _, word := range words {
		if strings.HasPrefix(word[0], typed) && cell(word[0]) == word[0] {
			offered = append(offered, cobra.CompletionWithDesc(word[0], cell(word[1])))
		}
	}
	return offered
}
