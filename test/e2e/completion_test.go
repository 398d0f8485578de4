//go:build unix

package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// tabs is how often a test asks on a machine that is too busy to answer within the time of an answer.
const tabs = 10

// aShell is a shell whose completion is asked on a terminal.
type aShell struct {
	program string
	args    []string          // FOLDER is the folder of its files
	files   map[string]string // what it reads when it starts
}

var completingShells = []aShell{
	{"bash", []string{"--noprofile", "--rcfile", "FOLDER/bashrc", "-i"}, map[string]string{
		"bashrc": ". /usr/share/bash-completion/bash_completion\nsource <(kubectl completion bash)\n" +
			"source <(kubectl-eshell completion bash)\nPS1='ready> '\nbind 'set enable-bracketed-paste off'\n"}},
	{"zsh", []string{"-i"}, map[string]string{".zshrc": "autoload -Uz compinit && compinit -u\n" +
		"source <(kubectl completion zsh)\nsource <(kubectl-eshell completion zsh)\n" +
		"PS1='ready> '\nunsetopt PROMPT_SP\n"}},
	{"fish", []string{"--private", "-C", "source FOLDER/config"}, map[string]string{
		"config": "kubectl completion fish | source\nkubectl-eshell completion fish | source\n" +
			"set -g fish_autosuggestion_enabled 0\nset -g fish_greeting\nfunction fish_prompt; echo 'ready> '; end\n"}},
}

// openShell starts a shell in which kubectl's completion is on, and kubectl-eshell's own.
func (w testEnv) openShell(t *testing.T, s aShell) *terminal {
	t.Helper()
	program, err := exec.LookPath(s.program)
	if err != nil {
		t.Fatalf("%v; install it: apt-get install bash-completion zsh fish", err)
	}
	folder := t.TempDir()
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program)
	for _, arg := range s.args {
		cmd.Args = append(cmd.Args, strings.ReplaceAll(arg, "FOLDER", folder))
	}
	cmd.Env = append(w.env(), "HOME="+folder, "ZDOTDIR="+folder, "SHELL="+program)
	term := onTerminal(t, cmd, 80, func() {})
	term.resize(300, 50)
	term.expect(`ready> `)
	return term
}

// answers types a line until the terminal shows the pattern below it: an answer to the Tab key can be late.
func (term *terminal) answers(line, pattern string) {
	term.t.Helper()
	re := regexp.MustCompile(pattern)
	var screen string
	for asked := range tabs {
		if asked > 0 {
			term.t.Logf("asked again: %q", line)
		}
		term.clear()
		term.typed(line)
		screen = term.showsWithin(5*time.Second, re)
		term.newLine()
		if re.MatchString(screen) {
			return
		}
	}
	term.t.Errorf("%q never showed %q; the last time it showed:\n%s", line, pattern, screen)
}

// untilPrompt matches the end of a screen on which a shell waits for a line.
const untilPrompt = `(?s:.*)ready>\s*\z`

// newLine gives up a line that was begun, and waits until the shell is ready for the next one.
func (term *terminal) newLine() {
	term.t.Helper()
	ready := regexp.MustCompile(`(?m)^next$` + untilPrompt)
	term.typed("\x15echo ne\"xt\"\n")
	if screen := term.showsWithin(patience, ready); !ready.MatchString(screen) {
		term.t.Fatalf("the shell is not ready; it shows:\n%s", screen)
	}
}

func (term *terminal) clear() {
	term.mu.Lock()
	defer term.mu.Unlock()
	term.screen.Reset()
}

// escapes are sequences that colour text and move the cursor.
var escapes = regexp.MustCompile("\r|\x1b(\\[[0-9;?>=]*[A-Za-z]|[()][A-Z0-9]|[=>]|\\][^\a]*\a)")

// showsWithin returns what the terminal shows, without colours, as soon as it matches or the time is over.
func (term *terminal) showsWithin(limit time.Duration, re *regexp.Regexp) string {
	over := time.After(limit)
	for {
		screen, news := term.shown()
		if screen = escapes.ReplaceAllString(screen, ""); re.MatchString(screen) {
			return screen
		}
		select {
		case <-news:
		case <-over:
			return screen
		}
	}
}

