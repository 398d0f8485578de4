package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
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
		{"runs", pending(func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: running}}
		}), nil, ""},
		{"said by the status", pending(withWaiting("CreateContainerError", "no such device")), nil, "did not start: container app: CreateContainerError"},
		{"no image", pending(withWaiting("ErrImagePull", "not found")), []string{"list events"}, "did not start: container app: image api:1"},
		{"no registry", pending(withWaiting("ErrImagePull", "refused")), []string{"list events"}, "did not start within 1s: it still waits for image api:1"},
		{"no volume", pending(withCondition(corev1.PodReadyToStartContainers, "")), []string{"list events"}, "did not start within 1s: it still waits for volumes"},
		{"init failed", pending(withInit(terminatedBy("Error", "", 9))), []string{"get pods/log"}, "did not start: init container first failed"},
		{"init runs", pending(withInit(running)), []string{"get pods/log", "list events"}, "did not start within 1s: it still waits for init container first"},
		{"ended early", pending(withEnd("Error", "", 1)), []string{"get pods/log"}, "did not start: container app ended before the session began"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := fake.NewClientset()
				s := &session{Config: Config{Client: client, Teller: &story{}, StartTimeout: time.Second}, plan: clonePlan()}
				err := s.waitUntilStarted(t.Context(), &podWatch{pod: tt.pod, news: make(chan sighting, 1)})
				if got := fmt.Sprint(err); tt.err == "" && err != nil || !strings.Contains(got, tt.err) {
					t.Errorf("error %q, want %q", got, tt.err)
				}
				var read []string
				for _, action := range client.Actions() {
					read = append(read, strings.TrimSuffix(action.GetVerb()+" "+action.GetResource().Resource+"/"+action.GetSubresource(), "/"))
				}
				if !slices.Equal(read, tt.read) {
					t.Errorf("read %q, want %q", read, tt.read)
				}
			})
		})
	}
}

// TestDeleted: a pod that is gone at once may still have told why.
func TestDeleted(t *testing.T) {
	other := errors.New("the watch ended")
	preempted := pending(isDeleted("PreemptionByScheduler", "preempting"))
	for _, tt := range []struct {
		pod       *corev1.Pod
		err       error
		says, try string
	}{
		{pending(), other, "the watch ended", ""},
		{pending(), errDeleted, "it was deleted by somebody else", events},
		{preempted, errDeleted, "it was deleted by somebody else: PreemptionByScheduler: preempting", "its node: kubectl describe node node1"},
	} {
		if err := deleted(tt.pod, tt.err); err.Error() != tt.says || hint.Of(err) != tt.try {
			t.Errorf("%q, hint %q; want %q, %q", err, hint.Of(err), tt.says, tt.try)
		}
	}
}

// TestCutLog: the end of it, in whole characters.
func TestCutLog(t *testing.T) {
	long := strings.Repeat("é", lastBytes)
	for log, want := range map[string]string{"": "", "one\n\n": "one", "x" + long + "y\n": long[:lastBytes-2] + "y"} {
		if got := string(cutLog([]byte(log))); got != want {
			t.Errorf("%d bytes: %d, want %d", len(log), len(got), len(want))
		}
	}
}
