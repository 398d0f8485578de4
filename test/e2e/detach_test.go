//go:build unix

package e2e

import (
	"context"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// detached starts a session without a client, and asserts that its name is all that stdout has.
func detached(t *testing.T, line string) started {
	t.Helper()
	end := namespaceFixture{env.namespace}.run(t, "kubectl-eshell "+line+" --detach")
	sessions := headlines(end.stderr)
	if end.status != 0 || len(sessions) != 1 || end.stdout != sessions[0].name()+"\n" {
		t.Fatalf("exit status %d, stdout %q, stderr\n%s", end.status, end.stdout, end.stderr)
	}
	if last := "\na shell in it: kubectl eshell attach " + sessions[0].name() + " -n " + env.namespace +
		"\n"; !strings.HasSuffix(end.stderr, last) {
		t.Errorf("stderr is\n%swant at its end%s", end.stderr, last)
	}
	return sessions[0]
}

// outlives asserts that the session is there longer than what would have ended it, the lease of a client that
// is gone or its first time: that has run out after so long, and the cluster's controllers get 30 s more.
func (s started) outlives(t *testing.T, end time.Duration) {
	t.Helper()
	here := namespaceFixture{env.namespace}
	words := s.untilEnded(end + 35*time.Second)
	if ended := here.run(t, "kubectl "+quoted(words)); ended.status == 0 || !strings.Contains(ended.stderr,
		"timed out") {
		t.Fatalf("it ended: %s%s", ended.stdout, ended.stderr)
	}
}

func quoted(words []string) string { return "'" + strings.Join(words, "' '") + "'" }

// detachedPlaces are a detached session in each mode, with 20 s for a client that dies.
var detachedPlaces = []struct{ name, line string }{
	{"clone", "deploy/bash --lease=20s"},
	{"debug", "pod/target-detach --mode=debug --lease=20s"},
}

// TestDetach: a session lives on without its client, through clients that come and go, until it is ended.
func TestDetach(t *testing.T) {
	t.Parallel()
	for _, place := range detachedPlaces {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			session := detached(t, place.line+" --ttl=1h")
			session.visit(t)
			session.outlives(t, 20*time.Second)
			shows(t, []string{"eshell", "list"},
				`(?m)^`+session.name()+` +`+place.name+` .* Running +\S+ +<none> +5\dm`)
			if removed := output(t, "gc", "--dry-run"); strings.Contains(removed, session.name()) {
				t.Errorf("gc would remove it:\n%s", removed)
			}
			if got := kubectl(t, "eshell", "attach", session.name(), "-q", "--", "echo",
				"still there"); got != "still there\n" {
				t.Errorf("a command in it printed %q", got)
			}
			said := session.name() + ` deleted`
			if session.container != "" {
				said = session.container + `: container ` + session.container +
					` in pod/target-detach has ended; lease deleted`
			}
			shows(t, []string{"eshell", "delete", session.name()}, `\A`+said+`\n\z`)
			session.gone(t)
			session.leftNobody(t)
		})
	}
}

// visit attaches to the session's process, says something and goes. kubectl attach would also ask for the
// process's stderr, which is closed: containerd then ends the stream at once, and kubectl's exit status
// depends on who is faster (docs/notes.md).
func (s started) visit(t *testing.T) {
	t.Helper()
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	container := s.container
	if container == "" {
		pod, err := client(t).CoreV1().Pods(env.namespace).Get(t.Context(), s.pod, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		container = pod.Spec.Containers[0].Name
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := stream.NewClient(config, client(t)).Attach(ctx,
		stream.Container{Namespace: env.namespace, Pod: s.pod, Name: container},
		remotecommand.StreamOptions{Stdin: strings.NewReader("hello\n"), Stdout: t.Output()}); err != nil {
		t.Errorf("a client that comes and goes: %v", err)
	}
}

// leftNobody asserts that none of a debug session's processes is left among those of its target.
func (s started) leftNobody(t *testing.T) {
	t.Helper()
	if s.container == "" {
		return
	}
	if left := kubectl(t, "exec", s.pod, "-c", "app", "--", "sh", "-c",
		"cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^eshell-idler$' || true"); left != "0\n" {
		t.Errorf("%s of its processes are left", strings.TrimSpace(left))
	}
}

// TestDetachedTTL: its time ends it, and its process with it.
func TestDetachedTTL(t *testing.T) {
	t.Parallel()
	for _, place := range append(detachedPlaces,
		struct{ name, line string }{"clone without a lease", "deploy/bash --as=clone-only"}) {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			session := detached(t, strings.Replace(place.line, "target-detach", "target-ttl", 1)+" --ttl=30s")
			if strings.Contains(place.name, "without") { // nobody deletes the ended pod
				session.dead(t)
				output(t, "gc")
			}
			session.goneWithin(t, patience+30*time.Second)
			session.leftNobody(t)
		})
	}
}

