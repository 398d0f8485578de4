package cli

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

var update = flag.Bool("update", false, "write docs/flags.md")

const referencePage = "../../docs/flags.md"

// TestFlagReference: docs/flags.md is what the flags say themselves. With -update it is written.
func TestFlagReference(t *testing.T) {
	page := flagReference(t)
	if *update {
		if err := os.WriteFile(referencePage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != page {
		t.Errorf("docs/flags.md is not what the flags are: go test ./pkg/cli -run TestFlagReference -update")
	}
}

// TestFlagReferenceIsWhole: each command and each flag that the program takes has its row, and no other has.
func TestFlagReferenceIsWhole(t *testing.T) {
	page, status := flagReference(t), 0
	root := newCommand(genericiooptions.IOStreams{}, "v1.2.3", &status)
	want := withoutConnection(root)
	connectionFlags().VisitAll(want.AddFlag)
	for _, command := range listed(root) {
		if !strings.Contains(page, "\n## "+command.CommandPath()+"\n") {
			t.Errorf("%s is missing", command.CommandPath())
		}
		withoutConnection(command).VisitAll(func(f *pflag.Flag) {
			if want.Lookup(f.Name) == nil {
				want.AddFlag(f)
			}
		})
	}
	if unnamed := regexp.MustCompile("`--(output|dry-run)[= []+VALUE").FindString(page); unnamed != "" {
		t.Errorf("%s does not say what it takes", unnamed)
	}
	want.VisitAll(func(f *pflag.Flag) {
		if !regexp.MustCompile("(?m)^\\| `--" + f.Name + "[`= [].*\\| .+ \\|$").MatchString(page) {
			t.Errorf("--%s has no row", f.Name)
		}
	})
}

const referenceHeading = `# Flags

All commands and their flags, as ` + "`kubectl eshell --help`" + ` has them. This page is written by a test, which
fails when it is out of date ([testing.md](testing.md#pages)). [clone.md](clone.md), [debug.md](debug.md) and
[sessions.md](sessions.md) say what they do in full.

`

// flagReference returns the text of docs/flags.md.
func flagReference(t *testing.T) string {
	t.Setenv("HOME", "~")
	t.Setenv("KUBECACHEDIR", "")
	status := 0
	root := newCommand(genericiooptions.IOStreams{}, "", &status)
	var page bytes.Buffer
	page.WriteString(referenceHeading)
	writeUsage(&page, "kubectl eshell", usageLine, root.Short)
	page.WriteString("\nA flag of mode clone is refused with `--mode debug`, and one of mode debug without it.\n")
	groups := newFlags().groups
	for i, g := range groups {
		if i == 0 || groups[i-1].title != g.title {
			fmt.Fprintf(&page, "\n### %s\n\n| flag | default | mode | |\n|---|---|---|---|\n", g.title)
		}
		g.VisitAll(func(f *pflag.Flag) {
			name, value, says := referenceRow(f)
			says, isOfClones := strings.CutSuffix(says, " (clone)")
			mode := cmp.Or(string(g.mode), "both")
			if isOfClones {
				mode = string(plan.ModeClone)
			}
			fmt.Fprintf(&page, "| %s |%s | %s | %s |\n", name, value, mode, says)
		})
	}
	for _, command := range listed(root) {
		page.WriteString("\n")
		writeUsage(&page, command.CommandPath(), command.UseLine(), command.Short)
		writeTable(&page, withoutConnection(command))
	}
	page.WriteString("\n## Connection\n\nEvery command takes these flags of kubectl's.\n")
	writeTable(&page, connectionFlags())
	return page.String()
}

// listed returns the commands that the help lists, each with its own.
func listed(parent *cobra.Command) []*cobra.Command {
	var commands []*cobra.Command
	for _, command := range parent.Commands() {
		if !command.Hidden && command.Name() != "help" {
			commands = append(append(commands, command), listed(command)...)
		}
	}
	return commands
}

func connectionFlags() *pflag.FlagSet {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	genericclioptions.NewConfigFlags(true).AddFlags(set)
	return set
}

// withoutConnection returns the flags that are a command's own.
func withoutConnection(command *cobra.Command) *pflag.FlagSet {
	own, connection := pflag.NewFlagSet("", pflag.ContinueOnError), connectionFlags()
	own.SortFlags = false
	command.Flags().VisitAll(func(f *pflag.Flag) {
		if connection.Lookup(f.Name) == nil && !f.Hidden {
			own.AddFlag(f)
		}
	})
	return own
}

func writeUsage(page *bytes.Buffer, title, usage, short string) {
	fmt.Fprintf(page, "## %s\n\n%s.\n\n<!-- not run: a summary of what can be typed -->\n```text\n%s\n```\n",
		title, short, usage)
}

// writeTable writes the flags of a command that has one mode only.
func writeTable(page *bytes.Buffer, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		page.WriteString("\nIt has no flags of its own.\n")
		return
	}
	page.WriteString("\n| flag | default | |\n|---|---|---|\n")
	set.VisitAll(func(f *pflag.Flag) {
		name, value, says := referenceRow(f)
		fmt.Fprintf(page, "| %s |%s | %s |\n", name, value, says)
	})
}

var saidDefault = regexp.MustCompile(` \(default:? ([^()]+)\)`)

// referenceRow returns the cells of a flag: its names with what they take, its default, and what it does.
func referenceRow(f *pflag.Flag) (name, value, says string) {
	takes, says := pflag.UnquoteUsage(f)
	if strings.HasPrefix(takes, "string") { // how kubectl's flags are parsed, not what they take
		takes = "VALUE"
	}
	name = "`--" + f.Name
	switch {
	case f.Value.Type() == "bool":
	case f.NoOptDefVal != "":
		name += "[=" + takes + "]"
	default:
		name += " " + takes
	}
	name += "`"
	if f.Shorthand != "" {
		name += ", `-" + f.Shorthand + "`"
	}
	if !slices.Contains([]string{"", "0", "false", "[]"}, f.DefValue) {
		value = " `" + f.DefValue + "`"
	}
	if said := saidDefault.FindStringSubmatch(says); said != nil {
		value, says = " "+said[1], saidDefault.ReplaceAllString(says, "")
	}
	return name, value, strings.ReplaceAll(says, "|", `\|`)
}