// withCompletion returns an environment whose programs are completed by the link that the plugin makes. The
// programs are links, as krew makes them. A plugin with the race detector would be too slow to answer.
func withCompletion(t *testing.T) testEnv {
	t.Helper()
	own := env
	own.bin = filepath.Join(t.TempDir(), "bin")
	if os.Getenv(withRaceDetector) != "" {
		if err := own.build(t.Context(), filepath.Join(env.bin, "kubectl")); err != nil {
			t.Fatal(err)
		}
	} else if err := errors.Join(os.Mkdir(own.bin, 0o755),
		os.Symlink(filepath.Join(env.bin, "kubectl"), filepath.Join(own.bin, "kubectl")),
		os.Symlink(filepath.Join(env.bin, "kubectl-eshell"), filepath.Join(own.bin, "kubectl-eshell"))); err != nil {
		t.Fatal(err)
	}
	install := exec.Command(filepath.Join(own.bin, "kubectl"), "eshell", "completion", "install")
	install.Env = append(own.env(), "SHELL=/bin/zsh")
	out, err := install.CombinedOutput()
	link := filepath.Join(own.bin, "kubectl_complete-eshell")
	if want := "created the link " + link + " to " + own.bin + "/kubectl-eshell\n" +
		"kubectl's own completion has to be on. In zsh: source <(kubectl completion zsh)\n"; err != nil ||
		string(out) != want {
		t.Fatalf("%v: %s, want %s", err, out, want)
	}
	return own
}

// shifts are custom workloads.
const shifts = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shifts.completion.kubectl-eshell.github.io}
spec:
  group: completion.kubectl-eshell.github.io
  scope: Namespaced
  names: {kind: Shift, plural: shifts, singular: shift}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    additionalPrinterColumns: [{name: Hours, type: string, jsonPath: .spec.hours}]
`

const nightShift = `
apiVersion: completion.kubectl-eshell.github.io/v1alpha1
kind: Shift
metadata: {name: night}
spec:
  hours: 22-6
  template: {spec: {containers: [{name: app, image: "localhost/eshell/busybox:1"}]}}
