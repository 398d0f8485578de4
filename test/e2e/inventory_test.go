//go:build unix

package e2e

import (
	"context"
	"regexp"
	"strings"
	"syscall"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// as types it as a user of one test alone: "all your sessions" are the test's.
func as(user string, args ...string) []string {
	return append([]string{"eshell", "--as=" + user, "--as-group=system:masters"}, args...)
}

func auditor(args ...string) []string { return as("auditor", args...) }

// told waits until the lease says where its session is: it is told with the first renewal.
func (s started) told(t *testing.T) {
	t.Helper()
	err := until(t.Context(), patience, func(context.Context) (bool, error) {
		return s.taken(t).Annotations[annotated+"pod"] == s.pod, nil
	})
	if err != nil {
		t.Fatalf("%s never tells of pod/%s: %v", s.lease(), s.pod, err)
	}
}

// annotated begins the names of all annotations.
const annotated = "kubectl-eshell.github.io/"

// taken is the lease that the session has.
func (s started) taken(t *testing.T) *batchv1.Job {
	t.Helper()
	name := strings.TrimPrefix(s.lease(), "job/")
	job, err := client(t).BatchV1().Jobs(env.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// deadline is how many seconds the lease has, 0 for no limit.
func deadline(lease *batchv1.Job) int64 {
	if lease.Spec.ActiveDeadlineSeconds == nil {
		return 0
	}
	return *lease.Spec.ActiveDeadlineSeconds
}

// shows asserts that a command of eshell's prints what the pattern says. It runs in this process.
func shows(t *testing.T, args []string, pattern string) {
	t.Helper()
	matches(t, args, output(t, args[1:]...), pattern)
}

// showsTyped is the same as a user types it, through kubectl.
func showsTyped(t *testing.T, args []string, pattern string) {
	t.Helper()
	matches(t, args, kubectl(t, args...), pattern)
}

func matches(t *testing.T, args []string, got, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(got) {
		t.Errorf("%s printed\n%s, want %s", strings.Join(args, " "), got, pattern)
	}
}

// TestInventory is a clone and a debug session, told of and ended from another terminal.
func TestInventory(t *testing.T) {
	t.Parallel()
	inClone := open(t, auditor("deploy/bash", "--ttl=1h", "--reason=incident 12")...)
	inDebug := open(t, auditor("pod/target-lease", "--mode=debug", "--new", "--ttl=1h")...)
	clone, debug := inClone.session(), inDebug.session()
	for _, term := range []*terminal{inClone, inDebug} {
		term.expect(prompt)
	}
	clone.told(t)
	debug.told(t)

	showsTyped(t, auditor("list"), `(?m)\ANAME +MODE +SOURCE +POD +STATE +AGE +HEARD +LEFT
`+clone.pod+` +clone +deployment/bash +`+clone.pod+` +Running +\S+ +\S+ +5\dm
`+debug.container+` +debug +pod/target-lease +target-lease +Running +\S+ +\S+ +5\dm
\z`)
	shows(t, auditor("list", "-o", "wide"), clone.pod+` +app +Running .* auditor +incident 12\n`)
	shows(t, auditor("list", "-o", "name"), `\A`+clone.pod+`\n`+debug.container+`\n\z`)
	shows(t, auditor("list", "-o", "yaml"),
		`(?s)\AapiVersion: .*container: `+debug.container+`.*kind: SessionList`)
	shows(t, auditor("list", "-A", "-o", "json"), `"namespace": "`+env.namespace+`"`)
	shows(t, auditor("list", "pod/target-lease"), debug.container+` +\S+ +app +Running +<none> +\S+ +`)
	shows(t, []string{"eshell", "list", "--all-users"}, debug.container+` .* auditor\n`)
	if others := output(t, "list", "-o", "name"); strings.Contains(others, clone.pod) {
		t.Errorf("another user's own sessions are\n%s", others)
	}

	showsTyped(t, auditor("extend", clone.pod, "1h"), `\A`+clone.pod+` ends in 11\dm\n\z`)
	shows(t, auditor("list"), clone.pod+` +Running +\S+ +\S+ +11\dm\n`)
	if removed := output(t, auditor("gc", "--dry-run")[1:]...); strings.Contains(removed, clone.pod) ||
		strings.Contains(removed, debug.container) {
		t.Errorf("gc would remove living sessions:\n%s", removed)
	}
	for _, term := range []*terminal{inClone, inDebug} {
		term.typed("echo still-$((40+2))\n")
		term.expect(`still-42\r\n`)
	}

	showsTyped(t, auditor("delete", debug.container),
		`\A`+debug.container+`: lease deleted; its client ends container `+debug.container+
			` in pod/target-lease\n\z`)
	inDebug.endsWith(debug, debug.where()+` ended with its lease: `)
	shows(t, auditor("delete", "--all"), `\A`+clone.pod+` deleted\n\z`)
	inClone.endsWith(clone, clone.where()+` ended `)
}

// TestGC: a clone that no lease takes away, whose client is gone, is removed once it has ended; living
// sessions are left alone. It runs alone: gc clears away what other tests leave too.
func TestGC(t *testing.T) {
	living := []*terminal{
		open(t, auditor("deploy/bash")...),
		open(t, auditor("pod/target-lease", "--mode=debug", "--new")...),
		open(t, "eshell", "deploy/bash", "--as=clone-only"), // without a lease
	}
	var sessions []started
	for _, term := range living {
		sessions = append(sessions, term.session())
		term.expect(prompt)
	}
	// Killed before its client was attached, the process waits for it: for the length of a lease and 20 s.
	killed := open(t, "eshell", "deploy/bash", "--as=clone-only", "--lease=20s")
	left := killed.session()
	killed.expect(prompt)
	killed.signal(syscall.SIGKILL)
	left.dead(t)
	kubectl(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/"+left.pod, inTime)

	shows(t, []string{"eshell", "gc", "--dry-run"},
		`(?m)^`+left.pod+`: it has ended: would be removed \(dry run\)$`)
	showsTyped(t, []string{"eshell", "gc"}, `(?m)^`+left.pod+`: it has ended: removed$`)
	kubectl(t, "wait", "--for=delete", "pod/"+left.pod, inTime)
	for n, term := range living {
		term.typed("echo still-$((40+2)); exit\n")
		term.expect(`still-42\r\n`)
		term.ended(0, sessions[n])
	}
}