// TestDetachedCommand: its output is in the log, until the session is deleted, and gc leaves it there.
func TestDetachedCommand(t *testing.T) {
	t.Parallel()
	end := namespaceFixture{env.namespace}.run(t,
		"kubectl eshell deploy/bash --detach -- sh -c 'echo out; exit 3'")
	sessions := headlines(end.stderr)
	if end.status != 0 || len(sessions) != 1 || end.stdout != sessions[0].pod+"\n" {
		t.Fatalf("exit status %d, stdout %q, stderr\n%s", end.status, end.stdout, end.stderr)
	}
	session := sessions[0]
	if says := "\n  its output goes into the container's log: kubectl logs " + session.pod + " -c app -n " +
		env.namespace + "\n"; !strings.Contains(end.stderr, says) {
		t.Errorf("stderr is\n%swant%s", end.stderr, says)
	}
	kubectl(t, "wait", "--for=jsonpath={.status.phase}=Failed", "pod/"+session.pod, inTime)
	shows(t, []string{"eshell", "list"}, `(?m)^`+session.pod+` .* Ended `)
	output(t, "gc")
	if log := kubectl(t, "logs", session.pod, "-c", "app"); log != "out\n" {
		t.Errorf("the log is %q", log)
	}
	output(t, "delete", session.pod)
	session.gone(t)
}

// TestDetachedWithoutShell: a command needs no shell in the image.
func TestDetachedWithoutShell(t *testing.T) {
	t.Parallel()
	here := namespaceFixture{env.namespace}
	end := here.run(t, "kubectl-eshell deploy/noshell --detach")
	if end.status != 125 || end.stdout != "" || !strings.Contains(end.stderr,
		"the image has no shell (sh) in its PATH") {
		t.Errorf("without a command: %+v", end)
	}
	end = here.run(t, "kubectl-eshell deploy/noshell --detach -- nosuch")
	if end.status != 125 || end.stdout != "" || !strings.Contains(end.stderr,
		`exec: "nosuch": executable file not found`) {
		t.Errorf("with one that is not there: %+v", end)
	}
}

// expired waits until nothing is left of a session whose client is gone: its lease is of 20 s, and the
// cluster's controllers get 30 s more.
func (s started) expired(t *testing.T) {
	t.Helper()
	objects := []string{s.lease()}
	if s.container == "" {
		objects = append(objects, "pod/"+s.pod)
	}
	kubectl(t, append([]string{"wait", "--for=delete", "--timeout=50s"}, objects...)...)
}

// stuck are sessions that never start.
var stuck = []struct {
	name  string
	args  []string
	shows string
}{
	{"clone", []string{"eshell", "deploy/nowhere"}, `scheduling`},
	{"debug", []string{"eshell", "pod/target-waiting", "--mode", "debug", "--image",
		"registry.invalid/none:1"}, `image registry`},
}

// TestDetachFails: a session that does not start leaves nothing, and no name for a script to take.
func TestDetachFails(t *testing.T) {
	t.Parallel()
	for _, place := range stuck {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			end := namespaceFixture{env.namespace}.run(t,
				"kubectl-"+strings.Join(place.args, " ")+" --detach --start-timeout=3s")
			sessions := headlines(end.stderr)
			if end.status != 125 || end.stdout != "" || len(sessions) != 1 {
				t.Fatalf("exit status %d, stdout %q, stderr\n%s", end.status, end.stdout, end.stderr)
			}
			sessions[0].expired(t)
		})
	}
}

// TestDetachKilled: a session whose client dies while it starts is not left behind.
func TestDetachKilled(t *testing.T) {
	t.Parallel()
	for _, place := range stuck {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term := open(t, append(place.args, "--lease=20s", "--detach")...)
			session := term.session()
			term.expect(`waiting \d+s: ` + place.shows)
			term.signal(syscall.SIGKILL)
			session.expired(t)
		})
	}
}

