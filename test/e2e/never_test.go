//go:build linux

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

// neverScene has what a careless program would read: Secrets, a token, and values in the template.
const neverScene = decoySource + `
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {PASSWORD: hunter-2b9c}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 0
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: app, image: "localhost/eshell/bash:1", command: [sleep, "86400"], envFrom: [{secretRef: {name: password}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: noshell}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/noshell:1"}]
`

// audited is what an event of the audit log says of a request.
type audited struct {
	Stage     string
	Verb      string
	UserAgent string
	ObjectRef struct{ Resource, Subresource, Namespace, Name string }

	RequestURI       string
	ImpersonatedUser struct{ Username string }
}

// subject returns what a request is about. A stream by WebSockets is a get, and one by SPDY a create: both
// are called open.
func (a audited) subject() string {
	verb, resource := a.Verb, a.ObjectRef.Resource
	if a.ObjectRef.Subresource != "" {
		resource += "/" + a.ObjectRef.Subresource
	}
	if resource == "pods/exec" || resource == "pods/attach" {
		verb = "open"
	}
	if resource == "" {
		resource, _, _ = strings.Cut(a.RequestURI, "?")
	}
	return verb + " " + resource
}

// requestsOf reads what the audit log has of a user.
func requestsOf(t *testing.T, user string) (all []audited) {
	t.Helper()
	log, err := os.Open(embedded.Default().AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), `"`+user+`"`) {
			continue
		}
		var event audited
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // the last line is being written
		}
		if event.ImpersonatedUser.Username == user {
			all = append(all, event)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// harmless are the requests that change nothing and are sent when they are needed: docs/permissions.md.
var harmless = []string{
	"create selfsubjectreviews", "create selfsubjectaccessreviews", "get namespaces", "get /version",
	"get pods", "list pods", "watch pods", "get jobs", "list jobs", "get deployments", "list deployments",
	"list services", "list poddisruptionbudgets", "list networkpolicies", "list statefulsets", "list daemonsets",
	"list replicationcontrollers", "list replicasets", "list events", "get pods/log",
}

// TestNever: by the audit log, a session of each mode creates, changes and deletes what docs/security.md
// says, and sends no other request. Whoever runs it is allowed everything.
func TestNever(t *testing.T) {
	t.Parallel()
	if !env.embedded {
		t.Skip("it reads the audit log of the embedded cluster")
	}
	here := newRealm(t, "never", neverScene)
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/joined", "pod/noshell", inTime)
	const lease, clone = "create jobs, patch jobs, delete jobs", "create pods, delete pods"
	for _, tt := range []struct{ user, line, changes string }{
		{"exec", "kubectl-eshell deploy/app USER -e A=1 --reason=why -- true",
			lease + ", " + clone + ", open pods/attach, open pods/exec"},
		{"attach", "kubectl-eshell deploy/app USER --via=attach -- sh -c exit",
			lease + ", " + clone + ", open pods/attach"},
		{"debug", "kubectl-eshell pod/joined USER --mode=debug --env-from-process -- true",
			lease + ", patch pods/ephemeralcontainers, open pods/attach, open pods/exec"},
		{"chroot", "kubectl-eshell pod/joined USER --mode=debug --image=localhost/eshell/busybox:1 --chroot --new -- true",
			lease + ", patch pods/ephemeralcontainers, open pods/attach, open pods/exec"},
		{"detach", "name=$(kubectl-eshell deploy/app USER --detach) && kubectl-eshell list USER && " +
			"kubectl-eshell extend USER $name 1h && kubectl-eshell attach USER $name -- true && " +
			"kubectl-eshell delete USER $name && kubectl-eshell gc USER",
			lease + ", " + clone + ", open pods/exec"},
		{"preview", "kubectl-eshell deploy/app USER --explain && kubectl-eshell deploy/app USER --dry-run=client -o yaml && " +
			"kubectl-eshell version USER", ""},
	} {
		t.Run(tt.user, func(t *testing.T) {
			t.Parallel()
			user := here.namespace + "-" + tt.user
			end := here.run(t, strings.ReplaceAll(tt.line, "USER", "--as="+user+" --as-group=system:masters -n "+here.namespace))
			if end.status != 0 {
				t.Fatalf("exit status %d: %s", end.status, end.stderr)
			}
			here.sent(t, user, strings.Split(tt.changes, ", "))
		})
	}
}

// sent asserts that a user has sent these requests, each at least once, and else only harmless ones; that all
// of them were about sessions and in this namespace; and that the server was told who sends them.
func (r namespaceFixture) sent(t *testing.T, user string, want []string) {
	t.Helper()
	agent := regexp.MustCompile(`^kubectl-eshell/\S+ \(linux/\w+\)$`)
	ours := regexp.MustCompile(`^(\S+-)?eshell-[a-z0-9]{5}$`)
	changes := []string{}
	for _, event := range requestsOf(t, user) {
		what, about := event.subject(), event.ObjectRef
		if !agent.MatchString(event.UserAgent) || about.Namespace != "" && about.Namespace != r.namespace {
			t.Errorf("%s in namespace %q by %q", what, about.Namespace, event.UserAgent)
		}
		if slices.Contains(harmless, what) {
			continue
		}
		if name := about.Name; !ours.MatchString(name) && !(strings.Contains(what, "pods/") && name == "joined") {
			t.Errorf("%s %q, which is no session's", what, name)
		}
		changes = append(changes, what)
	}
	slices.Sort(changes)
	slices.Sort(want)
	if got := strings.Join(slices.Compact(changes), ", "); got != strings.Join(want, ", ") {
		t.Errorf("it has changed\n%s, want\n%s", got, strings.Join(want, ", "))
	}
}

// TestContactsNobody: while a session runs, all connections of the client lead to the API server. Afterwards
// it has left two files: one has the user's name, and one is empty and remembers an image without a shell.
func TestContactsNobody(t *testing.T) {
	t.Parallel()
	if !env.embedded {
		t.Skip("it needs the address of the API server")
	}
	here := newRealm(t, "nobody", neverScene)
	home := t.TempDir()
	own := env
	own.also = []string{"HOME=" + home, "TMPDIR=" + home, "KUBECACHEDIR="}
	cmd := exec.Command(filepath.Join(env.bin, "kubectl-eshell"), "-n", here.namespace, "deploy/app")
	cmd.Env = own.env()
	term := onTerminal(t, cmd, 80, env.startOne())
	term.expect(`[$#] `)
	server := embedded.Default().APIServerAddr()
	if peers := connections(t, cmd.Process.Pid); len(peers) != 1 || peers[0] != server {
		t.Errorf("it is connected with %v, want %s alone", peers, server)
	}
	term.typed("exit\n")
	term.status()
	cmd = exec.Command(filepath.Join(env.bin, "kubectl-eshell"), "-n", here.namespace, "pod/noshell")
	cmd.Env = own.env()
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the image has no shell") {
		t.Fatalf("%v: %s", err, out)
	}
	var files []string
	if err := filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, fmt.Sprintf("%s: %d bytes", strings.TrimPrefix(path, home), size(t, path)))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^/\.kube/cache/eshell/user/[0-9a-f]{64}: 5 bytes\n` + // admin
		`/\.kube/cache/eshell/without-shell/[0-9a-f]{64}: 0 bytes$`).MatchString(strings.Join(files, "\n")) {
		t.Errorf("it has written %v", files)
	}
}

// connections returns where the TCP connections of a process lead, each address once.
func connections(t *testing.T, pid int) (peers []string) {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	var sockets []string
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:[") {
			sockets = append(sockets, strings.Trim(to, "socket:[]"))
		}
	}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); slices.Contains(sockets, fields[9]) {
				peers = append(peers, peer(t, fields[2]))
			}
		}
	}
	slices.Sort(peers)
	return slices.Compact(peers)
}

// peer returns an address of /proc/net/tcp in words: 0100007F:403B is 127.0.0.1:16443 (proc_pid_net(5)).
func peer(t *testing.T, hex string) string {
	t.Helper()
	var a, b, c, d byte
	var port uint16
	if _, err := fmt.Sscanf(hex, "%2x%2x%2x%2x:%4x", &d, &c, &b, &a, &port); err != nil {
		return hex // IPv6: no address of the embedded cluster's
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{a, b, c, d}), port).String()
}

// TestTargetSees: docs/security.md says that a target sees the arguments and, as the same user, the
// environment of what runs beside it, and can write its files unless it has capabilities that the target
// lacks; and that a container with processes of its own does not.
func TestTargetSees(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "sees", strings.Replace(decoySource, "command: [sleep, \"86400\"]}]\n",
		"command: [sleep, \"86400\"]}, {name: apart, image: \"localhost/eshell/bash:1\", command: [sleep, \"86400\"]}]\n", 1))
	kubectl(t, "wait", "-n", here.namespace, "--for=condition=Ready", "pod/joined", inTime)
	inside := func(container, script string) string {
		return kubectl(t, "exec", "-n", here.namespace, "joined", "-c", container, "--", "sh", "-c", script)
	}
	for _, tt := range []struct {
		profile string
		writes  bool
	}{{"baseline", true}, {"general", false}} {
		term := open(t, "eshell", "-n", here.namespace, "pod/joined", "-c", "app", "--mode=debug", "--new",
			"--profile="+tt.profile, "-e", "PASSWORD=hunter-2b9c", "--", "sh", "-c",
			"echo ready; read -r words_2b9c; cat /planted; echo over-$((6*7))")
		term.expect(`ready`)
		for container, sees := range map[string]bool{"app": tt.writes, "apart": false} {
			all := inside(container, "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'")
			if words := strings.Contains(all, "words_2b9c"); strings.Contains(all, "PASSWORD=hunter-2b9c") != sees ||
				words != (container == "app") {
				t.Errorf("beside profile %s container %s sees\n%s", tt.profile, container, all)
			}
		}
		inside("app", "for p in /proc/[0-9]*; do [ $p/root/ -ef / ] || echo by-the-target >$p/root/planted; done 2>/dev/null; true")
		term.typed("\n")
		term.expect(`over-42`)
		if screen, _ := term.shown(); strings.Contains(screen, "by-the-target") != tt.writes {
			t.Errorf("beside profile %s the target has written: %t\n%s", tt.profile, !tt.writes, screen)
		}
		term.status()
	}
}
