package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// tooLate is a stream.Client whose runtime has nothing to attach to any more.
type tooLate struct {
	stream.Client
	open  bool   // the stream is, before that is noticed
	speak string // what comes through it
	err   error  // how it ends
}

func (l tooLate) Attach(_ context.Context, _ stream.Container, streams remotecommand.StreamOptions) error {
	if l.open {
		_, _ = streams.Stdin.Read(make([]byte, 1))
	}
	if _, err := io.WriteString(streams.Stdout, l.speak); err != nil {
		return err
	}
	return l.err
}

// TestAttachTooLate: a command that ended before the runtime attached to it has lost nothing, whether or
// not the stream was open; one of which a part came through the stream has.
func TestAttachTooLate(t *testing.T) {
	gone, cut := errors.New("no running task found"),
		fmt.Errorf("error reading from error stream: %w", io.ErrUnexpectedEOF)
	tests := []struct {
		name   string
		stream tooLate
		input  string
		exit   int
		lost   bool
		shown  string
	}{
		{"not open", tooLate{err: gone}, "", 7, false, "fake logs"},
		{"open", tooLate{open: true, err: gone}, "", 7, false, "fake logs"},
		{"open, with input", tooLate{open: true, err: gone}, "typed", 7, false, "fake logs"},
		{"open, ended well", tooLate{open: true}, "typed", 7, false, "fake logs"},
		{"in use", tooLate{open: true, speak: "+half", err: gone}, "", 0, true, "fake logs+half"},
		{"cut before it was used", tooLate{open: true, err: cut}, "", 7, false, "fake logs"},
		{"cut with input on the way", tooLate{open: true, err: cut}, "typed", 0, true, "fake logs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "ns"},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app",
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 7}}}}
			var out bytes.Buffer
			s := newSession(Config{Client: fake.NewClientset(pod), Streams: tt.stream, Reporter: &story{},
				Stdin: strings.NewReader(tt.input), Stdout: &out, Stderr: io.Discard},
				&plan.Plan{Namespace: "ns", PodName: "x", Container: "app",
					Agent: agent.Agent{Via: agent.ViaAttach}})
			s.watch = &podWatch{pod: pod}
			exit, err := s.runCommand(t.Context())
			if exit != tt.exit || (err != nil) != tt.lost || out.String() != tt.shown {
				t.Errorf("exit status %d, error %v, output %q; want %d, %t, %q", exit, err, out.String(),
					tt.exit, tt.lost, tt.shown)
			}
		})
	}
}

// finished is a stream.Client whose command says something, opens its gate, and may tell its end.
type finished struct {
	stream.Client
	told string
	half bool  // it is not told on stdout
	ends bool  // the stream ends without an error, although it has been told
	err  error // how the stream ends; nil after what is told: it does not end by itself
}

// toldEnd is what is told of a command's end.
func toldEnd(status int) string {
	return fmt.Sprintf("\x1eeshell x %s\n\x1e%s %d\n", markID, markID, status)
}

func (f finished) Attach(ctx context.Context, _ stream.Container, streams remotecommand.StreamOptions) error {
	_, _ = io.WriteString(streams.Stdout, "eshell x 1\n") // the gate
	_, _ = io.WriteString(streams.Stderr, f.told)
	if !f.half {
		_, _ = io.WriteString(streams.Stdout, f.told)
	}
	if f.told != "" && f.err == nil && !f.ends {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.err
}

// TestAttachToldEnd: by attach too, a command that has told its end has ended with that, before the pod's
// status says so, unless its stream broke before it had ended.
func TestAttachToldEnd(t *testing.T) {
	cut := fmt.Errorf("error reading from error stream: %w", io.ErrUnexpectedEOF)
	tests := []struct {
		name      string
		stream    finished
		container int32
		exit      int
		err       string
	}{
		{"told, and cut by us", finished{told: toldEnd(3)}, -1, 3, ""},
		{"told, and broken", finished{told: toldEnd(3), err: cut}, -1, 3, ""},
		{"half told, and broken", finished{told: toldEnd(3), half: true, err: cut}, -1, 0,
			"was lost before all of the output had come; the command's exit status was 3: error reading "},
		{"half told, and closed", finished{told: toldEnd(3), half: true, ends: true}, -1, 0,
			"was lost before all of the output had come; the command's exit status was 3: the stream ended before "},
		{"half told, and no more comes", finished{told: toldEnd(3), half: true}, -1, 0,
			"was lost before all of the output had come; the command's exit status was 3: nothing came for 1m0s"},
		{"not told", finished{}, 3, 0,
			"was lost before all of the output had come; the command's exit status was 3: the stream ended without the command's exit status"},
		{"not told, and the pod is gone", finished{}, -1, 0,
			"ended during the session: it was deleted by somebody else"},
		{"killed with all that could tell", finished{}, 137, 137, ""},
		{"killed, told and cut", finished{told: toldEnd(137)}, -1, 137, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
				if tt.container >= 0 {
					pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app",
						State: corev1.ContainerState{
							Terminated: &corev1.ContainerStateTerminated{ExitCode: tt.container}}}}
				}
				s := newSession(Config{Streams: tt.stream, Reporter: &story{}, StartTimeout: time.Minute,
					Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard},
					&plan.Plan{Container: "app",
						Agent: agent.New(agent.Options{Session: "x", Via: agent.ViaAttach,
							HeartbeatTimeout: time.Minute})})
				s.watch = &podWatch{pod: pod, news: make(chan podEvent, 1)}
				if strings.Contains(tt.err, "deleted") {
					s.watch.put(podEvent{err: errDeleted})
				}
				exit, err := s.runCommand(t.Context())
				if exit != tt.exit || (err == nil) != (tt.err == "") || err != nil &&
					!strings.Contains(err.Error(), tt.err) {
					t.Errorf("exit status %d, error %v; want %d, %q", exit, err, tt.exit, tt.err)
				}
			})
		})
	}
}
