//go:build unix

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// place is one of the four ways in which a command of a session runs.
type place struct {
	name string
	args []string
}

// places are all of them; the debug sessions join pod/target-GROUP.
func places(group string) []place {
	target := "pod/target-" + group
	return []place{
		{"clone by exec", []string{"eshell", "deploy/bash"}},
		{"clone by attach", []string{"eshell", "deploy/bash", "--via", "attach"}},
		{"debug by exec", []string{"eshell", target, "--mode", "debug", "--new"}},
		{"debug by attach", []string{"eshell", target, "--mode", "debug", "--via", "attach"}},
	}
}

const prompt = `bash-5\.[0-9.]+[$#] $`

// TestShell is a person's session: the first prompt without a key pressed, a terminal of the right
// type and size, sizes that follow, Ctrl-C for the command only, and the status of exit.
func TestShell(t *testing.T) {
	t.Parallel()
	for _, place := range places("shell") {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, place.args...)
			session := term.session()
			term.expect(prompt)
			term.typed("echo type=$TERM; stty size; tty\n")
			term.expect(`type=xterm\r\n24 80\r\n/dev/pts`)
			term.resize(132, 50)
			term.typed("while [ \"$(stty size)\" != '50 132' ]; do :; done; echo resized to $(stty size)\n")
			term.expect(`resized to 50 132\r\n`)
			term.typed("sh -c 'echo now-$((40+2)); exec sleep 4242'\n") // says so from the foreground
			term.expect(`now-42\r\n`)
			term.typed("\x03")
			term.expect(`\^C\r\n.*` + prompt)
			term.typed("echo still-$((40+2))\n")
			term.expect(`still-42\r\n`)
			term.typed("exit 7\n")
			if got := term.status(); got != 7 {
				t.Errorf("exit status %d, want 7", got)
			}
			term.restored()
			session.gone(t)
		})
	}
}

var scriptsAnnotation = regexp.MustCompile(`"kubectl-eshell.github.io/scripts":"(\\.|[^"\\])*",`)

// TestApart: while it runs, a clone has our labels and those that nothing selects by, no owner but its lease,
// no endpoint, and an empty log.
func TestApart(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "deploy/api", "--reason", "incident 12", "--as", "ada", "--as-group",
		"system:masters", "--", "sh", "-c", "echo up; cat")
	session := term.session()
	term.expect(`up\r\n`)
	id := session.pod[strings.LastIndex(session.pod, "-")+1:]
	facts := map[string]string{
		"{.metadata.labels}": fmt.Sprintf(
			`{"app.kubernetes.io/managed-by":"kubectl-eshell","kubectl-eshell.github.io/session":%q,"runs":"yes"}`, id),
		"{.metadata.annotations}": `{"cluster-autoscaler.kubernetes.io/safe-to-evict":"false","karpenter.sh/do-not-disrupt":"true",` +
			`"kubectl-eshell.github.io/reason":"incident 12","kubectl-eshell.github.io/source-kind":"Deployment",` +
			`"kubectl-eshell.github.io/source-name":"api","kubectl-eshell.github.io/ttl-seconds":"28800",` +
			`"kubectl-eshell.github.io/user":"ada"}`,
		"{.metadata.ownerReferences[*].name}":       "eshell-" + id,
		"{.metadata.ownerReferences[*].controller}": "",
		"{.spec.containers[*].name}":                "app",
		"{.spec.containers[*].ports}":               "",
		"{.spec.containers[*]..httpGet}":            "",
		"{.spec.restartPolicy}":                     "Never",
		"{.spec.activeDeadlineSeconds}":             "",
		"{.spec.terminationGracePeriodSeconds}":     "2",
		"{.spec.initContainers[*].name}":            "config",
		"{.spec.containers[0].resources.requests}":  `{"cpu":"10m","memory":"16Mi"}`,
	}
	paths := slices.Sorted(maps.Keys(facts))
	got := strings.Split(kubectl(t, "get", "pod", session.pod, "-o", "jsonpath="+strings.Join(paths, "\n")),
		"\n")
	if len(got) != len(paths) {
		t.Fatalf("%d lines for %d facts: %q", len(got), len(paths), got)
	}
	for i, path := range paths {
		if path == "{.metadata.annotations}" { // the scripts have tests of their own
			got[i] = scriptsAnnotation.ReplaceAllString(got[i], "")
		}
		if got[i] != facts[path] {
			t.Errorf("%s is %s, want %s", path, got[i], facts[path])
		}
	}
	endpoints := kubectl(t, "get", "endpointslices", "-l", "kubernetes.io/service-name=api", "-o",
		"jsonpath={.items[*].endpoints[*].targetRef.name}")
	if len(strings.Fields(endpoints)) != 2 || strings.Contains(endpoints, session.pod) {
		t.Errorf("the endpoints of the service are %q, want the two pods of the deployment", endpoints)
	}
	if log := kubectl(t, "logs", session.pod); log != "" {
		t.Errorf("the clone logged:\n%s", log)
	}
	term.typed("\x04")
	term.ended(0, session)
}

