package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long anything awaited may take. It is generous: a loaded machine is no defect.
const patience = 60 * time.Second

// TestScripts runs testdata/script: what a user types, without a terminal.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Vars = append(the.env(), "NAMESPACE="+the.namespace, "WORK="+env.WorkDir, "$=$")
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "embedded" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return the.embedded, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "nothing-left": nothingLeft, "nothing-logged": nothingLogged},
	})
}

// exits runs a command and asserts its exit status: exits 7 kubectl eshell ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// nothingLeft asserts that what the last command's headline named is gone: the clone deleted, the
// debug container's process ended, and the lease of either.
func nothingLeft(ts *testscript.TestScript, _ bool, _ []string) {
	sessions := headlines(ts.ReadFile("stderr"))
	if len(sessions) == 0 {
		ts.Fatalf("stderr has no headline of a session")
	}
	for _, s := range sessions {
		for _, words := range s.untilGone(patience) {
			ts.Check(ts.Exec("kubectl", words...))
		}
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

// untilGone are kubectl's words for waiting until nothing of the session is left but a debug
// container's record.
func (s started) untilGone(limit time.Duration) [][]string {
	end := "delete"
	if s.container != "" {
		end = fmt.Sprintf(`jsonpath={.status.ephemeralContainerStatuses[?(@.name=="%s")].state.terminated.reason}`, s.container)
	}
	return [][]string{
		{"wait", "--for=" + end, "pod/" + s.pod, "--timeout=" + limit.String()},
		{"wait", "--for=delete", s.lease(), "--timeout=" + limit.String()},
	}
}

func (s started) lease() string {
	name := s.pod + s.container
	return "job/eshell-" + name[strings.LastIndex(name, "-")+1:]
}
