package session

import (
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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// idler is a stream.Client whose container listens to what it is told, and ends by the word for it.
type idler struct {
	stream.Client
	answer error // of attach

	mu    sync.Mutex
	heard []string
}

func (r *idler) Attach(ctx context.Context, _ stream.Container, streams remotecommand.StreamOptions) error {
	if r.answer != nil {
		return r.answer
	}
	line := make([]byte, 64)
	n, err := streams.Stdin.Read(line)
	r.mu.Lock()
	r.heard = append(r.heard, string(line[:n]))
	r.mu.Unlock()
	if streams.Stdout == nil { // the stream ends with its input
		return err
	}
	if string(line[:n]) == "end\n" {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// inState makes each pod that is created be in a state.
func inState(client *fake.Clientset, state corev1.ContainerState) {
	client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		pod := action.(clienttesting.CreateAction).GetObject().(*corev1.Pod).DeepCopy()
		pod.ResourceVersion, pod.UID = "1", "pod-uid"
		pod.Spec.Containers = []corev1.Container{{Name: "app"}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: state}}
		return true, pod, client.Tracker().Add(pod)
	})
}

// TestStart: a session that has started is left to its lease; one that has not, or whose lease does not
// last, leaves nothing.
func TestStart(t *testing.T) {
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 3}}
	refusal := apierrors.NewForbidden(pods, "x", errors.New("no"))
	answers := func(answers ...error) func() error {
		return func() error {
			answer := answers[0]
			answers = answers[1:]
			return answer
		}
	}
	tests := []struct {
		name   string
		via    agent.Via
		state  corev1.ContainerState
		detach func() error
		want   string
	}{
		{"it runs", agent.ViaExec, runs, nil, ""},
		{"a command runs", agent.ViaAttach, runs, nil, ""},
		{"a command that has ended at once", agent.ViaAttach, ended, nil, ""},
		{"its process has ended", agent.ViaExec, ended, nil,
			"pod/api-eshell-x7k2p did not start: container app ended before the session began: Error, exit status 3"},
		{"the server is away for a moment", agent.ViaExec, runs,
			answers(errors.New("connection refused"), nil), ""},
		{"the lease is lost", agent.ViaExec, runs, answers(lease.ErrLost),
			"pod/api-eshell-x7k2p ended with its lease: it was deleted by somebody else, or not renewed in time"},
		{"the lease may not be changed", agent.ViaExec, runs, answers(refusal),
			`the lease of pod/api-eshell-x7k2p could not be made to last for the full time: pods "x" is forbidden: no`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, l, p := fake.NewClientset(), newLease(func(l *aLease) { l.detach = tt.detach }),
				clonePlan()
			inState(client, tt.state)
			p.Agent.Via, p.Agent.Detached = tt.via, true
			var out strings.Builder
			err := Start(t.Context(),
				Config{Client: client, Reporter: &story{}, StartTimeout: time.Minute, TTL: time.Hour,
					Lease: l, Stdout: &out}, p)
			if got := said(err); got != tt.want || (got == "") != (out.String() == "api-eshell-x7k2p\n") {
				t.Errorf("error %q, output %q; want %q", got, out.String(), tt.want)
			}
			left, err := client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
			if lives := tt.want == ""; err != nil || lives != (len(left.Items) == 1) || lives != l.detached {
				t.Errorf("%d pods, lease detached: %t, %v", len(left.Items), l.detached, err)
			}
		})
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestStartInterrupted: until the session is left to itself, a signal ends it.
func TestStartInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	signal := errors.New("signal")
	client, told := fake.NewClientset(), &story{}
	inState(client, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	l := newLease(func(l *aLease) {
		l.detach = func() error {
			interrupt(signal)
			return ctx.Err()
		}
	})
	err := Start(ctx, Config{Client: client, Reporter: told, StartTimeout: time.Minute, TTL: time.Hour,
		Lease: l, Stdout: io.Discard}, clonePlan())
	if !errors.Is(err, signal) || !slices.Equal(told.lines,
		[]string{"pod/api-eshell-x7k2p is being deleted"}) {
		t.Errorf("error %v, said %q", err, told.lines)
	}
}

// TestStartUnheard: a session whose name nobody gets is not left behind.
func TestStartUnheard(t *testing.T) {
	client, told := fake.NewClientset(), &story{}
	inState(client, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	r, w := io.Pipe()
	r.Close()
	err := Start(t.Context(),
		Config{Client: client, Reporter: told, StartTimeout: time.Minute, TTL: time.Hour, Lease: newLease(),
			Stdout: w}, clonePlan())
	var output *stream.OutputError
	if !errors.As(err, &output) || !slices.Equal(told.lines,
		[]string{"pod/api-eshell-x7k2p is being deleted"}) {
		t.Errorf("error %v, said %q", err, told.lines)
	}
}

// debugPlan is of a debug container that nobody attends.
func debugPlan() *plan.Plan {
	p := clonePlan()
	p.Pod, p.PodName, p.Container, p.Agent.Detached = nil, "api-7d4b9", "eshell-x7k2p", true
	p.Ephemeral = &corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: p.Container}}
	return p
}