// TestShortCommand prints and ends at once: on a terminal too nothing is lost, in any of many runs, and the
// terminal has had its size from the start.
func TestShortCommand(t *testing.T) {
	t.Parallel()
	for _, place := range places("short") {
		for run := range 5 {
			t.Run(fmt.Sprintf("%s %d", place.name, run), func(t *testing.T) {
				t.Parallel()
				term := open(t, append(place.args, "--", "sh", "-c",
					"echo $(stty size) is the only line; exit 9")...)
				if got := term.status(); got != 9 {
					t.Errorf("exit status %d, want 9", got)
				}
				term.expect(`24 80 is the only line\r\n`)
				term.restored()
			})
		}
	}
}

// ended asserts a session's end: the status, the terminal as before, nothing left.
func (term *terminal) ended(status int, session started) {
	term.t.Helper()
	if got := term.status(); got != status {
		screen, _ := term.shown()
		term.t.Errorf("exit status %d, want %d; the terminal showed:\n%s", got, status, screen)
	}
	term.restored()
	session.gone(term.t)
}

// TestInterruptedStart: a debug container that was about to start when its client was told to end
// does start, and is ended then.
func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	for n, tty := range []bool{true, false} {
		for m := range 2 {
			// a pod each: one that starts several is slow to tell
			place := places(fmt.Sprintf("stopped-%d", 2*n+m))[2+m]
			t.Run(fmt.Sprintf("%s, terminal %t", place.name, tty), func(t *testing.T) {
				t.Parallel()
				term := open(t, append(place.args, fmt.Sprintf("--tty=%t", tty), "--lease=20s")...)
				session := term.session()
				term.signal(syscall.SIGTERM)
				if got := term.status(); got != 143 {
					t.Errorf("exit status %d, want 143", got)
				}
				limit := patience
				if screen, _ := term.shown(); strings.Contains(screen, "it ends by itself within 40s") {
					limit += 40 * time.Second // it started too late for its client
				}
				session.goneWithin(t, limit)
			})
		}
	}
}

// TestNohup: a client that is to outlive its terminal takes no notice of a hangup.
func TestNohup(t *testing.T) {
	t.Parallel()
	defer env.startOne()()
	cmd := exec.Command("nohup", filepath.Join(env.bin, "kubectl"), "eshell", "deploy/bash", "-i", "--", "sh", "-c",
		"echo up; read -r line; exit 7")
	cmd.Env = env.env()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "up\n" {
		t.Errorf("it says %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // the status is in ProcessState
	if got := exitStatus(cmd); got != 7 {
		t.Errorf("exit status %d, want 7", got)
	}
}

// TestCtrlCWhileWaiting is the key, not the signal: the terminal must not be in raw mode yet.
func TestCtrlCWhileWaiting(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "deploy/nowhere")
	session := term.session()
	term.expect(`waiting \d+s: scheduling: .*node`)
	term.expect(`warning: still waiting: scheduling: [^\r]*\r\n  hint: `)
	term.typed("\x03")
	term.expect(`error: pod/nowhere-\S+ did not start: ended by a signal: interrupt; it waited for scheduling: `)
	term.ended(130, session)
}

// TestEscape: a session ends from the keyboard, whatever its command does with keys.
func TestEscape(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "deploy/bash", "--", "sh", "-c", "trap '' INT; stty -isig; echo stuck; exec sleep 86400")
	session := term.session()
	term.expect(`stuck\r\n`)
	term.typed("\x03\r~?")
	term.expect(`~\. ends the session, ~d leaves it, ~~ types ~, ~\? lists these`)
	term.typed("\r~.")
	term.expect(`error: ended from the keyboard\r\n`)
	term.ended(129, session)
}

