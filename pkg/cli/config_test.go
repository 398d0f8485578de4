package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/diff"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/defaults"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// writeFile returns the path of a new file that only its owner can write.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withFile reads a command line as the plugin does, with a config file of that text and variables like
// "TTL=1h", up to where it would begin. It returns what is noted on stderr too.
func withFile(t *testing.T, text string, variables, argv []string) (parsed Options, noted string, err error) {
	t.Helper()
	t.Setenv("ESHELL_CONFIG", writeFile(t, "c.yaml", text))
	t.Setenv("KUBECONFIG", writeFile(t, "kubeconfig", "{current-context: prod-1, contexts: ["+
		"{name: prod-1, context: {cluster: a, namespace: pay}}, {name: dev, context: {cluster: a}}], "+
		"clusters: [{name: a, cluster: {server: https://localhost:1}}]}"))
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv("ESHELL_"+name, value)
	}
	f := newFlags()
	command := &cobra.Command{SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			parsed, err = f.withDefaults(t.Context(), args, cmd.ArgsLenAtDash())
			return err
		},
	}
	f.addTo(command)
	command.SetArgs(argv)
	err = command.Execute()
	var stderr strings.Builder
	newPrinter(&stderr, parsed.Quiet).noteDefaults(f)
	return parsed, stderr.String(), err
}

const everything = `ttl: 4h
lease: 1m
debug-image: tools:1
env: [A=file, B=file]
contexts:
- context: prod-*
  ttl: 3h
- namespace: pay
  ttl: 2h
  reason: pay
sets:
  jdk: {ttl: 100m, image: jdk:21, mode: debug, profile: sysadmin}
  labelled: {labels: [a=set, b=set], detach: true}
`

// TestPrecedence: the command line, the environment, the set, the context, the file, the flag's own default.
func TestPrecedence(t *testing.T) {
	ttl := func(d time.Duration) func(*Options) {
		return func(o *Options) { o.Plan.TTL, o.Plan.Debug.DefaultImage = d, "" }
	}
	file := func(o *Options) {
		o.Plan.HeartbeatTimeout = time.Minute
		o.Plan.Env = []plan.EnvChange{{Name: "A", Value: "file"}, {Name: "B", Value: "file"}}
		o.Plan.Labels.Set = map[string]string{}
	}
	pay := func(o *Options) { o.Plan.Reason = "pay" }
	jdk := func(o *Options) {
		o.Mode, o.Plan.Image, o.Plan.Debug.Profile = plan.ModeDebug, "jdk:21", "sysadmin"
		o.Plan.Debug.DefaultImage = "tools:1"
	}
	tests := []struct {
		name      string
		variables []string
		argv      []string
		want      Options
	}{
		{"the file", nil, []string{"--context=dev"}, asked(file, ttl(4*time.Hour))},
		{"one context", nil, []string{"-n=shop"}, asked(file, ttl(3*time.Hour))},
		{"two entries for this context and namespace", nil, nil, asked(file, pay, ttl(2*time.Hour))},
		{"a set", nil, []string{"--use=jdk"}, asked(file, pay, ttl(100*time.Minute), jdk)},
		{"a set by the environment", []string{"USE=jdk"}, nil, asked(file, pay, ttl(100*time.Minute), jdk)},
		{"another set by the command line", []string{"USE=no"}, []string{"--use=jdk"},
			asked(file, pay, ttl(100*time.Minute), jdk)},
		{"the environment", []string{"TTL=30m"}, []string{"--use=jdk"}, asked(file, pay, ttl(30*time.Minute), jdk)},
		{"the command line", []string{"TTL=30m"}, []string{"--use=jdk", "--ttl=10m"},
			asked(file, pay, ttl(10*time.Minute), jdk)},
		{"of the other mode", []string{"PROFILE=sysadmin", "DEBUG_IMAGE=a:1"}, []string{"--context=dev"},
			asked(file, ttl(4*time.Hour))},
		{"the mode by the environment", []string{"MODE=debug", "MEMORY=1Gi", "CPU=1"}, []string{"--context=dev"},
			asked(file, ttl(4*time.Hour), func(o *Options) {
				o.Mode, o.Plan.Debug.DefaultImage = plan.ModeDebug, "tools:1"
				o.Plan.Memory, o.Plan.CPU = resource.MustParse("1Gi"), resource.MustParse("1")
			})},
		{"variables are added, the strongest last", []string{"ENV=B=environment"}, []string{"--context=dev", "-eA=typed"},
			asked(file, ttl(4*time.Hour), func(o *Options) {
				o.Plan.Env = append(o.Plan.Env, plan.EnvChange{Name: "B", Value: "environment"},
					plan.EnvChange{Name: "A", Value: "typed"})
			})},
		{"labels are added, by key", []string{"LABELS=b=environment,c=environment"},
			[]string{"--context=dev", "--use=labelled", "--labels=c=typed", "--detach=false"},
			asked(file, ttl(4*time.Hour), func(o *Options) {
				o.Plan.Labels = isolation.LabelOptions{Set: map[string]string{"a": "set", "b": "environment", "c": "typed"}}
			})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := withFile(t, everything, tt.variables, append(tt.argv, "deploy/api"))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v\n%s", err, diff.Diff(tt.want, got))
			}
		})
	}
}

