//go:build unix

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/phaseproxy"
)

// debugTarget is a pod beside whose container app a debug container runs.
type debugTarget struct {
	name     string
	spec     string // of the pod, in YAML
	level    string // what Pod Security enforces in its namespace
	until    string // what kubectl wait waits for
	typed    string // beside the name of the pod
	image    bool   // the debug container needs an image of its own
	running  bool   // there is a process to see
	notRoot  bool
	readOnly bool
}

const (
	sleeps     = `{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}`
	strictPod  = `securityContext: {runAsUser: 1000, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, `
	strictApp  = `{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"], securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}`
	appIsReady = "condition=Ready"
)

func debugTargets() []debugTarget {
	containers := func(list string) string { return "containers: [" + list + "]" }
	return []debugTarget{
		{name: "distroless", spec: containers(`{name: app, image: "localhost/eshell/noshell:1"}`), until: appIsReady,
			image: true, running: true},
		{name: "not-root", spec: strictPod + containers(strictApp), until: appIsReady, running: true, notRoot: true},
		{name: "read-only", spec: containers(strings.Replace(sleeps, "command:", "securityContext: {readOnlyRootFilesystem: true}, command:", 1)),
			until: appIsReady, running: true, readOnly: true},
		{name: "crashing", spec: containers(`{name: app, image: "localhost/eshell/busybox:1", command: ["false"]}`),
			until: `jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff`},
		{name: "unpulled", spec: containers(`{name: app, image: "localhost/eshell/none:1"}`), image: true,
			until: `jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff`},
		{name: "init-failing", spec: `initContainers: [{name: prepare, image: "localhost/eshell/busybox:1", command: ["false"]}], ` +
			containers(sleeps), until: `jsonpath={.status.initContainerStatuses[0].lastState.terminated.exitCode}=1`},
		{name: "two", spec: containers(`{name: other, image: "localhost/eshell/noshell:1"}, ` + sleeps), until: appIsReady,
			typed: "-c app", running: true},
		{name: "sidecar", spec: `initContainers: [{name: app, restartPolicy: Always, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}], ` +
			containers(`{name: other, image: "localhost/eshell/noshell:1"}`), until: appIsReady, typed: "-c app", running: true},
		{name: "shared", spec: "shareProcessNamespace: true, " + containers(sleeps), until: appIsReady, running: true},
		{name: "host-network", spec: "hostNetwork: true, " + containers(sleeps), until: appIsReady, running: true},
		{name: "host-pid", spec: "hostPID: true, " + containers(sleeps), until: appIsReady, running: true},
		{name: "privileged", level: "privileged", spec: containers(strings.Replace(sleeps, "command:", "securityContext: {privileged: true}, command:", 1)),
			until: appIsReady, running: true},
		{name: "baseline", level: "baseline", spec: containers(sleeps), until: appIsReady, running: true},
		{name: "restricted", level: "restricted", spec: strictPod + containers(strictApp), until: appIsReady, running: true,
			notRoot: true},
	}
}

// TestTargets: beside whatever a pod is, a debug session runs with its target's rights, sees its target's
// files if there is a process, and ends with its client, even if that is killed.
func TestTargets(t *testing.T) {
	t.Parallel()
	for _, tt := range debugTargets() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			here := newRealm(t, "target-"+tt.name, "{apiVersion: v1, kind: Pod, metadata: {name: app}, spec: {"+
				"terminationGracePeriodSeconds: 0, "+tt.spec+"}}")
			if tt.level != "" {
				kubectl(t, "label", "namespace", here.namespace, "pod-security.kubernetes.io/enforce="+tt.level)
			}
			kubectl(t, "wait", "--for="+tt.until, "-n", here.namespace, "pod/app", "--timeout=90s")
			args := append([]string{"eshell", "-n", here.namespace, "pod/app", "--mode=debug", "--lease=20s"},
				strings.Fields(tt.typed)...)
			if tt.image {
				args = append(args, "--image=localhost/eshell/busybox:1")
			}
			term := open(t, args...)
			session := term.session()
			term.expect(`[$#] `)
			if screen, _ := term.shown(); len(headlines(screen)) > 1 { // the target had just ended
				session = headlines(screen)[1]
			}
			term.typed("echo user $(id -u), $(ls -d ${TARGET_ROOT:-/none}/proc 2>&1), $(touch /new 2>&1 && echo new)\n")
			user, files, written := "0", `/proc/\d+/root/proc`, "new"
			if tt.notRoot {
				user, written = "1000", "touch: /new: Permission denied"
			}
			if tt.readOnly {
				written = "touch: /new: Read-only file system"
			}
			if !tt.running {
				files = `ls: /none/proc: No such file or directory`
			}
			term.expect(`user ` + user + `, ` + files + `, ` + written + `\r\n`)
			term.signal(syscall.SIGKILL)
			term.status()
			if err := session.leaves(t.Context(), here.namespace, patience); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPodSecurity: what Pod Security does not let in is refused in its own words, with the command that it
// does let in.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"baseline", "restricted"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			here := newRealm(t, "admits-"+level, "{apiVersion: v1, kind: Pod, metadata: {name: app}, spec: {"+
				"terminationGracePeriodSeconds: 0, "+strictPod+"containers: ["+strictApp+"]}}")
			kubectl(t, "label", "namespace", here.namespace, "pod-security.kubernetes.io/enforce="+level)
			kubectl(t, "wait", "--for=condition=Ready", "-n", here.namespace, "pod/app", "--timeout=60s")
			here.refuses(t, "violates PodSecurity")
			before := here.pods(t)
			end := here.run(t, "kubectl-eshell pod/app --mode debug --profile sysadmin -- true")
			admitted := map[string]string{"baseline": "baseline", "restricted": "auto"}[level]
			hint := fmt.Sprintf("kubectl eshell pod/app -c app -n %s --mode debug --profile %s -- true",
				here.namespace, admitted)
			want := `error: .*violates PodSecurity "` + level + `:latest": privileged .*\n` +
				`hint: with what the namespace admits: ` + regexp.QuoteMeta(hint) + `\n\z`
			if end.status != 125 || !regexp.MustCompile(want).MatchString(end.stderr) {
				t.Fatalf("exit status %d, want 125; stderr is\n%swant\n%s", end.status, end.stderr, want)
			}
			here.left(t, before)
			if end := here.run(t, hint); end.status != 0 {
				t.Errorf("%s: exit status %d\n%s", hint, end.status, end.stderr)
			}
		})
	}
}

