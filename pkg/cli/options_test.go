package cli

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/record"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/words"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// parse reads argv as the plugin does, and stops where the plugin would begin.
func parse(argv []string) (Options, error) {
	var parsed Options
	f := newFlags()
	command := &cobra.Command{
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			parsed, err = f.options(cmd.Context(), args, cmd.ArgsLenAtDash())
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
		Reference:    workload.Reference{Kind: "Deployment", Name: "api"},
		Mode:         plan.ModeClone,
		DryRun:       DryRunNone,
		StartTimeout: 2 * time.Minute, Escape: '~',
		Plan:   plan.Options{HeartbeatTimeout: 2 * time.Minute, TTL: 8 * time.Hour},
		Record: recordOptions{Format: record.V3},
	}
	for _, change := range changes {
		change(&o)
	}
	return o
}

func inDebug(change func(*Options)) func(*Options) {
	return func(o *Options) {
		o.Mode = plan.ModeDebug
		if change != nil {
			change(o)
		}
	}
}

// The whole command line: what is typed, and what it asks for.
func TestOptions(t *testing.T) {
	pod := func(o *Options) { o.Reference = workload.Reference{Kind: "Pod", Name: "api"} }
	command := func(words ...string) func(*Options) { return func(o *Options) { o.Plan.Command = words } }
	env := func(changes ...plan.EnvChange) func(*Options) { return func(o *Options) { o.Plan.Env = changes } }
	wish := func(w isolation.LabelOptions) func(*Options) { return func(o *Options) { o.Plan.Labels = w } }
	parts := func(p plan.Components) func(*Options) { return func(o *Options) { o.Plan.Components = p } }
	identity := func(i plan.Identity) func(*Options) { return func(o *Options) { o.Plan.Identity = i } }
	overrides := func(patch, kind string) func(*Options) {
		return func(o *Options) { o.Plan.Overrides = plan.Overrides{Patch: patch, Type: kind} }
	}
	manifest := func(file string) func(*Options) {
		return func(o *Options) { o.Filename, o.Reference = file, workload.Reference{} }
	}
	dryRun := func(by DryRun, output string) func(*Options) {
		return func(o *Options) { o.DryRun, o.Output = by, output }
	}
	detach := func(o *Options) { o.Plan.Detach = true }
	explain := func(o *Options) { o.Explain = true }
	noStdin := func(o *Options) { o.Stdin = new(false) }
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
		{[]string{"api", "--", "sh", "-c", "echo -q --mode debug"},
			asked(pod, command("sh", "-c", "echo -q --mode debug"))},
		{[]string{"deploy/api", "--", ""}, asked(command(""))},
		{[]string{"deploy/api", "--command", "id"}, asked(command("id"))},
		{[]string{"deploy/api", "--command", "ls,-l", "--command", "/"}, asked(command("ls", "-l", "/"))},
		{[]string{"deploy/api", `--command=sh,-c,"echo a,b"`}, asked(command("sh", "-c", "echo a,b"))},

		// The container.
		{[]string{"deploy/api", "-c", "app"}, asked(func(o *Options) { o.Container = "app" })},
		{[]string{"--container=app", "deploy/api"}, asked(func(o *Options) { o.Container = "app" })},
		{[]string{"deploy/api", "--image", "busybox:1.37"},
			asked(func(o *Options) { o.Plan.Image = "busybox:1.37" })},

		// Variables: a value is everything after the first "=", commas and all.
		{[]string{"deploy/api", "-e", "A=1"}, asked(env(plan.EnvChange{Name: "A", Value: "1"}))},
		{[]string{"deploy/api", "--env=A=x=y, z-"}, asked(env(plan.EnvChange{Name: "A", Value: "x=y, z-"}))},
		{[]string{"deploy/api", "-eA="}, asked(env(plan.EnvChange{Name: "A"}))},
		{[]string{"deploy/api", "-e", "A-"}, asked(env(plan.EnvChange{Name: "A", Remove: true}))},
		{[]string{"deploy/api", "-e", "my-app-"}, asked(env(plan.EnvChange{Name: "my-app", Remove: true}))},
		{[]string{"deploy/api", "-e", "B=2", "-e", "A-", "-e", "B=3"}, asked(env(
			plan.EnvChange{Name: "B", Value: "2"}, plan.EnvChange{Name: "A", Remove: true},
			plan.EnvChange{Name: "B", Value: "3"}))},

		// Resources.
		{[]string{"deploy/api", "--cpu", "500m"},
			asked(func(o *Options) { o.Plan.CPU = resource.MustParse("500m") })},
		{[]string{"deploy/api", "--memory", "2Gi"},
			asked(func(o *Options) { o.Plan.Memory = resource.MustParse("2Gi") })},

		// Without a client: stdin is nobody's, so a manifest may come from it.
		{[]string{"deploy/api", "--record=a.cast", "--record-format=v2", "--record-input"},
			asked(func(o *Options) { o.Record = recordOptions{"a.cast", record.V2, true} })},
		{[]string{"deploy/api", "--detach"}, asked(detach)},
		{[]string{"deploy/api", "--detach", "-i=false", "--tty=false"}, asked(noStdin, detach, tty(false))},
		{[]string{"-f", "-", "--detach"}, asked(detach, manifest("-"))},
		{[]string{"deploy/api", "--detach", "--via=attach", "--", "id"},
			asked(detach, command("id"), func(o *Options) { o.Plan.Via = agent.ViaAttach })},
		{[]string{"deploy/api", "--detach", "--via=exec"},
			asked(detach, func(o *Options) { o.Plan.Via = agent.ViaExec })},
		{[]string{"deploy/api", "--detach", "--dry-run=client"},
			asked(detach, dryRun(DryRunClient, ""))},

		// How long it lives.
		{[]string{"deploy/api", "--lease", "20s", "--ttl=1h"},
			asked(func(o *Options) { o.Plan.HeartbeatTimeout, o.Plan.TTL = 20*time.Second, time.Hour })},
		{[]string{"deploy/api", "--pull", "missing"},
			asked(func(o *Options) { o.Plan.Pull = corev1.PullIfNotPresent })},
		{[]string{"deploy/api", "--ttl", "2d"}, asked(func(o *Options) { o.Plan.TTL = 48 * time.Hour })},
		{[]string{"deploy/api", "--dry-run", "-o", "yaml"}, asked(dryRun(DryRunClient, "yaml"))},
		{[]string{"deploy/api", "--ttl", "30s"}, asked(func(o *Options) { o.Plan.TTL = 30 * time.Second })},
		{[]string{"deploy/api", "--lease=20400ms", "--ttl=90600ms"},
			asked(func(o *Options) { o.Plan.HeartbeatTimeout, o.Plan.TTL = 20*time.Second, 91*time.Second })},
		{[]string{"deploy/api", "--reason", "incident 12"},
			asked(func(o *Options) { o.Plan.Reason = "incident 12" })},
		{[]string{"deploy/api", "--wait"}, asked(func(o *Options) { o.Wait = true })},

		// How it runs.
		{[]string{"deploy/api", "--mode", "clone"}, asked()},
		{[]string{"deploy/api", "--mode=debug"}, asked(func(o *Options) { o.Mode = plan.ModeDebug })},
		{[]string{"deploy/api", "--via", "exec"}, asked(func(o *Options) { o.Plan.Via = agent.ViaExec })},
		{[]string{"deploy/api", "--via", "attach"}, asked(func(o *Options) { o.Plan.Via = agent.ViaAttach })},
		{[]string{"deploy/api", "-i=false"}, asked(noStdin)},
		{[]string{"deploy/api", "-t"}, asked(tty(true))},
		{[]string{"deploy/api", "-it"}, asked(tty(true), func(o *Options) { o.Stdin = new(true) })},
		{[]string{"deploy/api", "--tty=false"}, asked(tty(false))},
		{[]string{"deploy/api", "--escape", "none"}, asked(func(o *Options) { o.Escape = 0 })},
		{[]string{"deploy/api", "--detach-keys", "ctrl-p,ctrl-q"}, asked(func(o *Options) {
			o.DetachKeys, o.Typed = []byte{'P' - '@', 'Q' - '@'}, []string{"detach-keys"}
		})},
		{[]string{"deploy/api", "--detach-keys=a,DEL"}, asked(func(o *Options) {
			o.DetachKeys, o.Typed = []byte{'a', 0x7f}, []string{"detach-keys"}
		})},
		{[]string{"deploy/api", "--detach-keys=none"},
			asked(func(o *Options) { o.Typed = []string{"detach-keys"} })},
		{[]string{"deploy/api", "--idle", "15m"},
			asked(func(o *Options) { o.Idle, o.Typed = 15*time.Minute, []string{"idle"} })},
		{[]string{"deploy/api", "--idle=1d"},
			asked(func(o *Options) { o.Idle, o.Typed = 24*time.Hour, []string{"idle"} })},
		{[]string{"deploy/api", "--idle=0", "--detach"},
			asked(detach, func(o *Options) { o.Typed = []string{"idle"} })},
		{[]string{"deploy/api", "--escape=^"}, asked(func(o *Options) { o.Escape = '^' })},
		{[]string{"deploy/api", "-q"}, asked(func(o *Options) { o.Quiet = true })},
		{[]string{"deploy/api", "--start-timeout", "90s"},
			asked(func(o *Options) { o.StartTimeout = 90 * time.Second })},
		{[]string{"deploy/api", "-v", "6"}, asked(func(o *Options) { o.Verbosity = 6 })},

		// What a clone is made from.
		{[]string{"-f", "api.yaml"}, asked(manifest("api.yaml"))},
		{[]string{"--filename=chart.yaml", "deploy/api"},
			asked(func(o *Options) { o.Filename = "chart.yaml" })},
		{[]string{"-f", "-", "-i=false", "--", "id"}, asked(manifest("-"), noStdin, command("id"))},
		{[]string{"-f", "-", "--explain"}, asked(manifest("-"), explain)},
		{[]string{"-f", "-", "--dry-run=client"}, asked(manifest("-"), dryRun(DryRunClient, ""))},
		{[]string{"deploy/api", "--revision", "3"}, asked(func(o *Options) { o.Revision = 3 })},
		{[]string{"deploy/api", "--pin"}, asked(func(o *Options) { o.Plan.Pin = true })},
		{[]string{"deploy/api", "--entrypoint", "--", "migrate"},
			asked(command("migrate"), func(o *Options) { o.Plan.Entrypoint = true })},
		{[]string{"deploy/api", "--entrypoint", "--via=attach"},
			asked(func(o *Options) { o.Plan.Entrypoint, o.Plan.Via = true, agent.ViaAttach })},
		{[]string{"deploy/api", "--toolbox", "busybox:musl"},
			asked(func(o *Options) { o.Plan.Toolbox = "busybox:musl" })},
		{[]string{"deploy/api", "--overrides", `{"spec":{}}`}, asked(overrides(`{"spec":{}}`, "merge"))},
		{[]string{"deploy/api", "--overrides", ` {"a":[1,2]} `, "--override-type=strategic"},
			asked(overrides(` {"a":[1,2]} `, "strategic"))},
		{[]string{"deploy/api", "--overrides", `[{"op":"remove"}]`, "--override-type", "json"},
			asked(overrides(`[{"op":"remove"}]`, "json"))},

		// What it takes along.
		{[]string{"deploy/api", "--with", "envoy,worker", "--with=log"},
			asked(parts(plan.Components{With: []string{"envoy", "worker", "log"}}))},
		{[]string{"deploy/api", "--with-all"}, asked(parts(plan.Components{WithAll: true}))},
		{[]string{"deploy/api", "--with=envoy", "--with-all=false"},
			asked(parts(plan.Components{With: []string{"envoy"}}))},
		{[]string{"deploy/api", "--init", "auto"}, asked(parts(plan.Components{Init: plan.InitAuto}))},
		{[]string{"deploy/api", "--init", "all"}, asked(parts(plan.Components{Init: plan.InitAll}))},
		{[]string{"deploy/api", "--init", "none"}, asked(parts(plan.Components{Init: plan.InitNone}))},
		{[]string{"deploy/api", "--init", "config,certs"},
			asked(parts(plan.Components{Init: plan.InitNamed, InitNames: []string{"config", "certs"}}))},
		{[]string{"deploy/api", "--volumes", "shared"},
			asked(parts(plan.Components{Volumes: plan.VolumesShared}))},
		{[]string{"deploy/api", "--volumes", "readonly", "--ordinal=2"},
			asked(parts(plan.Components{Volumes: plan.VolumesReadOnly, Ordinal: new(2)}))},
		{[]string{"deploy/api", "--volumes", "fresh"},
			asked(parts(plan.Components{Volumes: plan.VolumesFresh}))},
		{[]string{"deploy/api", "--ordinal", "0"}, asked(parts(plan.Components{Ordinal: new(0)}))},
		{[]string{"deploy/api", "--no-devices"}, asked(parts(plan.Components{NoDevices: true}))},

		// Labels, rights and place.
		{[]string{"deploy/api", "--keep-labels"}, asked(wish(isolation.LabelOptions{Keep: true}))},
		{[]string{"deploy/api", "--labels", "a=1,example.com/b=", "--labels=a=2"},
			asked(wish(isolation.LabelOptions{Set: map[string]string{"a": "2", "example.com/b": ""}}))},
		{[]string{"deploy/api", "--drop-labels", "a,example.com/b"},
			asked(wish(isolation.LabelOptions{Drop: []string{"a", "example.com/b"}}))},
		{[]string{"deploy/api", "--keep-labels", "--labels", "a=1", "--drop-labels", "b"},
			asked(wish(isolation.LabelOptions{Keep: true, Set: map[string]string{"a": "1"},
				Drop: []string{"b"}}))},
		{[]string{"deploy/api", "--service-account", "job.runner"},
			asked(identity(plan.Identity{ServiceAccount: "job.runner"}))},
		{[]string{"deploy/api", "--no-token"}, asked(identity(plan.Identity{NoToken: true}))},
		{[]string{"deploy/api", "--as-user", "0"}, asked(identity(plan.Identity{UID: new(int64(0))}))},
		{[]string{"deploy/api", "--as-user=2147483647:1000"},
			asked(identity(plan.Identity{UID: new(int64(2147483647)), GID: new(int64(1000))}))},
		{[]string{"deploy/api", "--image-pull-secret", "a", "--image-pull-secret", "b.c"},
			asked(identity(plan.Identity{PullSecrets: []string{"a", "b.c"}}))},
		{[]string{"deploy/api", "--node", "ip-10-0-0-1.ec2.internal"},
			asked(func(o *Options) { o.Plan.Node = "ip-10-0-0-1.ec2.internal" })},

		// An account instead of a session, in both modes.
		{[]string{"deploy/api", "--explain"}, asked(explain)},
		{[]string{"deploy/api", "--dry-run=none"}, asked()},
		{[]string{"deploy/api", "--dry-run=client", "-o", "yaml"}, asked(dryRun(DryRunClient, "yaml"))},
		{[]string{"--dry-run", "deploy/api"}, asked(dryRun(DryRunClient, ""))},
		{[]string{"deploy/api", "--dry-run=server", "--output=json"}, asked(dryRun(DryRunServer, "json"))},
		{[]string{"deploy/api", "--dry-run=server", "-o=name", "--explain"},
			asked(explain, dryRun(DryRunServer, "name"))},
		{[]string{"deploy/api", "--mode=debug", "--dry-run=client", "-oyaml"},
			asked(dryRun(DryRunClient, "yaml"), func(o *Options) { o.Mode = plan.ModeDebug })},
		{[]string{"deploy/api", "--mode=debug", "--explain", "--cpu=1"},
			asked(explain, func(o *Options) {
				o.Mode, o.Plan.CPU = plan.ModeDebug,
					resource.MustParse("1")
			})},

		{[]string{"deploy/api", "--field-manager=ops", "--validate=warn"}, asked(func(o *Options) {
			o.FieldManager, o.FieldValidation = "ops", metav1.FieldValidationWarn
		})},
		{[]string{"--validate", "deploy/api"}, asked(func(o *Options) { o.FieldValidation = metav1.FieldValidationStrict })},

		// A debug container: which pod, what it has and what it is allowed.
		{[]string{"deploy/api", "--mode=debug", "--pod-selection=oldest", "--new"}, asked(inDebug(func(o *Options) {
			o.PodSelection, o.Plan.Debug.New = workload.PodOldest, true
		}))},
		{[]string{"pod/a", "--mode=debug", "--chroot", "--env-from-process", "--profile=general"},
			asked(inDebug(func(o *Options) {
				o.Reference = workload.Reference{Kind: "Pod", Name: "a"}
				o.Plan.Debug.Chroot, o.Plan.Debug.EnvFromProcess = true, true
				o.Plan.Debug.Profile = profile.General
			}))},
		{[]string{"deploy/api", "--mode=debug", "--profile=auto", "--inherit=env,volumes,security"}, asked(inDebug(nil))},
		{[]string{"deploy/api", "--mode=debug", "--inherit=none"}, asked(inDebug(func(o *Options) {
			o.Plan.Debug.Without = plan.Parts{Env: true, Volumes: true, Security: true}
		}))},
		{[]string{"deploy/api", "--mode=debug", "--inherit=env", "--inherit=volumes", "--profile", "netadmin"},
			asked(inDebug(func(o *Options) {
				o.Plan.Debug.Without, o.Plan.Debug.Profile = plan.Parts{Security: true}, profile.Netadmin
			}))},

		// The connection is kubectl's own and asks for nothing here.
		{[]string{"-n", "shop", "deploy/api", "--context", "eu", "--as=me"}, asked()},

		{
			[]string{"-q", "sts", "db", "-tc", "pg", "-e", "A=1", "--cpu=2", "--", "psql", "-c", "select 1"},
			asked(tty(true), command("psql", "-c", "select 1"), env(plan.EnvChange{Name: "A", Value: "1"}),
				func(o *Options) {
					o.Reference = workload.Reference{Kind: "StatefulSet", Name: "db"}
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
	var ( // apimachinery's words
		notDNSLabel    = words.Rule(validation.IsDNS1123Label("B")[0])
		notSubdomain   = words.Rule(validation.IsDNS1123Subdomain("B")[0])
		notLabelKey    = words.Rule(content.IsLabelKey("-")[0])
		notPrefixedKey = words.Rule(content.IsLabelKey("a/b/c")[0])
		notLabelValue  = words.Rule(content.IsLabelValue("b c")[0])
	)
	const (
		quantityHint = "for example: --cpu 500m, --memory 2Gi"
		userHint     = "in numbers, for example: --as-user 1000:1000"
		notEnvName   = "a valid environment variable name must consist only of printable ASCII characters other than '='"
	)
	tests := []struct {
		argv      []string
		err, hint string
	}{
		{nil, "no workload was named", "kubectl eshell TYPE/NAME, for example: kubectl eshell deploy/api"},
		{[]string{"--", "id"}, "no workload was named",
			"kubectl eshell TYPE/NAME, for example: kubectl eshell deploy/api"},
		{
			[]string{"deploy/api", "bin/rails", "console"},
			"expected one workload, but there are more words after deploy/api",
			"a command goes after two dashes: kubectl eshell deploy/api -- bin/rails console",
		},

		{[]string{"deploy/api", "--mode", "copy"}, `--mode "copy" is not one of: clone, debug`, ""},
		{[]string{"deploy/api", "--mode="}, `--mode "" is not one of: clone, debug`, ""},
		{[]string{"deploy/api", "--validate=maybe"},
			`--validate "maybe" is not one of: strict, warn, ignore, true, false`, ""},
		{[]string{"deploy/api", "--field-manager="}, "--field-manager is empty", ""},
		{[]string{"deploy/api", "--chroot"}, "--chroot is for --mode debug", "add --mode debug"},
		{[]string{"deploy/api", "--pod-selection=newest"}, "--pod-selection is for --mode debug", "add --mode debug"},
		{[]string{"deploy/api", "--mode=debug", "--pod-selection=any"},
			`--pod-selection "any" is not one of: newest, oldest, unready, crashing`, ""},
		{[]string{"pod/a", "--mode=debug", "--pod-selection=newest"},
			"--pod-selection chooses among the pods of a workload, and one pod was named", ""},
		{[]string{"deploy/api", "--mode=debug", "--profile=legacy"},
			`--profile "legacy" is not one of: auto, general, baseline, restricted, netadmin, sysadmin`, ""},
		{[]string{"deploy/api", "--mode=debug", "--inherit=ports"},
			`--inherit "ports" is not one of: env, volumes, security, none`, ""},
		{[]string{"deploy/api", "--mode=debug", "--inherit=none,env"}, "--inherit none goes with no other part", ""},
		{[]string{"deploy/api", "--mode=debug", "--inherit="}, "--inherit is empty", "--inherit none inherits nothing"},
		{[]string{"deploy/api", "--mode=debug", "--inherit=security", "--profile=general"},
			"--inherit security cannot be combined with --profile",
			"the security is the target's or the profile's: leave out one of them"},
		{[]string{"deploy/api", "--mode=debug", "--custom="}, "--custom is empty", ""},
		{[]string{"deploy/api", "--mode=debug", "--custom=/no/such"},
			"--custom: open /no/such: no such file or directory", ""},
		{[]string{"deploy/api", "--via", "ssh"}, `--via "ssh" is not one of: exec, attach`, ""},

		{[]string{"deploy/api", "--command", "id", "--", "ls"},
			"--command cannot be combined with a command after --", ""},
		{[]string{"deploy/api", "--command", ""}, "--command is empty", ""},
		{[]string{"deploy/api", "--command", ",a"}, "--command is empty", ""},

		{[]string{"deploy/api", "-e", "NOT_HERE"}, "--env NOT_HERE: the variable is not set here",
			"set it: -e NOT_HERE=VALUE; remove it from the command's environment: -e NOT_HERE-"},
		{[]string{"deploy/api", "--env-file", "testdata/none"},
			"--env-file: open testdata/none: no such file or directory", ""},
		{[]string{"deploy/api", "-e", "=s3cret"},
			`--env: "" is not a name for a variable: environment variable name must be non-empty`, ""},
		{[]string{"deploy/api", "-e", "-"},
			`--env: "" is not a name for a variable: environment variable name must be non-empty`, ""},
		{[]string{"deploy/api", "-e", "Ä=s3cret"}, `--env: "Ä" is not a name for a variable: ` + notEnvName,
			""},
		{[]string{"deploy/api", "-e", "A=s3cret", "-e", "s3cret?"}, "--env: a word is none of NAME=VALUE, NAME and NAME-",
			""},

		{[]string{"deploy/api", "--pull", "IfNotPresent"}, `--pull "IfNotPresent" is not one of: always, missing, never`, ""},
		{[]string{"deploy/api", "--cpu", "lots"}, `--cpu "lots" is not a quantity`,
			quantityHint},
		{[]string{"deploy/api", "--memory", "2GB"}, `--memory "2GB" is not a quantity`,
			quantityHint},
		{[]string{"deploy/api", "--cpu", "0"}, `--cpu "0" is not more than zero`, ""},
		{[]string{"deploy/api", "--memory=-1Gi"}, `--memory "-1Gi" is not more than zero`, ""},

		{[]string{"deploy/api", "--filename="}, "--filename is empty", ""},
		{[]string{"deploy/api", "--toolbox", ""}, "--toolbox is empty", ""},
		{[]string{"-f", "-"}, "-f - and the command cannot both read stdin",
			"leave stdin to the manifest with -i=false, or read it from a file with -f FILE"},
		{[]string{"deploy/api", "--revision", "0"}, "--revision 0 is not more than zero", ""},
		{[]string{"deploy/api", "--revision=-1"}, "--revision -1 is not more than zero", ""},
		{[]string{"deploy/api", "--pin", "--image", "b"}, "--pin cannot be combined with --image", ""},
		{[]string{"-f", "a.yaml", "--pin"}, "--pin cannot be used with -f: nothing of a manifest runs yet",
			""},
		{[]string{"deploy/api", "--entrypoint", "--via=exec"},
			"--entrypoint cannot be used with --via exec: the entrypoint starts the container's process", ""},
		{[]string{"deploy/api", "--entrypoint", "--toolbox=b"},
			"--entrypoint cannot be combined with --toolbox", ""},
		{[]string{"deploy/api", "--record="},
			`--record "" is not a file: stdout has the session's own output`, ""},
		{[]string{"deploy/api", "--record", "-"},
			`--record "-" is not a file: stdout has the session's own output`, ""},
		{[]string{"deploy/api", "--record", "a", "--record-format=v1"},
			`--record-format "v1" is not one of: v3, v2`, "did you mean: --record-format=v3"},
		{[]string{"deploy/api", "--record-input"}, "--record-input needs --record", "add a file: --record FILE"},
		{[]string{"deploy/api", "--record-format=v2"}, "--record-format needs --record",
			"add a file: --record FILE"},
		{[]string{"deploy/api", "--detach", "--record", "a"},
			"--record cannot be used with --detach: a detached session shows nothing",
			"record the shells in it: kubectl eshell attach --record FILE"},
		{[]string{"deploy/api", "--detach", "-t"},
			"--tty cannot be used with --detach: a detached session has no terminal", ""},
		{[]string{"deploy/api", "--detach", "-i"},
			"--stdin cannot be used with --detach: a detached session reads no stdin",
			""},
		{[]string{"deploy/api", "--detach", "--idle=15m"},
			"--idle cannot be used with --detach: nobody is there to type or to read",
			"--ttl limits a detached session"},
		{[]string{"deploy/api", "--detach", "--detach-keys=ctrl-p,ctrl-q"},
			"--detach-keys cannot be used with --detach: a detached session has been left", ""},
		{[]string{"deploy/api", "--detach", "--wait"},
			"--wait cannot be used with --detach: it waits for the end of the session", ""},
		{[]string{"deploy/api", "--detach", "--via=exec", "--", "id"},
			"--via exec cannot be used with --detach: a detached command has no client to exec it",
			"leave out --via: the command runs as the container's process"},
		{[]string{"deploy/api", "--detach", "--via=attach"},
			"--via attach cannot be used with --detach without a command: there is no shell to attach to",
			"leave out --via; open shells in it with kubectl eshell attach"},
		{[]string{"api", "--detach", "--mode=debug", "--", "id"},
			"--detach cannot run a command in a debug container: it would end with its client",
			"start the session without a command, and run it there with kubectl eshell attach; or leave out --mode debug for a clone"},
		{[]string{"deploy/api", "--overrides", `{"a":`},
			"--overrides is not well-formed JSON, at byte 5 of 5", ""},
		{[]string{"deploy/api", "--overrides", `a: 1`}, "--overrides is not well-formed JSON, at byte 1 of 4",
			""},
		{[]string{"deploy/api", "--overrides", ""}, "--overrides is not well-formed JSON, at byte 0 of 0",
			""},
		{[]string{"deploy/api", "--overrides", `[]`},
			"--overrides is no JSON object, which --override-type merge is", ""},
		{[]string{"deploy/api", "--overrides", `null`},
			"--overrides is no JSON object, which --override-type merge is", ""},
		{[]string{"deploy/api", "--overrides", `{}`, "--override-type=json"},
			"--overrides is no JSON array of operations, which --override-type json is", ""},
		{[]string{"deploy/api", "--overrides", `{}`, "--override-type=apply"},
			`--override-type "apply" is not one of: json, merge, strategic`, ""},
		{[]string{"deploy/api", "--override-type=json"}, "--override-type needs --overrides", ""},

		{[]string{"deploy/api", "--with", ""}, "--with is empty", ""},
		{[]string{"deploy/api", "--with", "a,B"}, `--with "B" is not a valid name: ` + notDNSLabel, ""},
		{[]string{"deploy/api", "--with", "a", "--with-all"}, "--with-all cannot be combined with --with",
			""},
		{[]string{"deploy/api", "--init="}, "--init is empty", ""},
		{[]string{"deploy/api", "--init", "a_b"}, `--init "a_b" is not a valid name: ` + notDNSLabel, ""},
		{[]string{"deploy/api", "--init", "all,config"}, "--init all goes with no names", ""},
		{[]string{"deploy/api", "--volumes", "none"},
			`--volumes "none" is not one of: shared, readonly, fresh`, ""},
		{[]string{"deploy/api", "--ordinal=-1"}, "--ordinal -1 is less than zero", ""},
		{[]string{"deploy/api", "--ordinal=1", "--volumes=fresh"},
			"--ordinal cannot be used with --volumes fresh, which uses no existing claims", ""},

		{[]string{"deploy/api", "--labels", "app"}, `--labels "app" is not KEY=VALUE`, ""},
		{[]string{"deploy/api", "--labels", "-=1"}, `--labels: "-" is not a valid label key: ` + notLabelKey,
			""},
		{[]string{"deploy/api", "--labels", "a=b c"},
			`--labels: "b c" is not a valid label value: ` + notLabelValue, ""},
		{[]string{"deploy/api", "--drop-labels", "a/b/c"},
			`--drop-labels: "a/b/c" is not a valid label key: ` + notPrefixedKey, ""},
		{[]string{"deploy/api", "--drop-labels", "b,a", "--labels=a=1"},
			"label a is both in --labels and in --drop-labels", ""},
		{[]string{"deploy/api", "--service-account", "Me"},
			`--service-account "Me" is not a valid name: ` + notSubdomain, ""},
		{[]string{"deploy/api", "--service-account="},
			`--service-account "" is not a valid name: ` + notSubdomain, ""},
		{[]string{"deploy/api", "--as-user", "root"}, `--as-user "root" is neither UID nor UID:GID`,
			userHint},
		{[]string{"deploy/api", "--as-user", "1000:"}, `--as-user "1000:" is neither UID nor UID:GID`,
			userHint},
		{[]string{"deploy/api", "--as-user", "1:2:3"}, `--as-user "1:2:3" is neither UID nor UID:GID`,
			userHint},
		{[]string{"deploy/api", "--as-user=-1"},
			`--as-user "-1": -1 must be between 0 and 2147483647, inclusive`, ""},
		{[]string{"deploy/api", "--as-user=1:2147483648"},
			`--as-user "1:2147483648": 2147483648 must be between 0 and 2147483647, inclusive`, ""},
		{[]string{"deploy/api", "--image-pull-secret=a", "--image-pull-secret=a/b"},
			`--image-pull-secret "a/b" is not a valid name: ` + notSubdomain, ""},
		{[]string{"deploy/api", "--node", "a,b"}, `--node "a,b" is not a valid name: ` + notSubdomain, ""},

		{[]string{"deploy/api", "--dry-run", "server", "--output=json"},
			"--dry-run takes its strategy after an equals sign", "--dry-run=server"},
		{[]string{"deploy/api", "--dry-run=true"}, `--dry-run "true" is not one of: none, client, server`,
			""},
		{[]string{"deploy/api", "--dry-run=client", "-o", "wide"},
			`--output "wide" is not one of: yaml, json, name`, ""},
		{[]string{"deploy/api", "-o", "yaml"}, "--output prints a dry run's pod, and none was asked for",
			"--dry-run=client -o yaml"},
		{[]string{"deploy/api", "-o", "name", "--explain"},
			"--output prints a dry run's pod, and none was asked for", "--dry-run=client -o name"},

		{[]string{"deploy/api", "--start-timeout", "0"}, "--start-timeout 0 is less than 1s", ""},
		{[]string{"deploy/api", "--start-timeout=-1s"}, "--start-timeout -1s is less than 1s", ""},
		{[]string{"deploy/api", "--start-timeout", "5"},
			`--start-timeout: "5" is not a duration, like 90s, 30m, 8h or 2d`, ""},

		{[]string{"deploy/api", "--escape", ""}, `--escape "" is neither a character nor none`, ""},
		{[]string{"deploy/api", "--escape", "~~"}, `--escape "~~" is neither a character nor none`, ""},
		{[]string{"deploy/api", "--detach-keys", "ctrl-1"},
			`--detach-keys "ctrl-1" is neither keys with commas between them nor none`,
			"for example: --detach-keys ctrl-p,ctrl-q; a key is a character or ctrl- and a lowercase letter"},
		{[]string{"deploy/api", "--detach-keys="}, "--detach-keys is empty", ""},
		{[]string{"deploy/api", "--idle", "9s"}, "--idle 9s is less than 10s", ""},
		{[]string{"deploy/api", "--idle=-1h"}, "--idle -1h is less than 10s", ""},
		{[]string{"deploy/api", "--idle", "15"},
			`--idle: "15" is not a duration, like 90s, 30m, 8h or 2d`, ""},
		{[]string{"deploy/api", "--idle="}, "--idle is empty", ""},
		{[]string{"deploy/api", "--lease", "19s"}, "--lease 19s is less than 20s", ""},
		{[]string{"deploy/api", "--ttl", "0"}, "--ttl 0 is less than 1s", ""},

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
		{"deploy/api", "--mode=x"},
		{"deploy/api", "--via=x"},
		{"deploy/api", "--cpu=x"},
		{"deploy/api", "--start-timeout=0"},
		{"deploy/api", "-e", "B"},
		{"deploy/api", "-e", "\x01=s3cret"},
		{"deploy/api", "-e", "B=s3cret", "--nonsense"},
		{"deploy/api", "--overrides", `{"s3cret": s3cret}`},
		{"deploy/api", "--overrides", `s3cret`},
		{"deploy/api", "--overrides", `"s3cret"`},
		{"deploy/api", "--overrides", `["s3cret"]`, "--override-type=strategic"},
		{"deploy/api", "--overrides", `{"a":"s3cret"}`, "--override-type=json"},
		{"deploy/api", "--overrides", `{"a":"s3cret"}`, "--mode=debug"},
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

// A partial container may set what kubectl debug lets it set.
func TestCustom(t *testing.T) {
	read := func(text string) (*corev1.Container, error) {
		file := filepath.Join(t.TempDir(), "custom.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := parse([]string{"deploy/api", "--mode=debug", "--custom", file})
		if err != nil {
			return nil, errors.New(strings.ReplaceAll(err.Error(), file, "FILE"))
		}
		return o.Plan.Debug.Custom, nil
	}
	want := &corev1.Container{Env: []corev1.EnvVar{{Name: "A", Value: "1"}},
		SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(0))}}
	for _, text := range []string{"env: [{name: A, value: '1'}]\nsecurityContext: {runAsUser: 0}\n",
		`{"env":[{"name":"A","value":"1"}],"securityContext":{"runAsUser":0}}`} {
		if got, err := read(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"name: a":                            "--custom FILE sets name, which it is not allowed to change",
		"command: [id]":                      "--custom FILE sets command, which it is not allowed to change",
		"args: [id]":                         "--custom FILE sets args, which it is not allowed to change",
		"image: a":                           "--custom FILE sets image, which it is not allowed to change",
		"lifecycle: {}":                      "--custom FILE sets lifecycle, which it is not allowed to change",
		"volumeDevices: [{name: a}]":         "--custom FILE sets volumeDevices, which it is not allowed to change",
		"tty: true":                          "--custom FILE sets tty, which it is not allowed to change",
		"enf: []":                            `--custom FILE is no partial container: error unmarshaling JSON: while decoding JSON: json: unknown field "enf"`,
		"securityContext: {runAsUser: root}": "--custom FILE is no partial container: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go struct field SecurityContext.securityContext.runAsUser of type int64",
	} {
		if _, err := read(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Every flag that says something about a clone only is refused for a running pod, by its name.
func TestCloneOnly(t *testing.T) {
	values := map[string]string{
		"filename": "a.yaml", "revision": "1", "toolbox": "b", "toolbox-image": "b", "overrides": "{}", "override-type": "json",
		"with": "a", "init": "all", "volumes": "fresh", "ordinal": "1",
		"labels": "a=1", "drop-labels": "a", "service-account": "a", "as-user": "1", "image-pull-secret": "a",
		"node": "a",
	}
	tested := 0
	for _, g := range newFlags().groups {
		g.VisitAll(func(flag *pflag.Flag) {
			if g.mode != plan.ModeClone {
				return
			}
			tested++
			argument := "--" + flag.Name
			if flag.Value.Type() != "bool" {
				argument += "=" + values[flag.Name]
			}
			_, err := parse([]string{"deploy/api", "--mode=debug", argument})
			want := "--" + flag.Name + " cannot be used with --mode debug"
			if err == nil || err.Error() != want || hint.Of(err) == "" {
				t.Errorf("%s: error %v, want %s, and a hint", argument, err, want)
			}
		})
	}
	if tested != 22 {
		t.Errorf("%d flags are for a clone only, not 22: is a new one in the right group?", tested)
	}
}

// Only a clear no lets a session be opened without a reason where one is required.
func TestReasonIsRequired(t *testing.T) {
	tests := []struct {
		value string
		args  []string
		asks  bool
	}{
		{"", nil, false},
		{"0", nil, false},
		{"false", nil, false},
		{"1", nil, true},
		{"true", nil, true},
		{"yes", nil, true},
		{"1", []string{"--reason", " "}, true},
		{"1", []string{"--reason", "incident 12"}, false},
		{"1", []string{"--explain"}, false},
		{"1", []string{"--dry-run=server"}, false},
	}
	for _, tt := range tests {
		t.Setenv(requireReason, tt.value)
		_, err := parse(append([]string{"deploy/api"}, tt.args...))
		if asks := err != nil &&
			err.Error() == "a reason is required (KUBECTL_ESHELL_REQUIRE_REASON)"; asks != tt.asks ||
			err != nil && !asks {
			t.Errorf("%q, %q: error %v", tt.value, tt.args, err)
		}
	}
}

// TestRecordingIsRequired: a session that cannot be recorded is refused where that is required.
func TestRecordingIsRequired(t *testing.T) {
	t.Setenv(recordDir, "/var/log/eshell")
	for _, args := range [][]string{{"--record-input"}, {"--record-format=v2"}, {"--detach"}, {"--", "id"}} {
		if _, err := parse(append([]string{"deploy/api"}, args...)); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	const refused = "--detach cannot run a command, because every session has to be recorded " +
		"(KUBECTL_ESHELL_RECORD_DIR), and its output is in the container's log"
	if _, err := parse([]string{"deploy/api", "--detach", "--", "id"}); err == nil || err.Error() != refused {
		t.Errorf("a detached command: %v", err)
	}
	t.Setenv(recordDir, "")
	if _, err := parse([]string{"deploy/api", "--detach", "--", "id"}); err != nil {
		t.Errorf("an empty variable: %v", err)
	}
}

// TestEnvFile: as docker reads one, with the values as they stand; -e comes after the files.
func TestEnvFile(t *testing.T) {
	t.Setenv("HERE", "from here")
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write("\ufeff# a comment\n\n  A=1\r\nB= \"two\" # no comment\nC=x=y\nD=\nHERE\n")
	o, err := parse([]string{"deploy/api", "-e", "A=2", "-e", "HERE", "--env-file", path})
	want := []plan.EnvChange{{Name: "A", Value: "1"}, {Name: "B", Value: ` "two" # no comment`},
		{Name: "C", Value: "x=y"}, {Name: "D"}, {Name: "HERE", Value: "from here"},
		{Name: "A", Value: "2"}, {Name: "HERE", Value: "from here"}}
	if err != nil || !reflect.DeepEqual(o.Plan.Env, want) {
		t.Errorf("changes %+v, %v; want %+v", o.Plan.Env, err, want)
	}
	for text, want := range map[string]string{
		"A=1\ns3cret with words\n": ": line 2 is neither NAME=VALUE nor NAME",
		"export A=s3cret":          ": line 1 is neither NAME=VALUE nor NAME",
		"s3cret":                   ": line 1: the variable that it names is not set here",
		"=s3cret":                  ": line 1 is neither NAME=VALUE nor NAME",
		"\n\nNOT_HERE":             ": line 3: the variable that it names is not set here",
		"A=s3cret\xff":             " is not UTF-8 text",
		"A=s3cret\x00":             " is not UTF-8 text",
		"A=" + strings.Repeat("x", longestEnvFile): " is longer than 1048576 bytes",
	} {
		path := write(text)
		if _, err := parse([]string{"deploy/api", "--env-file", path}); err == nil ||
			err.Error() != "--env-file "+path+want {
			t.Errorf("of %.20q: %v, want %s", text, err, want)
		}
	}
}