// TestYield: what is typed wins over a default that cannot be combined with it, and so does a stronger
// default. Equals are an error that names both.
func TestYield(t *testing.T) {
	tests := []struct {
		name, text string
		argv       []string
		check      func(Options) bool
		told       string
	}{
		{"typed", "detach: true", []string{"--wait"}, func(o Options) bool { return o.Wait && !o.Plan.Detach }, ""},
		{"typed, of another value", "volumes: readonly", []string{"--ordinal=2"},
			func(o Options) bool { return o.Plan.Components.Volumes == plan.VolumesReadOnly }, ""},
		{"typed, of the value in question", "volumes: fresh", []string{"--ordinal=2"},
			func(o Options) bool { return o.Plan.Components.Volumes == "" }, ""},
		{"typed as false", "detach: true", []string{"--wait=false"}, func(o Options) bool { return o.Plan.Detach }, ""},
		{"a set", "wait: true\nsets: {s: {detach: true}}", []string{"--use=s"},
			func(o Options) bool { return !o.Wait && o.Plan.Detach }, ""},
		{"a list", "with: [a, b]", []string{"--with-all"},
			func(o Options) bool { return o.Plan.Components.WithAll && o.Plan.Components.With == nil }, ""},
		{"a list that replaces", "with: [a, b]", []string{"--with=c,d"},
			func(o Options) bool { return reflect.DeepEqual(o.Plan.Components.With, []string{"c", "d"}) }, ""},
		{"a list as a text", "with: a,b", nil,
			func(o Options) bool { return reflect.DeepEqual(o.Plan.Components.With, []string{"a", "b"}) }, ""},
		{"a command", "command: [sh, -c, 'echo a,b']", nil,
			func(o Options) bool { return reflect.DeepEqual(o.Plan.Command, []string{"sh", "-c", "echo a,b"}) }, ""},
		{"a typed command", "command: [sh]", []string{"--", "id"},
			func(o Options) bool { return reflect.DeepEqual(o.Plan.Command, []string{"id"}) }, ""},
		{"an output without a dry run", "output: yaml", nil, func(o Options) bool { return o.Output == "" }, ""},
		{"an output with one", "output: yaml", []string{"--dry-run"}, func(o Options) bool { return o.Output == "yaml" }, ""},
		{"a patch's type without a patch", "override-type: json", nil,
			func(o Options) bool { return o.Plan.Overrides.Patch == "" }, ""},
		{"false", "wait: false\ndetach: true", nil, func(o Options) bool { return o.Plan.Detach && !o.Wait }, ""},
		{"a label that is dropped", "labels: [team=x, a=b]", []string{"--drop-labels=team"}, func(o Options) bool {
			return reflect.DeepEqual(o.Plan.Labels, isolation.LabelOptions{Set: map[string]string{"a": "b"},
				Drop: []string{"team"}})
		}, ""},
		{"a dropped label that is set", "drop-labels: [team, app]", []string{"--labels=team=x"}, func(o Options) bool {
			return reflect.DeepEqual(o.Plan.Labels, isolation.LabelOptions{Set: map[string]string{"team": "x"},
				Drop: []string{"app"}})
		}, ""},
		{"what a detached shell cannot have", "via: attach", []string{"--detach"},
			func(o Options) bool { return o.Plan.Detach && o.Plan.Via == "" }, ""},
		{"an idle time", "idle: 15m\ndetach-keys: 'ctrl-p,ctrl-q'", nil, func(o Options) bool {
			return o.Idle == 15*time.Minute && string(o.DetachKeys) == "\x10\x11" && o.Typed == nil
		}, ""},
		{"an idle time that is switched off", "idle: 15m\ndetach-keys: 'ctrl-p,ctrl-q'",
			[]string{"--idle=0", "--detach-keys=none"},
			func(o Options) bool { return o.Idle == 0 && o.DetachKeys == nil }, ""},
		{"what a detached session needs not", "idle: 15m\ndetach-keys: 'ctrl-p,ctrl-q'", []string{"--detach"},
			func(o Options) bool { return o.Plan.Detach && o.Idle == 0 && o.DetachKeys == nil }, ""},
		{"an idle time that is too short", "idle: 5s", nil, nil, "FILE:1: --idle 5s is less than 10s"},
		{"equals", "wait: true\ndetach: true", nil, nil,
			"FILE:1, FILE:2: --wait cannot be used with --detach: it waits for the end of the session"},
		{"a value", "memory: 1m\nttl: 1h", nil, nil, `FILE:1: --memory "1m" is not a whole number of bytes`},
		{"a value of a context", "contexts: [{context: '*', ttl: abc}]", nil, nil,
			`FILE:1 (contexts[0]): --ttl: "abc" is not a duration, like 90s, 30m, 8h or 2d`},
		{"a variable", "env: [A=1, 'A B']", nil, nil, "FILE:1: --env: a word is none of NAME=VALUE, NAME and NAME-"},
		{"a typed variable", "env: [A=1]", []string{"-e", "A B"}, nil, "--env: a word is none of NAME=VALUE, NAME and NAME-"},
		{"a set that is not there", "sets: {jdk: {}}", []string{"--use=jdq"}, nil, `--use: FILE has no set "jdq"`},
		{"an empty name", "", []string{"--use="}, nil, "--use is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := withFile(t, tt.text, nil, append([]string{"deploy/api"}, tt.argv...))
			told := ""
			if err != nil {
				told = strings.ReplaceAll(err.Error(), os.Getenv("ESHELL_CONFIG"), "FILE")
			}
			if told != tt.told || tt.check != nil && !tt.check(got) {
				t.Errorf("error %q, want %q; options %+v", told, tt.told, got)
			}
		})
	}
	team, _, err := withFile(t, "idle: 15m", []string{"IDLE=1h"}, []string{"deploy/api"})
	if err != nil || team.Idle != time.Hour {
		t.Errorf("idle for %s, %v; want the environment's 1h", team.Idle, err)
	}
	_, _, err = withFile(t, "", []string{"ORDINAL=x"}, []string{"deploy/api"})
	if err == nil || err.Error() != `environment ESHELL_ORDINAL: --ordinal "x" is not a number` {
		t.Error(err)
	}
	got, _, err := withFile(t, "pod-selection: newest\nmode: debug", nil, []string{"pod/api"})
	if err != nil || got.PodSelection != "" {
		t.Errorf("a pod is chosen among one: %v", err)
	}
}

