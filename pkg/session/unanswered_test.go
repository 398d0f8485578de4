package session

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// holderPlan is a debug session with a holder.
func holderPlan() *plan.Plan {
	container := &corev1.EphemeralContainer{}
	container.Name = "eshell-x7k2p"
	return &plan.Plan{
		Mode: plan.ModeDebug, Namespace: "shop", PodName: "api-7d4b9", PodUID: "uid-1",
		Container: container.Name,
		Ephemeral: container,
		Agent: agent.Agent{Via: agent.ViaExec, HeartbeatTimeout: 20 * time.Second,
			AttachTimeout: 40 * time.Second},
	}
}

// joinedPod is the pod of holderPlan, with its container in a state, or without it.
func joinedPod(state *corev1.ContainerState) *corev1.Pod {
	started := metav1.Now()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "api-7d4b9", Namespace: "shop", UID: "uid-1",
			ResourceVersion: "5"},
		Spec: corev1.PodSpec{NodeName: "node1", Containers: []corev1.Container{{Name: "app"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, StartTime: &started,
			Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}},
		},
	}
	if state != nil {
		pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{*holderPlan().Ephemeral}
		pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "eshell-x7k2p",
			State: *state}}
	}
	return pod
}

func runs() *corev1.ContainerState {
	return &corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

// server is a client whose requests for pods end as a test says; nil is an answer.
type server struct {
	kubernetes.Interface
	patch, get func(context.Context) error
}

// CoreV1 is the fake's, but for pods.
func (s *server) CoreV1() typedcorev1.CoreV1Interface { return serverCore{s.Interface.CoreV1(), s} }

type serverCore struct {
	typedcorev1.CoreV1Interface
	server *server
}

func (c serverCore) Pods(namespace string) typedcorev1.PodInterface {
	return serverPods{c.CoreV1Interface.Pods(namespace), c.server}
}

type serverPods struct {
	typedcorev1.PodInterface
	server *server
}

func (p serverPods) Get(ctx context.Context, name string, options metav1.GetOptions) (*corev1.Pod, error) {
	if err := p.server.get(ctx); err != nil {
		return nil, err
	}
	return p.PodInterface.Get(ctx, name, options)
}

func (p serverPods) Patch(ctx context.Context, _ string, _ types.PatchType, _ []byte, _ metav1.PatchOptions,
	_ ...string) (*corev1.Pod, error) {
	return nil, p.server.patch(ctx)
}

func isReset(context.Context) error { return errReset }

var errReset = errors.New("read: connection reset by peer")

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// hangsUntil hangs while what is true is not.
func hangsUntil(is *bool) func(context.Context) error {
	return func(ctx context.Context) error {
		if *is {
			return nil
		}
		return hangs(ctx)
	}
}

// holding is a stream.Client whose holder ends with its input.
type holding struct {
	stream.Client
	attached int
}

func (h *holding) Attach(_ context.Context, _ stream.Container, streams remotecommand.StreamOptions) error {
	h.attached++
	_, err := io.Copy(io.Discard, streams.Stdin)
	return err
}

// TestUnanswered: a debug container whose create was not answered is looked for, on a new connection, and
// ended. What is said otherwise is true.
func TestUnanswered(t *testing.T) {
	const (
		ended    = "container eshell-x7k2p in pod/api-7d4b9 has ended"
		notAdded = "warning: container eshell-x7k2p is not in pod/api-7d4b9: if it is still added, it ends by itself within 40s"
		left     = "warning: container eshell-x7k2p in pod/api-7d4b9 could not be stopped: if it runs or still starts, it ends by itself within 40s"
	)
	other := joinedPod(runs())
	other.UID = "uid-2"
	waits := &corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	unpulled := &corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff",
		Message: "not found"}}
	over := &corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	tests := []struct {
		name      string
		pod       *corev1.Pod // when the connection is lost; nil: there is none
		later     *corev1.Pod // 2 s after that; nil: nothing is changed
		get       func(context.Context) error
		interrupt bool // instead of a connection that is lost, one that hangs
		says      string
		attached  int
		took      time.Duration
	}{
		{name: "it runs", pod: joinedPod(runs()), says: ended, attached: 1},
		{name: "it starts", pod: joinedPod(waits), later: joinedPod(runs()), says: ended, attached: 1,
			took: 2 * time.Second},
		{name: "it comes later", pod: joinedPod(nil), later: joinedPod(runs()), says: ended, attached: 1,
			took: 2 * time.Second},
		{name: "it has ended", pod: joinedPod(over), says: ended},
		{name: "it is not there", pod: joinedPod(nil), says: notAdded, took: startingTimeout},
		{name: "it does not start", pod: joinedPod(waits), says: left, took: startingTimeout},
		{name: "its image is not there", pod: joinedPod(unpulled), says: left},
		{name: "no pod"},
		{name: "another pod", pod: other},
		{name: "the pod goes", pod: joinedPod(waits), later: &corev1.Pod{}, took: 2 * time.Second},
		{name: "the server is away for a while", pod: joinedPod(runs()), get: isAway(4 * time.Second),
			says: ended, attached: 1, took: 4 * time.Second},
		{name: "the server stays away", pod: joinedPod(runs()), get: isReset, says: left,
			took: cleanUpTimeout},
		{name: "the network stays away", pod: joinedPod(runs()), get: hangs, says: left,
			took: cleanUpTimeout},
		{name: "not for the caller", pod: joinedPod(runs()), get: isForbidden, says: left},
		{name: "interrupted", pod: joinedPod(runs()), interrupt: true, says: ended, attached: 1,
			took: answerTimeout},
		{name: "interrupted, and it is not there", pod: joinedPod(nil), interrupt: true, says: notAdded,
			took: answerTimeout + startingTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancelCause(t.Context())
				defer interrupt(nil)
				objects, streamer, told, renewed := fake.NewClientset(), &holding{}, &story{}, false
				if tt.pod != nil {
					objects = fake.NewClientset(tt.pod)
				}
				client := &server{objects, isReset, tt.get}
				if tt.get == nil {
					client.get = hangsUntil(&renewed)
				}
				wantErr := errReset
				if tt.interrupt {
					wantErr, client.patch = errors.New("signal"), hangs
					interrupt(wantErr)
				}
				become(t, objects, tt.later)
				began := time.Now()
				_, err := Run(ctx, Config{Client: client, StartTimeout: time.Minute,
					Reconnect: func() { renewed = true },
					Streams:   streamer, Reporter: told, TTL: time.Hour}, holderPlan())
				if took := time.Since(began); took > tt.took+retryInterval || took < tt.took-retryInterval {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
				if !errors.Is(err, wantErr) || streamer.attached != tt.attached {
					t.Errorf("error %v, attached %d times; want %v, %d", err, streamer.attached, wantErr,
						tt.attached)
				}
				if said := strings.Join(told.lines, "\n"); said != tt.says {
					t.Errorf("said %q, want %q", said, tt.says)
				}
			})
		})
	}
}