// TestChrootWritesNothing: what is typed in the target's root is not kept there.
func TestChrootWritesNothing(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"busybox", "debian"} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			shell := []string{"eshell", "pod/distroless", "--mode=debug", "--image=localhost/eshell/" + image + ":1"}
			term := open(t, append(shell, "--chroot", "--new")...)
			term.expect(`[$#] `)
			term.typed("cd /root; export PASSWORD=secret; echo here: $(ls -d /server)\n")
			term.expect(`here: /server\r\n`)
			term.typed("exit\n")
			term.status()
			files := kubectl(t, append(shell, "-qi=false", "--", "sh", "-c",
				"ls -A $TARGET_ROOT/root $TARGET_ROOT/home/app $TARGET_ROOT/tmp; ls -A $TARGET_ROOT")...)
			if strings.Contains(files, "history") || strings.Contains(files, "eshell") {
				t.Errorf("the target has\n%s", files)
			}
		})
	}
}

// hostile is a pod that lays out for its debug shell what a shell runs when it starts.
const hostile = `{apiVersion: v1, kind: Pod, metadata: {name: app}, spec: {terminationGracePeriodSeconds: 0,
  containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sh, -c, "mkdir -p /evil /root;
  echo echo I am evil >/evil/.bashrc; cp /evil/.bashrc /root; cp /evil/.bashrc /etc/bash.bashrc;
  echo '\"x\": \"I am evil\"' >/root/.inputrc; cp /root/.inputrc /etc/inputrc; cp /root/.inputrc /evil;
  HOME=/proc/1/root/evil exec sleep 86400"]}]}}`

// TestHostileTarget: a shell beside a target, or in its files, runs nothing that the target has laid out for
// it.
func TestHostileTarget(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "hostile", hostile)
	kubectl(t, "wait", "--for=condition=Ready", "-n", here.namespace, "pod/app", inTime)
	for _, flags := range [][]string{
		{"--image=localhost/eshell/bash:1"},
		{"--image=localhost/eshell/bash:1", "--chroot"},
		{"--image=localhost/eshell/debian:1", "--chroot"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			term := open(t, append([]string{"eshell", "-n", here.namespace, "pod/app", "--mode=debug", "--new",
				"--env-from-process", "--profile=general"}, flags...)...)
			term.expect(`[$#] `)
			term.typed("echo $((6 * 7)) x; exit\n")
			term.expect(`42 x\r\n`)
			term.status()
			if screen, _ := term.shown(); strings.Contains(screen, "evil") {
				t.Errorf("the target has run something in the shell:\n%s", screen)
			}
		})
	}
}

// dying is a pod whose container crashes once it has a file, and after that whenever it starts.
const dying = `{apiVersion: v1, kind: Pod, metadata: {name: app}, spec: {terminationGracePeriodSeconds: 0,
  volumes: [{name: data, emptyDir: {}}], containers: [{name: app, image: "localhost/eshell/busybox:1",
  volumeMounts: [{name: data, mountPath: /data}],
  command: [sh, -c, "[ -e /data/end ] && exit 3; while [ ! -e /data/end ]; do sleep 0.1; done; sleep 1; exit 3"]}]}}`

// TestTargetEnds: a target that ends just before its debug container starts gets one that needs no process.
func TestTargetEnds(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "target-ends", dying)
	kubectl(t, "wait", "--for=condition=Ready", "-n", here.namespace, "pod/app", inTime)
	late, proxy := env, holdAt(t, phaseproxy.Creating)
	late.kubeconfig = kubeconfigVia(t, proxy)
	term := late.open(t, nil, "eshell", "-n", here.namespace, "pod/app", "--mode=debug")
	<-proxy.Reached()
	kubectl(t, "exec", "-n", here.namespace, "app", "--", "touch", "/data/end")
	kubectl(t, "wait", "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff",
		"-n", here.namespace, "pod/app", inTime)
	proxy.Release()
	term.expect(`container app has ended meanwhile: another debug container is added`)
	term.expect(`there is no process of container app to see: `)
	term.expect(`[$#] `)
	term.typed("ls /data; exit 6\n")
	term.expect(`end\r\n`)
	if status := term.status(); status != 6 {
		t.Errorf("exit status %d, want 6", status)
	}
}
