//go:build unix

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/phaseproxy"
)

// TestReuse: a shell on a second terminal joins the debug container of the first, --new adds another, and one
// of a detached session is joined by commands too.
func TestReuse(t *testing.T) {
	t.Parallel()
	shell := []string{"eshell", "pod/target-reuse", "--mode", "debug"}
	first := open(t, shell...)
	session := first.session()
	first.expect(prompt)
	second := open(t, shell...)
	second.expect(`pod/target-reuse: one more shell in debug container ` + session.container + ` beside container app`)
	second.expect(`your debug container ` + session.container + ` is as this one would be: ` +
		`the shell ends with that session at the latest; --new adds another container`)
	second.expect(prompt)
	second.typed("echo $TARGET_ROOT; echo $GREETING; exit 4\n")
	second.expect(`/proc/1/root\r\nhello\r\n`)
	if status := second.status(); status != 4 {
		t.Errorf("exit status %d, want 4", status)
	}
	third := open(t, append(shell, "--new")...)
	if other := third.session(); other.container == session.container {
		t.Errorf("--new has joined %s", other.container)
	}
	third.expect(prompt)
	third.typed("exit\n")
	first.typed("exit\n")
	first.status()
	third.status()

	name := strings.TrimSpace(kubectl(t, append(shell, "--detach", "-q")...))
	ran := kubectl(t, append(shell, "-q", "-i=false", "--", "sh", "-c", "echo $TARGET_ROOT")...)
	if ran != "/proc/1/root\n" {
		t.Errorf("in the detached session: %q", ran)
	}
	entries := strings.Fields(kubectl(t, "get", "pod", "target-reuse", "-o",
		"jsonpath={.spec.ephemeralContainers[*].name}"))
	if len(entries) != 3 || !slices.Contains(entries, name) {
		t.Errorf("the pod has the debug containers %v, want three, and %s among them", entries, name)
	}
	kubectl(t, "eshell", "delete", name)
}

// TestReuseTooLate: the session that a shell was about to join ends before the shell begins. The shell gets a
// container of its own.
func TestReuseTooLate(t *testing.T) {
	t.Parallel()
	shell := []string{"eshell", "pod/target-late", "--mode", "debug"}
	first := open(t, shell...)
	session := first.session()
	first.expect(prompt)
	slow, proxy := env, holdAt(t, phaseproxy.Attaching)
	slow.kubeconfig = kubeconfigVia(t, proxy)
	second := slow.open(t, nil, shell...)
	second.expect(`one more shell in debug container ` + session.container)
	<-proxy.Reached()
	first.typed("exit\n")
	first.ended(0, session)
	proxy.Release()
	second.expect(`container ` + session.container + ` has ended meanwhile: another one is added`)
	second.expect(prompt)
	second.typed("exit 6\n")
	if status := second.status(); status != 6 {
		t.Errorf("exit status %d, want 6", status)
	}
}

// holdAt starts a proxy that holds a client at a moment until it is told to release it.
func holdAt(t *testing.T, moment phaseproxy.Moment) *phaseproxy.Proxy {
	t.Helper()
	server, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := phaseproxy.New(server, moment)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return proxy
}

// kubeconfigVia returns the path of a kubeconfig whose cluster is behind the proxy.
func kubeconfigVia(t *testing.T, proxy interface{ Replace(*clientcmdapi.Cluster) }) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(env.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Replace(config.Clusters[config.Contexts[config.CurrentContext].Cluster])
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}