// TestApart: every pair that is said not to go together is refused when it is typed.
func TestApart(t *testing.T) {
	values := map[string]string{"with": "a", "image": "a", "filename": "a", "ordinal": "1", "toolbox": "a",
		"profile": "sysadmin", "inherit": "security", "idle": "15m", "detach-keys": "ctrl-p,ctrl-q"}
	words := func(what string) string {
		if value, has := values[what]; has {
			return "--" + what + "=" + value
		}
		return "--" + what
	}
	for _, pair := range apart() {
		argv := []string{"deploy/api", words(pair[0]), words(pair[1])}
		if pair[1] == "via=exec" {
			argv = append(argv, "--", "id")
		}
		if pair[0] == "profile" {
			argv = append(argv, "--mode=debug")
		}
		if _, err := parse(argv); err == nil {
			t.Errorf("%v is allowed", argv)
		}
	}
}

// TestNoteDefaults: one line lists the defaults that matter, even if the file says quiet. It hides the values
// of variables.
func TestNoteDefaults(t *testing.T) {
	if _, noted, err := withFile(t, "ttl: 1h\nmemory: 1Gi", nil, []string{"deploy/api"}); noted != "" || err != nil {
		t.Errorf("the line has what does not matter: %s, %v", noted, err)
	}
	const text = "quiet: true\nttl: 1h\nenv: [A=hunter2, B, C-]\nas-user: 0\noverrides: '{\"a\":1}'\n" +
		"with-all: true\nkeep-labels: false"
	_, noted, err := withFile(t, text, []string{"NODE=node-1"}, []string{"deploy/api"})
	want := "note: from FILE: --overrides REDACTED, --with-all, --env A=REDACTED,B,C-, --as-user 0; " +
		"from the environment: --node node-1\n"
	if noted = strings.ReplaceAll(noted, os.Getenv("ESHELL_CONFIG"), "FILE"); noted != want {
		t.Errorf("%v\n%swant\n%s", err, noted, want)
	}
	known := newFlags().known()
	for _, name := range mattering() {
		if _, has := known[name]; !has {
			t.Errorf("--%s is no flag", name)
		}
	}
}

