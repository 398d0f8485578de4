package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// newCompletion returns the command that turns completion on: by a script for this program's own name, or by
// a link that kubectl calls.
func newCompletion(streams genericiooptions.IOStreams) *cobra.Command {
	command := &cobra.Command{
		Use:   "completion (install | uninstall | bash | zsh | fish | powershell)",
		Short: "Complete the words of kubectl eshell",

		DisableFlagsInUseLine: true,
		Long: `Complete the words of kubectl eshell on the Tab key.

install creates the link kubectl_complete-eshell beside the plugin, for kubectl,
whose own completion has to be on. uninstall deletes it. bash, zsh, fish and
powershell print a script that completes the words of kubectl-eshell.`,
		Example: `  # For kubectl eshell
  kubectl eshell completion install

  # For kubectl-eshell, in bash
  source <(kubectl-eshell completion bash)`,
		ValidArgsFunction: fixed(completionWords()...),
		RunE: func(cmd *cobra.Command, words []string) error {
			if len(words) != 1 {
				return hint.Wrap(fmt.Errorf("expected one word, got %d", len(words)),
					completionUsage)
			}
			return doCompletion(cmd.Root(), words[0], streams)
		},
	}
	command.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := fmt.Fprintf(cmd.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(),
			cmd.Example)
		return err
	})
	return command
}

// completionWords are what the command takes, with their descriptions.
func completionWords() [][2]string {
	const script = "print a script for kubectl-eshell"
	return [][2]string{{"install", "for kubectl eshell"}, {"uninstall"}, {"bash", script}, {"zsh", script},
		{"fish", script}, {"powershell", script}}
}

const completionUsage = "kubectl eshell completion install, or one of: uninstall, bash, zsh, fish, powershell"

func doCompletion(root *cobra.Command, word string, streams genericiooptions.IOStreams) error {
	switch word {
	case "install":
		return installCompletion(streams.Out)
	case "uninstall":
		return uninstallCompletion(streams.Out)
	case "bash":
		return written(root.GenBashCompletionV2(streams.Out, true))
	case "zsh":
		return written(root.GenZshCompletion(streams.Out))
	case "fish":
		return written(root.GenFishCompletion(streams.Out, true))
	case "powershell":
		return written(root.GenPowerShellCompletionWithDesc(streams.Out))
	}
	err := fmt.Errorf("completion has no %q", word)
	var names []string
	for _, known := range completionWords() {
		names = append(names, known[0])
	}
	for _, meant := range hint.Closest(word, names) {
		return hint.Wrap(err, hint.Command("did you mean: kubectl eshell completion %s", meant))
	}
	return hint.Wrap(err, completionUsage)
}

func installCompletion(out io.Writer) error {
	plugin, link, err := findCompleter()
	if err != nil {
		return err
	}
	switch ours, err := isOurLink(link, plugin); {
	case err == nil && ours:
		return say(out, link+" is there already", nextStep())
	case err == nil:
		return fmt.Errorf("%s is there, and it is no link to %s", link, plugin)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	// A relative link stays right when the folder moves. Beside krew's own link, which leads to the version
	// that is installed, it outlives an upgrade.
	err = os.Symlink(filepath.Base(plugin), link)
	if err != nil && runtime.GOOS == "windows" { // where links need a right that few users have
		err = os.Link(plugin, link)
	}
	if err != nil {
		return hint.Wrap(err, hint.Command("as a user who is allowed to write there: ln -s %s %s",
			filepath.Base(plugin), link))
	}
	return say(out, fmt.Sprintf("created the link %s to %s", link, plugin), nextStep())
}

func uninstallCompletion(out io.Writer) error {
	plugin, link, err := findCompleter()
	if err != nil {
		return err
	}
	ours, err := isOurLink(link, plugin)
	if errors.Is(err, os.ErrNotExist) {
		return say(out, "there is no "+link)
	}
	if err == nil && !ours {
		return fmt.Errorf("%s is no link to %s, so it is left alone", link, plugin)
	}
	if err != nil {
		return err
	}
	if err := os.Remove(link); err != nil {
		return hint.Wrap(err, hint.Command("as a user who is allowed to write there: rm %s", link))
	}
	return say(out, "deleted the link "+link)
}

// findCompleter returns the plugin as kubectl finds it, and the path of the link beside it. The plugin may be
// a link itself, which is not followed.
func findCompleter() (plugin, link string, err error) {
	found, err := exec.LookPath("kubectl-eshell")
	if err != nil {
		return "", "", hint.Wrap(fmt.Errorf("the plugin is not where plugins are looked for: %w", err),
			"put the folder of kubectl-eshell on the PATH")
	}
	if plugin, err = filepath.Abs(found); err != nil {
		return "", "", err
	}
	return plugin, filepath.Join(filepath.Dir(plugin), completer+filepath.Ext(plugin)), nil
}

// isOurLink reports whether a file is a link to the plugin, or another name of its file.
func isOurLink(link, plugin string) (bool, error) {
	info, err := os.Lstat(link)
	if err != nil {
		return false, err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		to, err := os.Readlink(link)
		return to == filepath.Base(plugin) || to == plugin, err
	}
	itself, err := os.Stat(plugin)
	return err == nil && os.SameFile(info, itself), err
}

// nextStep returns what is left to do, for the user's shell.
func nextStep() string {
	switch filepath.Base(os.Getenv("SHELL")) {
	case "bash":
		return "kubectl's own completion has to be on. In bash: source <(kubectl completion bash)"
	case "zsh":
		return "kubectl's own completion has to be on. In zsh: source <(kubectl completion zsh)"
	case "fish":
		return "kubectl's own completion has to be on. In fish: kubectl completion fish | source"
	}
	return "kubectl's own completion has to be on: kubectl completion --help"
}

func say(out io.Writer, lines ...string) error {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(plain(line) + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return written(err)
}
