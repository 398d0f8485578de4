package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	typedbatchv1 "k8s.io/client-go/kubernetes/typed/batch/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// patience is how long anything awaited may take. It is generous: a loaded machine is no defect.
const patience = 60 * time.Second

// TestScripts runs testdata/script: what a user types, without a terminal.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(script *testscript.Env) error {
			script.Vars = append(env.env(), "NAMESPACE="+env.namespace, "WORK="+script.WorkDir, "$=$")
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "embedded" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return env.embedded, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits,
			"nothing-left": nothingLeft, "nothing-logged": nothingLogged},
	})
}

// exits runs a command and asserts its exit status: exits 7 kubectl eshell ...
//
// Where kubectl is not what is tested, kubectl-eshell is the plugin itself, and eshell is the same in this
// process, for what starts no session. It does not read the script's variables, stdin or folder.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	status := executed
	if args[1] == "eshell" {
		status = rehearsed
	}
	if got := status(ts, args[1], args[2:]); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func executed(ts *testscript.TestScript, command string, args []string) int {
	defer env.startOne()()
	err := ts.Exec(command, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

func rehearsed(ts *testscript.TestScript, _ string, args []string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	end := eshell(ctx, args...)
	fmt.Fprint(ts.Stdout(), end.stdout)
	fmt.Fprint(ts.Stderr(), end.stderr)
	return end.status
}

// nothingLeft asserts that what the last command's headline named is gone: the clone deleted, the
// debug container's process ended, and the lease of either.
func nothingLeft(ts *testscript.TestScript, _ bool, _ []string) {
	sessions := headlines(ts.ReadFile("stderr"))
	if len(sessions) == 0 {
		ts.Fatalf("stderr has no headline of a session")
	}
	for _, s := range sessions {
		ts.Check(s.leaves(context.Background(), env.namespace, patience))
	}
}

// nothingLogged asserts that the last command's debug container has an empty log.
func nothingLogged(ts *testscript.TestScript, _ bool, _ []string) {
	sessions := headlines(ts.ReadFile("stderr"))
	if len(sessions) != 1 {
		ts.Fatalf("stderr has the headlines of %d sessions, want one", len(sessions))
	}
	ts.Check(ts.Exec("kubectl", "logs", sessions[0].pod, "-c", sessions[0].container))
	if log := ts.ReadFile("stdout"); log != "" {
		ts.Fatalf("container %s logged:\n%s", sessions[0].container, log)
	}
}

// started is a session as its headline names it.
type started struct {
	pod       string
	container string // of a debug session
}

var headline = regexp.MustCompile(`(?m)^pod/([a-z0-9-]+): (?:a clone of|debug container (eshell-[a-z0-9]+))`)

func headlines(stderr string) []started {
	var sessions []started
	for _, match := range headline.FindAllStringSubmatch(strings.ReplaceAll(stderr, "\r", ""), -1) {
		sessions = append(sessions, started{pod: match[1], container: match[2]})
	}
	return sessions
}

// leaves waits until nothing of the session is left but a debug container's record. It asks for itself: a
// kubectl for each answer cost as much as most sessions.
func (s started) leaves(ctx context.Context, namespace string, limit time.Duration) error {
	client, err := asked()
	if err != nil {
		return err
	}
	hasEnded := func(ctx context.Context) (bool,
		error) {
		return s.hasEnded(ctx, client.CoreV1().Pods(namespace))
	}
	if err := until(ctx, limit, hasEnded); err != nil {
		return fmt.Errorf("pod %s/%s, container %q has not ended: %w", namespace, s.pod, s.container, err)
	}
	hasNoLease := func(ctx context.Context) (bool,
		error) {
		return s.hasNoLease(ctx, client.BatchV1().Jobs(namespace))
	}
	if err := until(ctx, limit, hasNoLease); err != nil {
		return fmt.Errorf("%s in namespace %s is left: %w", s.lease(), namespace, err)
	}
	return nil
}

// until asks again and again, for as long as limit.
func until(ctx context.Context, limit time.Duration, is wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, limit, true, is)
}

// hasEnded says whether the clone is gone, or the debug container's process has ended.
func (s started) hasEnded(ctx context.Context, pods typedcorev1.PodInterface) (bool, error) {
	pod, err := pods.Get(ctx, s.pod, metav1.GetOptions{})
	if s.container == "" && apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil || s.container == "" {
		return false, err
	}
	for _, status := range pod.Status.EphemeralContainerStatuses {
		if status.Name == s.container && status.State.Terminated != nil {
			return true, nil
		}
	}
	return false, nil
}

func (s started) hasNoLease(ctx context.Context, jobs typedbatchv1.JobInterface) (bool, error) {
	_, err := jobs.Get(ctx, strings.TrimPrefix(s.lease(), "job/"), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	return false, err
}

// untilEnded are kubectl's words for waiting until the clone is gone, or the debug container's process has
// ended.
func (s started) untilEnded(limit time.Duration) []string {
	end := "delete"
	if s.container != "" {
		end = fmt.Sprintf(`jsonpath={.status.ephemeralContainerStatuses[?(@.name=="%s")].state.terminated.reason}`, s.container)
	}
	return []string{"wait", "--for=" + end, "--timeout=" + limit.String(), "pod/" + s.pod}
}

func (s started) lease() string {
	name := s.pod + s.container
	return "job/eshell-" + name[strings.LastIndex(name, "-")+1:]
}