// TestDetachDebug: the container stays only once its lease does, and after it was told.
func TestDetachDebug(t *testing.T) {
	no := errors.New("no")
	tests := []struct {
		name           string
		detach, attach error
		want           string
		heard          []string
	}{
		{"told", nil, nil, "", []string{"stay\n"}},
		{"its lease does not last", lease.ErrLost, nil,
			"container eshell-x7k2p in pod/api-7d4b9 ended with its lease: it was deleted by somebody else, or not renewed in time", nil},
		{"not told", nil, no, "container eshell-x7k2p in pod/api-7d4b9 could not be left running: no", nil},
	}
	for _, tt := range tests {
		r := &idler{answer: tt.attach}
		var out strings.Builder
		s := newSession(Config{Streams: r, Reporter: &story{}, Stdout: &out,
			Lease: newLease(func(l *aLease) { l.detach = func() error { return tt.detach } })}, debugPlan())
		got, left := said(s.detach(t.Context())), tt.want == ""
		if got != tt.want || !slices.Equal(r.heard, tt.heard) || (s.phase == detached) != left ||
			left != (out.String() == "eshell-x7k2p\n") {
			t.Errorf("%s: error %q, told %q, output %q, it stays: %t; want %q, %q", tt.name, got, r.heard,
				out.String(), s.phase == detached, tt.want, tt.heard)
		}
	}
}

// TestCleanUpStopsAnIdler: what was started and is not left running is told to end.
func TestCleanUpStopsAnIdler(t *testing.T) {
	r, told := &idler{}, &story{}
	s := newSession(Config{Client: fake.NewClientset(), Streams: r, Reporter: told}, debugPlan())
	s.enter(running)
	s.cleanUp(t.Context())
	if want := []string{"container eshell-x7k2p in pod/api-7d4b9 has ended"}; !slices.Equal(r.heard,
		[]string{"end\n"}) || !slices.Equal(told.lines, want) {
		t.Errorf("it was told %q, the user %q", r.heard, told.lines)
	}
}

// TestStop: a container that has ended already is no error, nor is one whose pod is gone.
func TestStop(t *testing.T) {
	no := errors.New("no")
	at := stream.Container{Namespace: "shop", Pod: "api-7d4b9", Name: "eshell-x7k2p"}
	in := func(state corev1.ContainerState) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: at.Pod, Namespace: at.Namespace},
			Status: corev1.PodStatus{
				EphemeralContainerStatuses: []corev1.ContainerStatus{{Name: at.Name, State: state}},
			}}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	refuses := func(context.Context) error { return no }
	tests := []struct {
		name  string
		pod   *corev1.Pod // nil: it is gone
		tries []func(context.Context) error
		want  string
	}{
		{"told", in(running), tries(isDone), ""},
		{"ended", in(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}), tries(refuses),
			""},
		{"gone", nil, tries(refuses), ""},
		{"not to be told", in(running), tries(refuses), "end container eshell-x7k2p in pod/api-7d4b9: no"},
		{"not to be told for a moment", in(running), tries(refuses, isDone), ""},
		{"it does not listen for a moment", in(running), tries(hangs, isDone), ""},
		{"it does not listen", in(running), tries(hangs),
			"end container eshell-x7k2p in pod/api-7d4b9: it has not ended after 15s"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			client := fake.NewClientset()
			if tt.pod != nil {
				client = fake.NewClientset(tt.pod)
			}
			if got := said(Stop(t.Context(), client, &stubborn{tries: tt.tries}, at)); got != tt.want {
				t.Errorf("%s: error %q, want %q", tt.name, got, tt.want)
			}
		})
	}
}

// TestStopInterrupted: it is not tried again for a user who has had enough.
func TestStopInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancelCause(t.Context())
		defer time.AfterFunc(time.Second, func() { interrupt(errors.New("signal")) }).Stop()
		client, began := fake.NewClientset(joinedPod(runs())), time.Now()
		err := Stop(ctx, client, &stubborn{tries: tries(hangs)},
			stream.Container{Namespace: "shop", Pod: "api-7d4b9", Name: "eshell-x7k2p"})
		if got := said(err); got != "end container eshell-x7k2p in pod/api-7d4b9: signal" ||
			time.Since(began) != time.Second {
			t.Errorf("error %q after %s", got, time.Since(began))
		}
	})
}
