package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// TestWhatIsRead: a start that goes well reads nothing but its watch; one that fails, only what may
// say more than the pod's status.
func TestWhatIsRead(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	tests := []struct {
		name string
		pod  *corev1.Pod
		read []string
		err  string
	}{
		{"runs", pending(withState(running)), nil, ""},
		{"said by the status", pending(withWaiting("CreateContainerError", "no such device")), nil,
			"did not start: container app: CreateContainerError"},
		{"no image", pending(withWaiting("ErrImagePull", "not found")), []string{"list events"},
			"did not start: container app: image api:1"},
		{"no registry", pending(withWaiting("ErrImagePull", "refused")), []string{"list events"},
			"did not start within 1s: it still waits for image api:1"},
		{"no volume", pending(withoutVolumes), []string{"list events"},
			"did not start within 1s: it still waits for volumes"},
		{"init failed", pending(withInit(terminatedBy("Error", 9))), []string{"get pods/log"},
			"did not start: init container first failed"},
		{"init runs", pending(withInit(running)), []string{"get pods/log", "list events"},
			"did not start within 1s: it still waits for init container first"},
		{"ended early", pending(withState(terminatedBy("Error", 1))), []string{"get pods/log"},
			"did not start: container app ended before the session began"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := fake.NewClientset()
				s := newSession(Config{Client: client, Reporter: &story{}, StartTimeout: time.Second},
					clonePlan())
				s.watch = &podWatch{pod: tt.pod, news: make(chan podEvent, 1)}
				err := s.waitUntilStarted(t.Context())
				if got := fmt.Sprint(err); tt.err == "" && err != nil || !strings.Contains(got, tt.err) {
					t.Errorf("error %q, want %q", got, tt.err)
				}
				var read []string
				for _, action := range client.Actions() {
					read = append(read, strings.TrimSuffix(action.GetVerb()+" "+action.GetResource().Resource+
						"/"+action.GetSubresource(), "/"))
				}
				if !slices.Equal(read, tt.read) {
					t.Errorf("read %q, want %q", read, tt.read)
				}
			})
		})
	}
}

// TestCutLog: the end of it, in whole characters.
func TestCutLog(t *testing.T) {
	long := strings.Repeat("é", lastBytes)
	for log, want := range map[string]string{"": "", "one\n\n": "one",
		"x" + long + "y\n": long[:lastBytes-2] + "y"} {
		if got := string(cutLog([]byte(log))); got != want {
			t.Errorf("%d bytes: %d, want %d", len(log), len(got), len(want))
		}
	}
}

// pending is a clone's pod that has been scheduled; a test states its deviations.
func pending(change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		Spec: corev1.PodSpec{NodeName: "node1",
			Containers: []corev1.Container{{Name: "app", Image: "api:1", Stdin: true}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, StartTime: &metav1.Time{},
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
			}},
	}
	pod.Name, pod.Namespace = "api-eshell-x7k2p", "shop"
	for _, c := range change {
		c(pod)
	}
	return pod
}

func withoutVolumes(pod *corev1.Pod) {
	pod.Status.Conditions = append(pod.Status.Conditions,
		corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse})
}

func withState(state corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: "api:1", State: state}}
	}
}

func withWaiting(reason, message string) func(*corev1.Pod) {
	return withState(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason,
		Message: message}})
}

// withInit adds the init container first.
func withInit(state corev1.ContainerState) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "init:1"}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "first", Image: "init:1",
			State: state}}
	}
}

func terminatedBy(reason string, status int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason,
		ExitCode: status}}
}

// What a cancelled request says is not why it was cancelled.
func TestInterrupted(t *testing.T) {
	refused := errors.New("refused")
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a signal"))
	if got := Interrupted(t.Context(), refused); got != refused { //nolint:errorlint // the very same error
		t.Errorf("while nothing is cancelled: %v, want %v", got, refused)
	}
	if got := Interrupted(interrupted, nil); got != nil {
		t.Errorf("nothing failed, and got %v", got)
	}
	if got := Interrupted(interrupted, refused); errorText(got) != "a signal" {
		t.Errorf("when interrupted: %v", got)
	}
}

// TestTrouble: what is wrong is told once, when it has lasted, with what to type, and again when the wait
// ends. What will not appear ends it early.
func TestTrouble(t *testing.T) {
	full := func(pod *corev1.Pod) {
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled,
			Status: corev1.ConditionFalse, Reason: "Unschedulable",
			Message: "0/1 nodes are available: 1 node(s) had untolerated taint."}}
	}
	const (
		volumes = `volumes and network on node node1: MountVolume.SetUp failed: configmap "none" not found`
		mount   = `MountVolume.SetUp failed: configmap "none" not found`
		list    = "list what there is: kubectl get configmaps -n shop"
		taints  = "see the nodes' taints: " +
			"kubectl get nodes -o custom-columns=NAME:.metadata.name,TAINTS:.spec.taints"
		taint = "scheduling: 0/1 nodes are available: 1 node(s) had untolerated taint."
	)
	for _, tt := range []struct {
		name        string
		pod         *corev1.Pod
		interrupt   bool // after 10 s
		told        []string
		err, hint   string
		after       time.Duration
		readsEvents int
	}{
		{"an object that is not there", pending(withoutVolumes), false,
			[]string{"trouble: " + volumes + "; the session ends in 27s if it does not appear; " + list},
			"pod/api-eshell-x7k2p did not start: " + volumes, list, missingTime, 3},
		{"interrupted", pending(full), true, []string{"trouble: " + taint + "; " + taints},
			"pod/api-eshell-x7k2p did not start: a signal; it waited for " + taint, taints, 10 * time.Second, 0},
		{"no node", pending(full), false, []string{"trouble: " + taint + "; " + taints},
			"pod/api-eshell-x7k2p did not start within 2m0s: it still waits for " + taint, taints, 2 * time.Minute, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "shop"}, Reason: "FailedMount",
				Type: corev1.EventTypeWarning, Message: mount,
				InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "api-eshell-x7k2p", Namespace: "shop"}}
			if tt.readsEvents < 2 {
				event.InvolvedObject.UID = "another's"
			}
			client, told := fake.NewClientset(event), &story{}
			s := newSession(Config{Client: client, Reporter: told, StartTimeout: 2 * time.Minute},
				clonePlan())
			s.watch = &podWatch{pod: tt.pod, news: make(chan podEvent, 1)}
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			if tt.interrupt {
				time.AfterFunc(10*time.Second, func() { stop(errors.New("a signal")) })
			}
			began := time.Now()
			err := s.waitUntilStarted(ctx)
			if fmt.Sprint(err) != tt.err || hint.Of(err) != tt.hint || time.Since(began) != tt.after {
				t.Errorf("%s: error %v, hint %q after %s; want %s, %q after %s", tt.name, err, hint.Of(err),
					time.Since(began), tt.err, tt.hint, tt.after)
			}
			if !slices.Equal(told.lines, tt.told) {
				t.Errorf("%s: told %q, want %q", tt.name, told.lines, tt.told)
			}
			if read := len(client.Actions()); read != tt.readsEvents {
				t.Errorf("%s: %d requests, want %d", tt.name, read, tt.readsEvents)
			}
		})
	}
}