// TestShown: what may be a secret is not shown, nor what a mistake makes of one.
func TestShown(t *testing.T) {
	for word, want := range map[string]string{
		"A=hunter2": "A=REDACTED", "A": "A", "A-": "A-", "hunter two": hidden, "c2VjcmV0dG9rZW4=": hidden,
		"postgres://u:hunter2@db/x?sslmode=off": hidden,
	} {
		if got := shown("env", []string{word}); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := shown("command", []string{"login", "hunter2"}); got != "login,"+hidden {
		t.Errorf("a command: %q", got)
	}
}

// TestEveryFlagHasADefault: but for the one that names the file. Each has a kind.
func TestEveryFlagHasADefault(t *testing.T) {
	f := newFlags()
	known := f.known()
	f.set.VisitAll(func(flag *pflag.Flag) {
		found, has := known[flag.Name]
		_, isList := flag.Value.(pflag.SliceValue)
		if has != (flag.Name != configFlag) || isList != (found.Kind == defaults.List) {
			t.Errorf("--%s: %v, %+v", flag.Name, has, found)
		}
	})
}

// TestConfigFile: which file is read, and which is not.
func TestConfigFile(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	view := func(args ...string) ran {
		return runMain(t.Context(), t, append([]string{"config", "view"}, args...)...)
	}
	path := filepath.Join(home, ".config", "kubectl-eshell", "config.yaml")
	if runtime.GOOS != "windows" {
		none := "no defaults are in force, by the environment or by " + path + "\n"
		if got := view(); got != (ran{0, "", none}) {
			t.Errorf("without a file: %+v", got)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("ttl: 1h\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := view(); got != (ran{0, "FLAG   VALUE   SOURCE\nttl    1h      " + path + ":1\n", ""}) {
			t.Errorf("the default file: %+v", got)
		}
		if err := os.Chmod(path, 0o602); err != nil {
			t.Fatal(err)
		}
		told := "error: config file: " + path + " can be written by every user of this machine\n" +
			"hint: chmod o-w " + path + "\n"
		if got := view(); got != (ran{failed, "", told}) {
			t.Errorf("a file that all can write: %+v", got)
		}
		if got := view("--config", os.DevNull); got.status != 0 || got.out != "" {
			t.Errorf("no file: %+v", got)
		}
	}
	if runtime.GOOS != "windows" { // the current folder is anybody's
		t.Setenv("HOME", "")
		t.Chdir(t.TempDir())
		if err := os.MkdirAll(".config/kubectl-eshell", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(".config/kubectl-eshell/config.yaml", []byte("ttl: 1h\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := view(); got.status != 0 || got.out != "" {
			t.Errorf("without a home: %+v", got)
		}
		t.Setenv("HOME", home)
	}
	missing := filepath.Join(home, "missing")
	if got := view("--config", missing); got.status != failed ||
		!strings.HasPrefix(got.errOut, "error: --config: open "+missing+": ") {
		t.Errorf("a missing file: %+v", got)
	}
	t.Setenv("ESHELL_CONFIG", missing)
	if got := view(); got.status != failed ||
		!strings.HasPrefix(got.errOut, "error: ESHELL_CONFIG: open "+missing+": ") {
		t.Errorf("a missing file by the environment: %+v", got)
	}
	named := writeFile(t, "c.yaml", "ttl: 1h\nenv: [A=hunter2]\n")
	want := "flags:\n- flag: env\n  source: " + named + ":2\n  value: A=REDACTED\n" +
		"- flag: ttl\n  source: " + named + ":1\n  value: 1h\n"
	if got := view("--config", named, "-o", "yaml"); got != (ran{0, want, ""}) {
		t.Errorf("as YAML: %+v", got)
	}
	for _, wrong := range []string{"--output=xml", "--mode=both"} {
		if got := view("--config", named, wrong); got.status != failed || !strings.Contains(got.errOut, "is not one of") {
			t.Errorf("%s: %+v", wrong, got)
		}
	}
	t.Setenv("KUBECONFIG", missing)
	elsewhere := writeFile(t, "c.yaml", "contexts: [{namespace: def*, ttl: 1h}, {context: prod, ttl: 2h}]\n")
	want = "FLAG   VALUE   SOURCE\nttl    1h      " + elsewhere + ":1 (contexts[0])\n"
	if got := view("--config", elsewhere); got != (ran{0, want, ""}) {
		t.Errorf("without a kubeconfig: %+v", got)
	}
	if got := view("--config", elsewhere, "--context=no"); got.status != failed ||
		!strings.Contains(got.errOut, `the kubeconfig has no context "no"`) {
		t.Errorf("a context that is not there: %+v", got)
	}
	long := writeFile(t, "long.yaml", strings.Repeat("#", maxConfig+1))
	if got := view("--config", long); got.errOut != "error: --config: "+long+" is longer than 1048576 bytes\n" {
		t.Errorf("a long file: %+v", got)
	}
}
