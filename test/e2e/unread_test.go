//go:build unix

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// fullPipe is the writing end of a pipe that nobody reads and that takes nothing more.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	unread, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unread.Close() })
	if err := full.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = full.Write(make([]byte, 4096))
	}
	if !os.IsTimeout(err) {
		t.Fatal(err)
	}
	return full
}

// TestUnread: a reader that has stopped reading keeps no session from its clean-up, and no client from its
// end.
func TestUnread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		command string
		streams func(cmd *exec.Cmd, full *os.File)
	}{
		{"stderr", "sleep 86400", func(cmd *exec.Cmd, full *os.File) { cmd.Stderr = full }},
		{"stderr, with requests on it", "sleep 86400", func(cmd *exec.Cmd, full *os.File) {
			cmd.Args, cmd.Stderr = slices.Insert(cmd.Args, 2, "-v=7"), full
		}},
		{"stdout", "echo out; sleep 86400", func(cmd *exec.Cmd, full *os.File) { cmd.Stdout = full }},
		{"the command's stderr", "echo err >&2; sleep 86400", func(cmd *exec.Cmd, full *os.File) {
			cmd.Stdout, cmd.Stderr = full, full
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			full := fullPipe(t)
			isUp := env.startOne()
			defer isUp()
			cmd := exec.Command(filepath.Join(env.bin, "kubectl-eshell"), "deploy/bash", "-n", env.namespace,
				"--reason="+t.Name(), "--", "sh", "-c", tt.command)
			cmd.Env = env.env()
			tt.streams(cmd, full)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			full.Close()
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			session := started{pod: openedFor(t, t.Name())}
			isUp()
			here := namespaceFixture{env.namespace}
			here.await(t, "its command", func(context.Context) (bool, error) {
				end := here.run(t, "kubectl exec "+session.pod+" -- sh -c 'cat /proc/[0-9]*/cmdline'")
				return strings.Contains(end.stdout, "sleep\x0086400"), nil
			})
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			session.gone(t)
			exited := make(chan struct{})
			go func() {
				_ = cmd.Wait() // the status is in ProcessState
				close(exited)
			}()
			select {
			case <-exited:
			case <-time.After(patience):
				t.Fatal("the client does not end")
			}
			if got := exitStatus(cmd); got != 143 {
				t.Errorf("exit status %d, want 143", got)
			}
		})
	}
}

// TestUnreadAtTheEnd: a command that has ended leaves nothing behind while nobody reads its output. Its
// reader gets all of it, and the client then has its status.
func TestUnreadAtTheEnd(t *testing.T) {
	t.Parallel()
	defer env.startOne()()
	cmd := exec.Command(filepath.Join(env.bin, "kubectl-eshell"), "deploy/bash", "-n", env.namespace,
		"--", "sh", "-c", "head -c 1000000 /dev/zero; exit 7")
	cmd.Env = env.env()
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	told, lines := "", bufio.NewScanner(stderr)
	for !strings.Contains(told, "is being deleted") && lines.Scan() {
		told += lines.Text() + "\n"
	}
	sessions := headlines(told)
	if len(sessions) != 1 {
		t.Fatalf("not one clone, or it is not deleted: %s", told)
	}
	sessions[0].gone(t)
	read, err := io.Copy(io.Discard, output)
	if err != nil || read != 1000000 {
		t.Errorf("%d bytes came, %v", read, err)
	}
	_ = cmd.Wait() // the status is in ProcessState
	if got := exitStatus(cmd); got != 7 {
		t.Errorf("exit status %d, want 7", got)
	}
}

// TestPaused: a reader may pause for longer than client-go waits for an answer to its pings, and when the
// command has ended. Nothing is lost.
func TestPaused(t *testing.T) {
	t.Parallel()
	here := namespaceFixture{env.namespace}
	for _, where := range []string{"deploy/bash", "pod/target --mode=debug --via=attach"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			end := here.run(t, "{ kubectl-eshell "+where+" -q -- sh -c 'head -c 10000000 /dev/zero; exit 7'; "+
				"echo status $? >&2; } | (sleep 75; wc -c)")
			if end.stdout != "10000000\n" || end.stderr != "status 7\n" {
				t.Errorf("%+v", end)
			}
		})
	}
}

// TestSlowNetwork: a command's last output arrives even if it has been on its way for longer than the client
// waits between two pings. (By kubectl exec it is lost: see docs/notes.md.)
func TestSlowNetwork(t *testing.T) {
	t.Parallel()
	const size, rate = 5_000_000, 400_000
	here := namespaceFixture{env.namespace}
	for _, place := range places("data") {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			server, proxy := newProxy(t)
			proxy.Rate(rate)
			words := append([]string{"--server", "https://" + proxy.Addr(), "--tls-server-name", server.Hostname(),
				"-q"}, place.args[1:]...)
			began := time.Now()
			end := here.run(t, fmt.Sprintf("{ kubectl-eshell %s -- sh -c 'head -c %d /dev/zero; exit 7'; "+
				"echo status $? >&2; } | wc -c", quoted(words), size))
			if end.stdout != fmt.Sprintf("%d\n", size) || end.stderr != "status 7\n" {
				t.Errorf("%+v", end)
			}
			if took := time.Since(began); took < size/rate*time.Second {
				t.Errorf("the network is not slow: it took %s", took)
			}
		})
	}
}

// openedFor is the name of the clone that was opened for a reason, once its container runs.
func openedFor(t *testing.T, reason string) string {
	t.Helper()
	name := ""
	err := until(t.Context(), patience, func(ctx context.Context) (bool, error) {
		pods, err := client(t).CoreV1().Pods(env.namespace).List(ctx,
			metav1.ListOptions{LabelSelector: owned.ManagedByLabel + "=" + owned.ManagedBy})
		if err != nil {
			return false, err
		}
		for _, pod := range pods.Items {
			if pod.Annotations[owned.ReasonAnnotation] == reason && pod.Status.Phase == corev1.PodRunning {
				name = pod.Name
			}
		}
		return name != "", nil
	})
	if err != nil {
		t.Fatalf("no clone is opened for %s: %v", reason, err)
	}
	return name
}
