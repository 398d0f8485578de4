package session

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// container execs: a command behind a gate with PID 12 and watchdog 34, and what else is exec'd there.
type container struct {
	Streamer
	command func(ctx context.Context, streams remotecommand.StreamOptions) error

	mu    sync.Mutex
	beats int
	execs []string
}

func (c *container) Exec(ctx context.Context, _ Container, command []string, streams remotecommand.StreamOptions) error {
	c.mu.Lock()
	c.execs = append(c.execs, strings.Join(command, " "))
	c.mu.Unlock()
	switch command[0] {
	case "command":
		lines := bufio.NewScanner(streams.Stdin)
		for n := 0; lines.Scan() && lines.Text() != "go"; n++ {
			if n > 0 { // the first answer is lost
				_, _ = io.WriteString(streams.Stdout, "of the image\ngate ready\n")
			}
		}
		if lines.Text() != "go" {
			return errors.New("the gate was not opened")
		}
		_, _ = io.WriteString(streams.Stdout, "gate 12 34\n")
		return c.command(ctx, streams)
	case "relay":
		go func() {
			<-ctx.Done()
			_ = streams.Stdin.(io.Closer).Close()
		}()
		for buffer := make([]byte, 1); ; {
			if _, err := streams.Stdin.Read(buffer); err != nil {
				return ctx.Err()
			}
			c.mu.Lock()
			c.beats++
			c.mu.Unlock()
		}
	}
	return nil
}

func TestJoin(t *testing.T) {
	tests := []struct {
		name    string
		command func(context.Context, remotecommand.StreamOptions) error
		cancel  time.Duration // after which the session's context is cancelled
		status  int
		err     string
		kills   bool
	}{
		{name: "ends by itself", command: func(_ context.Context, streams remotecommand.StreamOptions) error {
			<-time.After(9 * time.Second)
			_, _ = io.WriteString(streams.Stdout, "its own\n")
			return exec.CodeExitError{Err: errors.New("exit"), Code: 7}
		}, status: 7},
		{name: "is interrupted", command: func(ctx context.Context, streams remotecommand.StreamOptions) error {
			_, _ = io.WriteString(streams.Stdout, "its own\n")
			<-ctx.Done()
			return ctx.Err()
		}, cancel: 9 * time.Second, err: "a signal", kills: true},
		{name: "loses its connection", command: func(_ context.Context, streams remotecommand.StreamOptions) error {
			<-time.After(9 * time.Second)
			_, _ = io.WriteString(streams.Stdout, "its own\n")
			return errors.New("reset by peer")
		}, err: "the connection to pod/api was lost: reset by peer", kills: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, func() { cancel(errors.New("a signal")) })
				}
				c, out := &container{command: tt.command}, &bytes.Buffer{}
				running := pending(func(pod *corev1.Pod) {
					pod.Name, pod.Namespace = "api", ""
				})
				config := Config{Client: fake.NewClientset(running), Streamer: c, Teller: &story{}, StartTimeout: time.Minute, TTL: time.Hour, Stdin: strings.NewReader(""), Stdout: out, Stderr: io.Discard}
				p := &plan.Plan{PodName: "api", Via: plan.ViaExec, Command: []string{"command"}, Gate: "gate", Relay: []string{"relay"}, Kill: []string{"kill"}, Silence: 16 * time.Second}
				status, err := Join(ctx, config, p)
				if got := errorText(err); status != tt.status || got != tt.err || out.String() != "its own\n" {
					t.Errorf("status %d, error %q, output %q", status, got, out)
				}
				cancel(nil)
				synctest.Wait()
				if !slices.Contains(c.execs, "relay 34") || c.beats != 5 {
					t.Errorf("%d signs of life by %q; want one at once and one each 2 s", c.beats, c.execs)
				}
				killed := slices.Contains(c.execs, "kill 12 34")
				if killed != tt.kills {
					t.Errorf("killed: %t, want %t; %q", killed, tt.kills, c.execs)
				}
			})
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
