package cli

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/target"
)

// parse reads argv as the plugin does, and stops where the plugin would begin.
func parse(argv []string) (Options, error) {
	var parsed Options
	f := newFlags()
	command := &cobra.Command{
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			parsed, err = f.options(args, cmd.ArgsLenAtDash())
			return err
		},
	}
	f.addTo(command)
	command.SetArgs(argv)
	err := command.Execute()
	return parsed, err
}

// asked returns what "kubectl eshell deploy/api" asks for, with changes.
func asked(changes ...func(*Options)) Options {
	o := Options{
		Reference:    target.Reference{Kind: "Deployment", Name: "api"},
		Mode:         plan.ModeClone,
		Stdin:        true,
		StartTimeout: 2 * time.Minute,
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

// The whole command line: what is typed, and what it asks for.
func TestOptions(t *testing.T) {
	pod := func(o *Options) { o.Reference = target.Reference{Kind: "Pod", Name: "api"} }
	command := func(words ...string) func(*Options) { return func(o *Options) { o.Plan.Command = words } }
	env := func(changes ...plan.EnvChange) func(*Options) { return func(o *Options) { o.Plan.Env = changes } }
	tty := func(on bool) func(*Options) { return func(o *Options) { o.TTY = &on } }

	tests := []struct {
		argv []string
		want Options
	}{
		// The workload.
		{[]string{"deploy/api"}, asked()},
		{[]string{"deploy", "api"}, asked()},
		{[]string{"Deployments.apps/api"}, asked()},
		{[]string{"api"}, asked(pod)},
		{[]string{"pod/api"}, asked(pod)},

		// The command: what comes after -- is never read as ours.
		{[]string{"deploy/api", "--"}, asked()},
		{[]string{"deploy/api", "--", "id"}, asked(command("id"))},
		{[]string{"deploy", "api", "--", "ls", "-l", "--", "/"}, asked(command("ls", "-l", "--", "/"))},
		{[]string{"api", "--", "sh", "-c", "echo -q --mode debug"}, asked(pod, command("sh", "-c", "echo -q --mode debug"))},
		{[]string{"deploy/api", "--", ""}, asked(command(""))},
		{[]string{"deploy/api", "--command", "id"}, asked(command("id"))},
		{[]string{"deploy/api", "--command", "ls,-l", "--command", "/"}, asked(command("ls", "-l", "/"))},
		{[]string{"deploy/api", `--command=sh,-c,"echo a,b"`}, asked(command("sh", "-c", "echo a,b"))},

		// The container.
		{[]string{"deploy/api", "-c", "app"}, asked(func(o *Options) { o.Container = "app" })},
		{[]string{"--container=app", "deploy/api"}, asked(func(o *Options) { o.Container = "app" })},
		{[]string{"deploy/api", "--image", "busybox:1.37"}, asked(func(o *Options) { o.Plan.Image = "busybox:1.37" })},

		// Variables: a value is everything after the first "=", commas and all.
		{[]string{"deploy/api", "-e", "A=1"}, asked(env(plan.EnvChange{Name: "A", Value: "1"}))},
		{[]string{"deploy/api", "--env=A=x=y, z-"}, asked(env(plan.EnvChange{Name: "A", Value: "x=y, z-"}))},
		{[]string{"deploy/api", "-eA="}, asked(env(plan.EnvChange{Name: "A"}))},
		{[]string{"deploy/api", "-e", "A-"}, asked(env(plan.EnvChange{Name: "A", Remove: true}))},
		{[]string{"deploy/api", "-e", "my-app-"}, asked(env(plan.EnvChange{Name: "my-app", Remove: true}))},
		{[]string{"deploy/api", "-e", "B=2", "-e", "A-", "-e", "B=3"}, asked(env(
			plan.EnvChange{Name: "B", Value: "2"}, plan.EnvChange{Name: "A", Remove: true}, plan.EnvChange{Name: "B", Value: "3"}))},

		// Resources.
		{[]string{"deploy/api", "--cpu", "500m"}, asked(func(o *Options) { o.Plan.CPU = resource.MustParse("500m") })},
		{[]string{"deploy/api", "--memory", "2Gi"}, asked(func(o *Options) { o.Plan.Memory = resource.MustParse("2Gi") })},

		// How it runs.
		{[]string{"deploy/api", "--mode", "clone"}, asked()},
		{[]string{"deploy/api", "--mode=debug"}, asked(func(o *Options) { o.Mode = plan.ModeDebug })},
		{[]string{"deploy/api", "--via", "exec"}, asked(func(o *Options) { o.Plan.Via = plan.ViaExec })},
		{[]string{"deploy/api", "--via", "attach"}, asked(func(o *Options) { o.Plan.Via = plan.ViaAttach })},
		{[]string{"deploy/api", "-i=false"}, asked(func(o *Options) { o.Stdin = false })},
		{[]string{"deploy/api", "-t"}, asked(tty(true))},
		{[]string{"deploy/api", "-it"}, asked(tty(true))},
		{[]string{"deploy/api", "--tty=false"}, asked(tty(false))},
		{[]string{"deploy/api", "-q"}, asked(func(o *Options) { o.Quiet = true })},
		{[]string{"deploy/api", "--start-timeout", "90s"}, asked(func(o *Options) { o.StartTimeout = 90 * time.Second })},
		{[]string{"deploy/api", "-v", "6"}, asked(func(o *Options) { o.Verbosity = 6 })},

		// The connection is kubectl's own and asks for nothing here.
		{[]string{"-n", "shop", "deploy/api", "--context", "eu", "--as=me"}, asked()},

		{
			[]string{"-q", "sts", "db", "-tc", "pg", "-e", "A=1", "--cpu=2", "--", "psql", "-c", "select 1"},
			asked(tty(true), command("psql", "-c", "select 1"), env(plan.EnvChange{Name: "A", Value: "1"}), func(o *Options) {
				o.Reference = target.Reference{Kind: "StatefulSet", Name: "db"}
				o.Container, o.Quiet, o.Plan.CPU = "pg", true, resource.MustParse("2")
			}),
		},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.argv, " "), func(t *testing.T) {
			got, err := parse(tt.argv)
			if err != nil {
				t.Fatal(err)
			}
			if !equality.Semantic.DeepEqual(got, tt.want) {
				t.Errorf("options differ (-want +got):\n%s", diff.Diff(tt.want, got))
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	const (
		quantityHint = "for example: --cpu 500m, --memory 2Gi"
		notQuantity  = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
		notEnvName   = "a valid environment variable name must consist only of printable ASCII characters other than '='"
	)
	tests := []struct {
		argv      []string
		err, hint string
	}{
		{nil, "no workload was named", "kubectl eshell TYPE/NAME, for example: kubectl eshell deploy/api"},
		{[]string{"--", "id"}, "no workload was named", "kubectl eshell TYPE/NAME, for example: kubectl eshell deploy/api"},
		{
			[]string{"deploy/api", "bin/rails", "console"},
			"one workload was expected, but there are more words after deploy/api",
			"a command goes after two dashes: kubectl eshell TYPE/NAME [flags] -- COMMAND; each variable needs its own -e",
		},

		{[]string{"deploy/api", "--mode", "copy"}, `--mode "copy" is not one of: clone, debug`, ""},
		{[]string{"deploy/api", "--mode="}, `--mode "" is not one of: clone, debug`, ""},
		{[]string{"deploy/api", "--via", "ssh"}, `--via "ssh" is not one of: exec, attach`, ""},

		{[]string{"deploy/api", "--command", "id", "--", "ls"}, "the command is given twice: by --command and after --", ""},
		{[]string{"deploy/api", "--command", ""}, "--command is empty", ""},
		{[]string{"deploy/api", "--command", ",a"}, "--command is empty", ""},

		{[]string{"deploy/api", "-e", "TOKEN"}, `--env "TOKEN" is neither NAME=VALUE nor NAME-`, `to take the variable from here: -e "TOKEN=$TOKEN"`},
		{[]string{"deploy/api", "-e", "=s3cret"}, `--env: "" is not a name for a variable: environment variable name must be non-empty`, ""},
		{[]string{"deploy/api", "-e", "-"}, `--env: "" is not a name for a variable: environment variable name must be non-empty`, ""},
		{[]string{"deploy/api", "-e", "Ä=s3cret"}, `--env: "Ä" is not a name for a variable: ` + notEnvName, ""},
		{[]string{"deploy/api", "-e", "A=s3cret", "-e", "B"}, `--env "B" is neither NAME=VALUE nor NAME-`, `to take the variable from here: -e "B=$B"`},

		{[]string{"deploy/api", "--cpu", "lots"}, `--cpu "lots" is not a quantity: ` + notQuantity, quantityHint},
		{[]string{"deploy/api", "--memory", "2GB"}, `--memory "2GB" is not a quantity: ` + notQuantity, quantityHint},
		{[]string{"deploy/api", "--cpu", "0"}, `--cpu "0" is not more than zero`, ""},
		{[]string{"deploy/api", "--memory=-1Gi"}, `--memory "-1Gi" is not more than zero`, ""},

		{[]string{"deploy/api", "--start-timeout", "0"}, "--start-timeout 0s is not more than zero", ""},
		{[]string{"deploy/api", "--start-timeout=-1s"}, "--start-timeout -1s is not more than zero", ""},
		{[]string{"deploy/api", "--start-timeout", "5"}, `invalid argument "5" for "--start-timeout" flag: time: missing unit in duration "5"`, ""},

		{[]string{"deploy/api", "--replicas", "2"}, "unknown flag: --replicas", ""},
		{[]string{"deploy/api", "--evn=A=s3cret"}, "unknown flag: --evn", ""},
		{[]string{"deploy/api", "-e"}, "flag needs an argument: 'e' in -e", ""},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.argv, " "), func(t *testing.T) {
			got, err := parse(tt.argv)
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error: %s\nhint: %s\nwant error: %s\nhint: %s", err, hint.Of(err), tt.err, tt.hint)
			}
			if !equality.Semantic.DeepEqual(got, Options{}) {
				t.Errorf("options beside an error: %+v", got)
			}
		})
	}
}

// What is wrong elsewhere on the line never brings a variable's value into the error.
func TestSecretsAreNotRepeated(t *testing.T) {
	mistakes := [][]string{
		{},
		{"deploy/api", "and", "more"},
		{"node/a"},
		{"deploy/api", "--mode=x"},
		{"deploy/api", "--via=x"},
		{"deploy/api", "--cpu=x"},
		{"deploy/api", "--start-timeout=0"},
		{"deploy/api", "-e", "B"},
		{"deploy/api", "-e", "\x01=s3cret"},
		{"deploy/api", "-e", "B=s3cret", "--nonsense"},
	}
	for _, mistake := range mistakes {
		_, err := parse(slices.Concat([]string{"-e", "A=s3cret", "--env=C=s3cret"}, mistake))
		if err == nil {
			t.Errorf("%q: no error", mistake)
		} else if told := err.Error() + hint.Of(err); strings.Contains(told, "s3cret") {
			t.Errorf("%q: the value is in the error: %s", mistake, told)
		}
	}
}
