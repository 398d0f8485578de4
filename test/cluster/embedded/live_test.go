package embedded_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/faultproxy"
)

// TestLive runs against the real cluster, which it brings up if it isn't and leaves up.
// It takes a minute, and minutes more to build, so it wants to be asked for.
func TestLive(t *testing.T) {
	if os.Getenv("ESHELL_CLUSTER_TEST") == "" {
		t.Skip("set ESHELL_CLUSTER_TEST=1 to run this against the real cluster")
	}
	c := embedded.Default()
	if err := c.Up(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	l := live{c, c.Kubeconfig()}
	t.Run("images", func(t *testing.T) { testImages(t, l) })
	t.Run("pulls fail at once", func(t *testing.T) { testPulls(t, l) })
	t.Run("faults", func(t *testing.T) { testFaults(t, l) })
	t.Run("a user may do nothing", func(t *testing.T) { testUser(t, l) })
	t.Run("through a proxy", func(t *testing.T) { testProxy(t, l) })
}

// live runs kubectl with one kubeconfig.
type live struct {
	cluster    *embedded.Cluster
	kubeconfig string
}

func (l live) kubectl(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, l.cluster.Kubectl(),
		append([]string{"--kubeconfig", l.kubeconfig}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (l live) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := l.kubectl(t.Context(), args...)
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", args, err, out)
	}
	return out
}

// pod makes a pod that is deleted with the test, which has its name from the test and its image.
func (l live) pod(t *testing.T, image string, command ...string) string {
	t.Helper()
	name := strings.NewReplacer("/", "-", ":", "-", ".", "-", "_",
		"-").Replace(strings.ToLower(t.Name()) + "-" + strings.TrimPrefix(image, "localhost/eshell/"))
	t.Cleanup(func() {
		_, _ = l.kubectl(context.Background(), "delete", "pod", name, "--grace-period=1",
			"--ignore-not-found", "--wait=false")
	})
	l.must(t, append([]string{"run", name, "--image=" + image, "--restart=Never"}, command...)...)
	return name
}

func testImages(t *testing.T, l live) {
	wait := []string{"wait", "--for=condition=Ready", "--timeout=60s"}
	for _, image := range embedded.Images() {
		wait = append(wait, "pod/"+l.pod(t, image, arguments(image)...))
	}
	l.must(t, wait...)
	for _, test := range []struct{ name, want string }{
		{"testlive-images-dash-1 -- readlink /bin/sh", "dash"},
		{"testlive-images-busybox-1 -- readlink /bin/sh", "busybox"},
		{"testlive-images-bash-1 -- bash -c :", ""},
		{"testlive-images-nonroot-1 -- id -u", "1000"},
	} {
		got := l.must(t, append([]string{"exec"}, strings.Fields(test.name)...)...)
		if got != test.want {
			t.Errorf("exec %s = %q, want %q", test.name, got, test.want)
		}
	}
	// Which of the two streams is read first is nobody's promise.
	hello := strings.Split(l.must(t, "exec", "testlive-images-noshell-1", "--", "/hello", "a", "b"), "\n")
	slices.Sort(hello)
	if want := []string{"hello from a b", "to stderr"}; !slices.Equal(hello, want) {
		t.Errorf("exec testlive-images-noshell-1 -- /hello a b = %q, want %q in any order", hello, want)
	}
	out, err := l.kubectl(t.Context(), "exec", "testlive-images-noshell-1", "--", "/hello", "-exit", "5")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("exit code of -exit 5: %v\n%s", err, out)
	}
}

// arguments keep a shell image's pod alive; the others live by themselves.
func arguments(image string) []string {
	if strings.Contains(image, "noshell") || strings.Contains(image, "entrypoint") || strings.Contains(image,
		"pause") {
		return nil
	}
	return []string{"--", "sleep", "3600"}
}

func testPulls(t *testing.T, l live) {
	for image, want := range map[string]string{
		"example.invalid/none:1":         "connection refused",
		embedded.NotFound + "/none/at:1": "not found",
	} {
		name := l.pod(t, image)
		message := "jsonpath={.status.containerStatuses[0].state.waiting.message}"
		l.must(t, "wait", "pod/"+name, "--for=jsonpath={.status.containerStatuses[0].state.waiting.message}",
			"--timeout=60s")
		if got := l.must(t, "get", "pod", name, "-o", message); !strings.Contains(got, want) {
			t.Errorf("%s: %s; want %q", image, got, want)
		}
	}
}

func testFaults(t *testing.T, l live) {
	name := l.pod(t, "localhost/eshell/busybox:1", "--", "sleep", "3600")
	l.must(t, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=30s")
	for _, component := range []string{"kubelet", "containerd", "apiserver", "etcd", "scheduler",
		"controller-manager"} {
		if err := l.cluster.Component(component).Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if component == "etcd" { // the API server needs a moment to connect again
			l.must(t, "get", "--raw", "/readyz")
		}
		if got := l.must(t, "exec", name, "--", "echo", "alive"); got != "alive" {
			t.Errorf("after restarting %s: %s", component, got)
		}
	}
	apiserver := l.cluster.Component("apiserver")
	if err := apiserver.Stop(); err != nil {
		t.Fatal(err)
	}
	if state, err := apiserver.State(t.Context()); state != embedded.Stopped || err != nil {
		t.Errorf("state after a stop = %s, %v", state, err)
	}
	if out, err := l.kubectl(t.Context(), "get", "pods", "--request-timeout=1s"); err == nil {
		t.Errorf("a stopped API server answers: %s", out)
	}
	if err := apiserver.Continue(); err != nil {
		t.Fatal(err)
	}
	l.must(t, "get", "pods")
}

func testUser(t *testing.T, l live) {
	kubeconfig, err := l.cluster.UserKubeconfig("jane")
	if err != nil {
		t.Fatal(err)
	}
	out, err := live{l.cluster, kubeconfig}.kubectl(t.Context(), "get", "pods")
	if err == nil || !strings.Contains(out, `User "jane" cannot list resource "pods"`) {
		t.Errorf("get pods = %v, %s", err, out)
	}
	audit, err := os.Open(l.cluster.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer audit.Close()
	if events, err := io.ReadAll(audit); err != nil || !strings.Contains(string(events),
		`"username":"jane"`) {
		t.Errorf("the audit log lacks the request (%v)", err)
	}
}

func testProxy(t *testing.T, l live) {
	proxy, err := faultproxy.New(l.cluster.APIServerAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	kubeconfig, err := l.cluster.KubeconfigVia(proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	via := live{l.cluster, kubeconfig}
	via.must(t, "get", "nodes")
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if out, err := via.kubectl(ctx, "get", "nodes"); err == nil {
		t.Errorf("an answer through a stalled proxy: %s", out)
	}
	proxy.Resume()
	via.must(t, "get", "nodes")
}
