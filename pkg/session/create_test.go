package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	discovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// story is a Reporter that remembers.
type story struct {
	mu    sync.Mutex
	lines []string
}

func (s *story) Created(*plan.Plan) {}
func (s *story) Waiting(string)     {}
func (s *story) Ready()             {}
func (s *story) Trouble(what, next string) {
	s.Say("trouble: %s; %s", what, next)
}
func (s *story) Raw(bool)                          {}
func (s *story) Answer(format string, args ...any) { s.Say(format, args...) }

func (s *story) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}
func (s *story) Warn(format string, args ...any) { s.Say("warning: "+format, args...) }

var pods = schema.GroupResource{Resource: "pods"}

// TestCreatedIsDeleted: whatever the create answers, a pod that may be there is deleted, and one
// that is not ours is not touched.
func TestCreatedIsDeleted(t *testing.T) {
	lost := errors.New("read: connection reset by peer")
	tests := []struct {
		name    string
		answer  error // of the create; the pod is there nevertheless if it is lost
		deletes int
		says    []string
	}{
		{"the answer was lost", lost, 1, []string{"pod/api-eshell-x7k2p is being deleted"}},
		{"the server timed out", apierrors.NewServerTimeout(pods, "create", 1), 1,
			[]string{"pod/api-eshell-x7k2p is being deleted"}},
		{"forbidden", apierrors.NewForbidden(pods, "x", errors.New("quota")), 0, nil},
		{"the name is taken", apierrors.NewAlreadyExists(pods, "x"), 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, told := fake.NewClientset(), &story{}
			client.PrependReactor("create", "pods",
				func(action clienttesting.Action) (bool, runtime.Object, error) {
					if !isRefused(tt.answer) {
						if err := client.Tracker().Add(
							action.(clienttesting.CreateAction).GetObject()); err != nil {
							t.Fatal(err)
						}
					}
					return true, nil, tt.answer
				})
			_, err := Run(t.Context(),
				Config{Client: client, Reporter: told, StartTimeout: time.Minute, TTL: time.Hour,
					Stdout: io.Discard,
					Stderr: io.Discard}, clonePlan())
			if !errors.Is(err, tt.answer) {
				t.Errorf("error %v, want %v", err, tt.answer)
			}
			if n := count(client, "delete"); n != tt.deletes || !slices.Equal(told.lines, tt.says) {
				t.Errorf("%d deletes, said %q; want %d, %q", n, told.lines, tt.deletes, tt.says)
			}
			left, err := client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
			if err != nil || len(left.Items) > 0 {
				t.Errorf("left: %v, %v", left.Items, err)
			}
		})
	}
}

// TestInterruptedCreate: the create is not broken off with the session, and its pod is deleted.
func TestInterruptedCreate(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	signal := errors.New("signal")
	client, told := fake.NewClientset(), &story{}
	client.PrependReactor("create", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		interrupt(signal)
		return false, nil, nil // goes on to the tracker
	})
	_, err := Run(ctx, Config{Client: client, Reporter: told, StartTimeout: time.Minute, TTL: time.Hour,
		Stdout: io.Discard,
		Stderr: io.Discard}, clonePlan())
	if !errors.Is(err, signal) || !slices.Equal(told.lines,
		[]string{"pod/api-eshell-x7k2p is being deleted"}) {
		t.Errorf("error %v, said %q", err, told.lines)
	}
}

// TestDeleteThatFails is told with the command that does it by hand.
func TestDeleteThatFails(t *testing.T) {
	client, told := fake.NewClientset(), &story{}
	client.PrependReactor("delete", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(pods, "x", errors.New("no"))
	})
	s := newSession(Config{Client: client, Reporter: told, StartTimeout: time.Minute}, clonePlan())
	s.enter(created)
	s.cleanUp(t.Context())
	want := []string{"warning: pod/api-eshell-x7k2p could not be deleted: pods \"x\" is forbidden: no\ndelete it: kubectl delete pod api-eshell-x7k2p -n shop"}
	if !slices.Equal(told.lines, want) {
		t.Errorf("said %q, want %q", told.lines, want)
	}
}

// TestDeleteIsRetried: an API server that is away for a while does not make a pod stay.
func TestDeleteIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, told, begin := fake.NewClientset(), &story{}, time.Now()
		client.PrependReactor("delete", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
			if time.Since(begin) < 10*time.Second {
				return true, nil, errors.New("connect: connection refused")
			}
			return true, nil, nil
		})
		s := newSession(Config{Client: client, Reporter: told, StartTimeout: time.Minute}, clonePlan())
		s.enter(created)
		s.cleanUp(t.Context())
		if want := []string{"pod/api-eshell-x7k2p is being deleted"}; !slices.Equal(told.lines, want) {
			t.Errorf("said %q, want %q", told.lines, want)
		}
	})
}

// TestDebugUnsupported: an old server's user hears of the other mode.
func TestDebugUnsupported(t *testing.T) {
	client := fake.NewClientset()
	client.Discovery().(*discovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.22.17"}
	client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure,
			Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound, Message: "no such resource"}}
	})
	_, err := DryRun(t.Context(), client, holderPlan(), Write{})
	const says = "add a debug container to pod/api-7d4b9: the server has no ephemeral containers, which need Kubernetes 1.23 (it is v1.22.17): no such resource"
	const next = "leave out --mode debug for a clone"
	if err == nil || err.Error() != says || hint.Of(err) != next {
		t.Errorf("error %v, hint %s", err, hint.Of(err))
	}
}

// TestDebugDryRun: a dry run of a debug session is one request, which adds nothing and knows every field.
func TestDebugDryRun(t *testing.T) {
	client := fake.NewClientset(joinedPod(nil))
	if _, err := DryRun(t.Context(), client, holderPlan(), Write{}); err != nil {
		t.Fatal(err)
	}
	want := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll},
		FieldValidation: metav1.FieldValidationStrict}
	actions := client.Actions()
	if len(actions) != 1 || actions[0].GetSubresource() != "ephemeralcontainers" ||
		!reflect.DeepEqual(actions[0].(clienttesting.PatchActionImpl).PatchOptions, want) {
		t.Errorf("requests %+v", actions)
	}
}

func clonePlan() *plan.Plan {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api-eshell-x7k2p", Namespace: "shop"}}
	return &plan.Plan{Namespace: "shop", PodName: pod.Name, Container: "app", Pod: pod,
		Agent: agent.Agent{Via: agent.ViaExec, HeartbeatTimeout: 2 * time.Minute}}
}

func count(client *fake.Clientset, verb string) int {
	n := 0
	for _, action := range client.Actions() {
		if action.GetVerb() == verb {
			n++
		}
	}
	return n
}