// become changes the pod after 2 s; one without a name is none.
func become(t *testing.T, objects *fake.Clientset, later *corev1.Pod) {
	pods := corev1.SchemeGroupVersion.WithResource("pods")
	time.AfterFunc(2*time.Second, func() {
		var err error
		switch {
		case later == nil:
		case later.Name == "":
			err = objects.Tracker().Delete(pods, "shop", "api-7d4b9")
		default:
			err = objects.Tracker().Update(pods, later, "shop")
		}
		if err != nil {
			t.Error(err)
		}
	})
}

func isAway(d time.Duration) func(context.Context) error {
	var began time.Time
	return func(context.Context) error {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) < d {
			return errReset
		}
		return nil
	}
}

func isForbidden(context.Context) error {
	return apierrors.NewForbidden(pods, "api-7d4b9", errors.New("no"))
}

// TestHungDelete: a delete that hangs does not use up the time of the next, which has a new connection.
func TestHungDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, renewed := &story{}, false
		l := newLease()
		l.release = hangsUntil(&renewed)
		s := newSession(Config{Client: fake.NewClientset(), Reconnect: func() { renewed = true },
			Reporter: told, Lease: l}, clonePlan())
		s.enter(created)
		began := time.Now()
		s.cleanUp(t.Context())
		if want := []string{"pod/api-eshell-x7k2p is being deleted"}; !slices.Equal(told.lines, want) ||
			time.Since(began) > tryTimeout+retryInterval {
			t.Errorf("said %q after %s, want %q", told.lines, time.Since(began), want)
		}
	})
}
