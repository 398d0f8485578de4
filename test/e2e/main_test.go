// Package e2e runs the real plugin through the real kubectl against a real Kubernetes.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	osignal "os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"
)

// testEnv is what every test uses and none is allowed to change.
type testEnv struct {
	bin        string // a folder with kubectl and kubectl-eshell, and nothing else
	kubeconfig string // its namespace is this run's own
	namespace  string
	embedded   bool
	starts     chan struct{} // a slot for each session that is starting
	also       []string      // variables of the environment that take the place of the usual ones
}

var env testEnv

func TestMain(m *testing.M) {
	if folder := os.Getenv(pluginFolder); folder != "" { // this program is a credential plugin too
		os.Exit(plugin(folder))
	}
	flag.Parse()
	if testing.Short() {
		fmt.Println("end-to-end tests are left out by -short")
		return
	}
	status, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func runAll(m *testing.M) (status int, err error) {
	if osignal.Ignored(syscall.SIGHUP) { // nohup ignores it: every client would ignore it too
		osignal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	dir, err := os.MkdirTemp("", "eshell-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	c, err := chooseCluster(ctx)
	if err != nil {
		return 0, err
	}
	env = testEnv{bin: filepath.Join(dir, "bin"), kubeconfig: filepath.Join(dir, "kubeconfig"),
		namespace: "eshell-e2e-" + rand.String(5), embedded: c.context == embeddedContext,
		starts: make(chan struct{}, startsAtOnce())}
	if err := env.install(ctx, c); err != nil {
		return 0, err
	}
	defer func() {
		err = env.kubectl(ctx, "delete", "namespace", env.namespace, "--wait=false")
	}()
	if err := env.deploy(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// withRaceDetector is the variable that asks for a plugin with Go's race detector. It finds races in all that
// the tests do, and every start of the plugin then costs ten times as much: 0.45 s of CPU time.
const withRaceDetector = "ESHELL_RACE"

// install builds the plugin, puts it where kubectl finds it, and writes the run's kubeconfig.
func (w testEnv) install(ctx context.Context, c cluster) error {
	var flags []string
	if os.Getenv(withRaceDetector) != "" {
		flags = append(flags, "-race")
	}
	if err := w.build(ctx, c.kubectl, flags...); err != nil {
		return err
	}
	config, err := exec.CommandContext(ctx, c.kubectl, "--kubeconfig", c.kubeconfig, "--context", c.context,
		"config", "view", "--raw", "--flatten", "--minify").Output()
	if err != nil {
		return fmt.Errorf("read the kubeconfig %s: %w", c.kubeconfig, err)
	}
	if err := os.WriteFile(w.kubeconfig, config, 0o600); err != nil {
		return err
	}
	return w.kubectl(ctx, "config", "set-context", "--current", "--namespace", w.namespace)
}

// build creates the folder of programs. kubectl is the one to use, and flags are passed to go build.
func (w testEnv) build(ctx context.Context, kubectl string, flags ...string) error {
	if err := os.Mkdir(w.bin, 0o755); err != nil {
		return err
	}
	if err := os.Symlink(kubectl, filepath.Join(w.bin, "kubectl")); err != nil {
		return err
	}
	words := append([]string{"build", "-o", w.bin + "/kubectl-eshell"}, flags...)
	if out, err := exec.CommandContext(ctx, "go",
		append(words, "../../cmd/kubectl-eshell")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	return nil
}

// deploy creates the run's namespace with the workloads that the tests clone and debug.
func (w testEnv) deploy(ctx context.Context) error {
	if err := w.writeTargets(); err != nil {
		return err
	}
	steps := [][]string{
		{"create", "namespace", w.namespace},
		{"apply", "-f", "testdata/workloads.yaml", "-f", w.targets()},
		{"wait", "--for=condition=Available", "--timeout=120s", "deployments", "-l", "runs=yes"},
		{"wait", "--for=condition=Ready", "--timeout=120s", "pods", "-l", "runs=yes"},
	}
	for _, step := range steps {
		if err := w.kubectl(ctx, step...); err != nil {
			return err
		}
	}
	return nil
}

// targets returns the folder that holds a manifest for each pod that debug sessions join.
func (w testEnv) targets() string { return filepath.Join(filepath.Dir(w.bin), "targets") }

// targetNames are the names of those pods. A test that counts what is in its pod has a pod of its own.
var targetNames = []string{
	"target", "target-shell", "target-short", "target-waiting", "target-lease", "target-idle", "target-data",
	"target-argv",
	"target-reaped", "target-ended", "target-reuse", "target-late",
	"target-detach", "target-ttl", "target-extend", "target-stopped-0", "target-stopped-1",
	"target-stopped-2", "target-stopped-3", "target-credentials", "target-held",
}

func (w testEnv) writeTargets() error {
	template, err := os.ReadFile("testdata/target.yaml")
	if err != nil {
		return err
	}
	if err := os.Mkdir(w.targets(), 0o755); err != nil {
		return err
	}
	for _, name := range targetNames {
		manifest := strings.ReplaceAll(string(template), "NAME", name)
		if err := os.WriteFile(filepath.Join(w.targets(), name+".yaml"), []byte(manifest),
			0o600); err != nil {
			return err
		}
	}
	return nil
}

func (w testEnv) kubectl(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "kubectl"), args...)
	cmd.Env = w.env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
	}
	return nil
}

// startsAtOnce returns how many sessions may start at the same time. A session that is starting waits for the
// machine. Later it only waits for time to pass, so that many more may exist.
func startsAtOnce() int { return max(2, runtime.NumCPU()) }

// startTime is the longest time for which a session that is starting keeps others from starting.
const startTime = 10 * time.Second

// startOne waits until one more session may start, and returns the function to call when it has started or
// ended. Further calls do nothing. A machine on which all sessions start at once starts none of them in time.
func (w testEnv) startOne() (started func()) {
	w.starts <- struct{}{}
	started = sync.OnceFunc(func() { <-w.starts })
	time.AfterFunc(startTime, started)
	return started
}

// env returns the whole environment of a command. It has none of the developer's own settings.
func (w testEnv) env() []string {
	return append([]string{"PATH=" + w.bin + ":/usr/bin:/bin", "KUBECONFIG=" + w.kubeconfig,
		"HOME=" + filepath.Dir(w.kubeconfig), "TERM=xterm", "GORACE=atexit_sleep_ms=0",
		"KUBECACHEDIR=/dev/null"}, // what images lack a shell is not remembered from test to test
		w.also...)
}