// TestDetachedExtend: who extends a session that nobody renews puts off its end.
func TestDetachedExtend(t *testing.T) {
	t.Parallel()
	session := detached(t, "deploy/bash --ttl=1h")
	shows(t, []string{"eshell", "extend", session.pod, "1h"}, `\A`+session.pod+` ends in `)
	if got := deadline(session.taken(t)); got != 7201 {
		t.Errorf("the lease's deadline is %d, want 7201", got)
	}
	short := detached(t, "deploy/bash --ttl=30s")
	output(t, "extend", short.pod, "1h")
	short.outlives(t, 30*time.Second)
	output(t, "delete", session.pod, short.pod)
	session.gone(t)
	debug := detached(t, "pod/target-extend --mode=debug")
	end := eshell(t.Context(), "extend", debug.container, "1h")
	if want := "error: " + debug.container +
		" cannot be extended: its container was given its time when it started\n"; end.status != 125 ||
		!strings.HasPrefix(end.stderr, want) {
		t.Errorf("extend of a debug session: %+v", end)
	}
	output(t, "delete", debug.container)
	debug.gone(t)
}

// TestDetachedFixed: who may not patch Jobs detaches all the same.
func TestDetachedFixed(t *testing.T) {
	t.Parallel()
	session := detached(t, "deploy/bash --ttl=1h --as=no-patch")
	lease := session.taken(t)
	if kept := lease.Annotations[annotated+"kept"]; deadline(lease) != 3601 || kept != "detached" {
		t.Errorf("the lease says %d, %q", deadline(lease), kept)
	}
	output(t, "extend", session.pod, "1h")
	if got := deadline(session.taken(t)); got != 7201 {
		t.Errorf("the lease's deadline is %d, want 7201", got)
	}
	output(t, "delete", "--force", session.pod)
	session.gone(t)
}

// jobVerbs lets a user open sessions, with some verbs on Jobs.
func jobVerbs(user, verbs string) string {
	return strings.NewReplacer("USER", user, "VERBS", verbs).Replace(`---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: USER}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [get]}
- {apiGroups: [batch], resources: [jobs], verbs: [VERBS]}
- {apiGroups: [""], resources: [pods], verbs: [create, watch, delete]}
- {apiGroups: [""], resources: [pods/exec, pods/attach], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: USER}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: USER}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: USER}]
`)
}

// TestFixedLeaseFollows: who may not patch Jobs, but get them, hears of a longer time and of the end.
func TestFixedLeaseFollows(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "follows", application+jobVerbs("follower", "create, get, delete"))
	term := open(t, "eshell", "-n", here.namespace, "deploy/app", "--ttl=30s", "--lease=20s", "--as=follower")
	session := term.session()
	term.expect(`/ # `)
	output(t, "extend", session.pod, "1h", "-n", here.namespace)
	kubectl(t, "wait", "--for=jsonpath={.spec.activeDeadlineSeconds}=3631", session.lease(), "-n",
		here.namespace, inTime)
	if end := here.run(t,
		"kubectl wait --for=delete pod/"+session.pod+" --timeout=45s -n "+here.namespace); end.status == 0 {
		t.Error("it ended at its first time")
	}
	kubectl(t, "delete", session.lease(), "-n", here.namespace)
	term.expect(`\nerror: ` + session.where() + ` ended`)
	if got := term.status(); got != 125 {
		t.Errorf("exit status %d, want 125", got)
	}
	if screen, _ := term.shown(); strings.Contains(screen, "as long as it may") {
		t.Errorf("the terminal showed:\n%s", screen)
	}
	here.without(t, session)
}

// TestReleaseWithoutDelete: who may patch Jobs but not delete them lets the lease run out, and hears no
// warning.
func TestReleaseWithoutDelete(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "no-delete", application+jobVerbs("no-delete", "create, patch"))
	end := here.run(t, "kubectl-eshell deploy/app --as=no-delete --lease=10m -- true")
	sessions := headlines(end.stderr)
	if end.status != 0 || len(sessions) != 1 || regexp.MustCompile(`(?m)^warning: `).MatchString(end.stderr) {
		t.Fatalf("exit status %d, stderr\n%s", end.status, end.stderr)
	}
	here.without(t, sessions[0])
}
