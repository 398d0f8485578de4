package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/cli"
)

// ending is how a command line ended.
type ending struct {
	status         int
	stdout, stderr string
}

// eshell runs the plugin in this process. What is refused, rehearsed or listed needs no kubectl and no
// program with a race detector: starting those costs many times what the case does. Sessions are never
// run like this: they have signals, streams and a terminal, which are a process's own.
func eshell(ctx context.Context, args ...string) ending {
	undisturbed()
	var stdout, stderr bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &stdout, ErrOut: &stderr}
	// Where the.env() has a process look for them.
	cache := filepath.Join(filepath.Dir(env.kubeconfig), ".kube", "cache")
	cluster := []string{"--kubeconfig=" + env.kubeconfig, "--cache-dir=" + cache}
	status := cli.Main(ctx, append(cluster, args...), streams, "dev")
	return ending{status, stdout.String(), stderr.String()}
}

// output is the stdout of a command that has to end well.
func output(t *testing.T, args ...string) string {
	t.Helper()
	end := eshell(t.Context(), args...)
	if end.status != 0 {
		t.Fatalf("eshell %s: exit status %d: %s", strings.Join(args, " "), end.status, end.stderr)
	}
	return end.stdout
}

// undisturbed takes away what of the developer's environment the plugin and its libraries read, as
// the.env() does for processes: KUBECONFIG, KUBECACHEDIR, KUBERNETES_SERVICE_HOST, KUBE_FEATURE_*,
// KUBECTL_ESHELL_*, the defaults of flags and their file, kubectl's kuberc, and proxies. Nothing here
// reads them once the cluster is chosen. TERM matters on a terminal only.
var undisturbed = sync.OnceFunc(func() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "KUBE") || strings.HasSuffix(strings.ToUpper(name), "_PROXY") ||
			strings.HasPrefix(name, "ESHELL_") && !ofSuite.MatchString(name) {
			_ = os.Unsetenv(name)
		}
	}
	_ = os.Setenv("XDG_CONFIG_HOME", filepath.Dir(env.kubeconfig))
	_ = os.Setenv("KUBERC", "off")
})

// ofSuite matches the variables that the tests themselves read.
var ofSuite = regexp.MustCompile(`^ESHELL_(E2E_.+|K8S_VERSION|CLUSTER_.+|RACE|FAULTS_ALL)$`)

// config says how the cluster is reached, at the test's own pace: the server says itself when it is busy.
func (w testEnv) config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", w.kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{} // of deprecated fields, which are generated too
	return config, nil
}

// asked is the client of all tests that ask the cluster for something that no user would type: a
// kubectl for each question costs more than most cases.
var asked = sync.OnceValues(func() (kubernetes.Interface, error) {
	config, err := env.config()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
})

// client is that for a test.
func client(t *testing.T) kubernetes.Interface {
	t.Helper()
	client, err := asked()
	if err != nil {
		t.Fatal(err)
	}
	return client
}