// dead waits until the session's process has ended by itself. The pod of a clone stays until its lease
// ends; its process may not.
func (s started) dead(t *testing.T) {
	t.Helper()
	end := "containerStatuses[0]"
	if s.container != "" {
		end = fmt.Sprintf(`ephemeralContainerStatuses[?(@.name=="%s")]`, s.container)
	}
	kubectl(t, "wait", "--for=jsonpath={.status."+end+".state.terminated.reason}", "pod/"+s.pod, inTime)
}

// TestProgress: a moving line that goes away, and warnings that stay.
func TestProgress(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "deploy/nowhere", "--start-timeout", "5s")
	session := term.session()
	term.expect(`[|/\\-] waiting [1-4]s: scheduling`)
	term.expect(`\r\x1b\[Kpod/nowhere-eshell-[a-z0-9]+ is being deleted\r\n`)
	term.expect(`\r\nerror: pod/nowhere-eshell-[a-z0-9]+ did not start within 5s`)
	term.ended(125, session)
}

// TestEndedUnder: a session that is ended from outside, under a program that has the whole screen, gives
// the screen back, says why, and is cleaned up.
func TestEndedUnder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*testing.T, started)
		says string
	}{
		{"deleted", func(t *testing.T, s started) { kubectl(t, "delete", "pod", s.pod, "--wait=false") },
			`error: pod/\S+ ended during the session: it was deleted by somebody else\r\n`},
		{"ended by its owner elsewhere", func(t *testing.T, s started) { output(t, "delete", s.pod) },
			`error: pod/\S+ ended with its lease: job/\S+: \S+ has deleted the session\r\n`},
		{"too long", func(t *testing.T, s started) {
			kubectl(t, "patch", "pod", s.pod, "-p", `{"spec":{"activeDeadlineSeconds":1}}`)
		}, `error: pod/\S+ ended during the session: DeadlineExceeded: `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, "eshell", "deploy/bash")
			session := term.session()
			term.expect(prompt)
			term.typed(`printf '\033[?1049h\033[?25lfull%s\n' screen` + "\n")
			term.expect(`\x1b\[\?1049h\x1b\[\?25lfullscreen`)
			tt.end(t, session)
			term.expect(`\x1b\[\?1049l\x1b\[\?25h[^$]*` + tt.says)
			term.ended(125, session)
		})
	}
}

// TestVisit: who attaches to a session of somebody else's has to say so, and its owner learns of it.
func TestVisit(t *testing.T) {
	t.Parallel()
	term := open(t, "eshell", "deploy/bash", "--lease=20s", "--as=ann", "--as-group=system:masters")
	session := term.session()
	term.expect(prompt)
	here := namespaceFixture{env.namespace}
	refused := here.run(t, "kubectl-eshell attach "+session.pod+" -- true")
	if refused.status != 125 || !strings.Contains(refused.stderr, " belongs to ann, and you are ") {
		t.Errorf("%+v", refused)
	}
	if visit := here.run(t, "kubectl-eshell attach --force "+session.pod+" -- true"); visit.status != 0 {
		t.Errorf("%+v", visit)
	}
	term.expect(`\S+ has opened a shell in this session\r\n`)
	term.typed("exit\n")
	term.ended(0, session)
}

// TestKill is kill -9 by exec: the shell is dead within seconds, long before its lease of 2 minutes ends.
// A debug session's lease outlives it, and list does not take the one for the other. What is left then is for
// TestFaults.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, place := range places("lease") {
		if strings.HasSuffix(place.name, "attach") {
			continue // these end with the lease
		}
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, place.args...)
			session := term.session()
			term.expect(prompt)
			term.signal(syscall.SIGKILL)
			session.dead(t)
			if session.container != "" {
				shows(t, []string{"eshell", "list", "--all-users"}, session.container+` .* Ended `)
			}
		})
	}
}