`

// TestCompletion asks real shells, on a terminal, through the real kubectl: what was completed is then run.
func TestCompletion(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "completion", decoySource)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/joined", inTime)
	const crd = "crd/shifts.completion.kubectl-eshell.github.io"
	here.apply(t, shifts)
	t.Cleanup(func() { kubectl(t, "delete", crd) })
	kubectl(t, "wait", "--for=condition=Established", crd, inTime)
	here.apply(t, nightShift)
	detached := here.run(t, "kubectl-eshell pod/joined --mode=debug --detach --ttl=1h")
	if detached.status != 0 {
		t.Fatal(detached.stderr)
	}
	name := strings.TrimSpace(detached.stdout)
	own := withCompletion(t)
	inIt := "kubectl eshell -n " + here.namespace + " "
	planned := `(?m)^pod/source-eshell-[a-z0-9]+$` + untilPrompt
	for _, s := range completingShells {
		t.Run(s.program, func(t *testing.T) {
			t.Parallel()
			term := own.openShell(t, s)
			// A type goes on without a space, a name with one.
			term.answers(inIt+"dep\tso\t--dry-run=client -o name\n", planned)
			term.answers(inIt+"deploy so\t--dry-run=client -o name\n", planned)
			term.answers(inIt+"joi\t--dry-run=client -o name\n", `(?m)^pod/joined-eshell-[a-z0-9]+$`+untilPrompt)
			term.answers(inIt+"shifts.completion.kubectl-eshell.github.io/n\t--dry-run=client -o name\n",
				`(?m)^pod/night-eshell-[a-z0-9]+$`+untilPrompt)
			term.answers("kubectl eshell -n "+here.namespace[:len(here.namespace)-3]+
				"\tdeploy/so\t-c ap\t--mode cl\t--dry-run=cl\t -o na\t\n", planned)
			term.answers("kubectl eshell attach -n "+here.namespace+" "+name[:len(name)-2]+
				"\t-- echo at\"tach\"ed\n", `(?m)^attached$`+untilPrompt)
			// What there is to choose from is described.
			term.answers(inIt+"deploy/source --mode \t\t", `debug +(-- |\()a container in a live pod`)
			term.answers("kubectl-eshell -n "+here.namespace+" deploy/source --pull \t\t", `(?s)always.*never`)
			term.answers("kubectl eshell \t\t", `(?s)deploy/.*(pod/.*attach|attach.*pod/)`)
		})
	}
}

// TestCompletionInstall: the link is made, found and deleted, and nothing else is.
func TestCompletionInstall(t *testing.T) {
	t.Parallel()
	own := withCompletion(t)
	link := filepath.Join(own.bin, "kubectl_complete-eshell")
	completion := func(what string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(own.bin, "kubectl"), "eshell", "completion", what)
		cmd.Env = append(own.env(), "SHELL=/usr/bin/fish")
		out, _ := cmd.CombinedOutput()
		return strings.ReplaceAll(string(out), own.bin, "BIN")
	}
	says := func(what, want string) {
		t.Helper()
		if got := completion(what); got != want {
			t.Errorf("completion %s: %s, want %s", what, got, want)
		}
	}
	if to, err := os.Readlink(link); to != "kubectl-eshell" {
		t.Errorf("it leads to %q, %v", to, err)
	}
	says("install", "BIN/kubectl_complete-eshell is there already\n"+
		"kubectl's own completion has to be on. In fish: kubectl completion fish | source\n")
	if env.embedded { // with it, the tests run as root on Linux
		readOnly := exec.Command("unshare", "-m", "sh", "-ec", `mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"
"$0"/kubectl eshell completion uninstall`, own.bin)
		readOnly.Env = append(own.env(), "PATH="+own.bin+":/usr/sbin:/usr/bin:/sbin:/bin")
		out, _ := readOnly.CombinedOutput()
		if want := "error: remove " + link + ": read-only file system\n" +
			"hint: as a user who is allowed to write there: rm " + link + "\n"; string(out) != want {
			t.Errorf("in a folder that is read-only: %s, want %s", out, want)
		}
	}
	says("uninstall", "deleted the link BIN/kubectl_complete-eshell\n")
	says("uninstall", "there is no BIN/kubectl_complete-eshell\n")
	if err := os.WriteFile(link, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	says("install", "error: BIN/kubectl_complete-eshell is there, and it is no link to BIN/kubectl-eshell\n")
	says("uninstall",
		"error: BIN/kubectl_complete-eshell is no link to BIN/kubectl-eshell, so it is left alone\n")
	for shell, holds := range map[string]string{"bash": "complete -o default", "zsh": "#compdef kubectl-eshell",
		"fish": "complete -c kubectl-eshell", "powershell": "Register-ArgumentCompleter -CommandName 'kubectl-eshell'"} {
		if script := completion(shell); !strings.Contains(script, holds) {
			t.Errorf("the script for %s does not have %q: %s", shell, holds, script)
		}
	}
	says("bsh", "error: completion has no \"bsh\"\nhint: did you mean: kubectl eshell completion bash\n")
	says("nushell", "error: completion has no \"nushell\"\n"+
		"hint: kubectl eshell completion install, or one of: uninstall, bash, zsh, fish, powershell\n")
}

// TestCompletionIsInTime: a server that does not answer gets 300 ms, and the prompt stays as it is.
func TestCompletionIsInTime(t *testing.T) {
	t.Parallel()
	_, proxy := newProxy(t)
	server := env
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	server.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text, err := os.ReadFile(env.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.ReplaceAll(text, []byte(config.Host), []byte("https://"+proxy.Addr()))
	if err := os.WriteFile(server.kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	proxy.Stall()
	own := withCompletion(t)
	for _, line := range []string{"deploy/", "deploy/source -c ", "attach ", "-n "} {
		cmd := exec.Command(filepath.Join(own.bin, "kubectl_complete-eshell"), strings.Split(line, " ")...)
		cmd.Env = server.env()
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		began := time.Now()
		err := cmd.Run()
		took := time.Since(began)
		if err != nil || stdout.String() != ":4\n" || stderr.Len() > 0 {
			t.Errorf("%s: %v, %q, stderr %q", line, err, stdout.String(), stderr.String())
		}
		// It has waited for the server, and no longer than that and a start on a busy machine take.
		if took < 300*time.Millisecond || took > 1300*time.Millisecond {
			t.Errorf("%s: it took %s", line, took)
		}
	}
}
