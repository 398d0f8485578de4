package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// version is the pod web with a container d in a state, which nothing reports for nil.
func version(number string, state *corev1.ContainerState) *corev1.Pod {
	pod := running()
	pod.Namespace, pod.ResourceVersion = "shop", number
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{debugger("d")}
	if state != nil {
		pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "d", State: *state}}
	}
	return pod
}

func TestWait(t *testing.T) {
	starting := version("2", &corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "Pulling"}})
	runs := version("3", &corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	ended := version("4", &corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3,
		Reason: "Error"}})
	another, failed := version("5", nil), version("6", nil)
	another.UID, failed.Status.Phase = "uid-2", corev1.PodFailed
	without := version("1", nil)
	without.Spec.EphemeralContainers = nil
	modified := func(pod *corev1.Pod) watch.Event { return watch.Event{Type: watch.Modified, Object: pod} }
	expired := watch.Event{Type: watch.Error, Object: &metav1.Status{Status: metav1.StatusFailure,
		Reason: metav1.StatusReasonExpired, Code: http.StatusGone, Message: "too old resource version"}}
	const tried = "wait until container d of pod/web is "
	tests := []struct {
		name     string
		pod      *corev1.Pod
		state    State
		events   []watch.Event
		stored   *corev1.Pod // what a GET returns
		want     State
		err      string
		is       error
		requests string
	}{
		{"at once", runs, Running, nil, nil, Running, "", nil, ""},
		{"running", version("1", nil), Running, []watch.Event{modified(starting), modified(runs)}, nil, Running, "",
			nil, "watch"},
		{"terminated", version("1", nil), Terminated, []watch.Event{modified(runs), modified(ended)}, nil, Terminated,
			"", nil, "watch"},
		{"by name", named("web", ""), Running, []watch.Event{modified(runs)}, starting, Running, "", nil, "get watch"},
		{"past it", starting, Running, []watch.Event{modified(ended)}, nil, Terminated,
			"Running: it has ended with exit code 3 (Error): it is not running", ErrNotRunning, "watch"},
		{"the pod has ended", starting, Running, []watch.Event{modified(failed)}, nil, Waiting,
			"Running: the pod has ended (Failed): it is not running", ErrNotRunning, "watch"},
		{"the pod was deleted", runs, Terminated, []watch.Event{{Type: watch.Deleted, Object: runs}}, nil, "",
			"Terminated: the pod was deleted: it is not running", ErrNotRunning, "watch"},
		{"no pod at all", starting, Running, []watch.Event{{Type: watch.Modified,
			Object: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "9"}}}}, nil, "",
			"Running: unexpected object: &ConfigMap", nil, "watch"},
		{"another pod", starting, Running, []watch.Event{modified(another)}, nil, "",
			"Running: another pod has this name by now", ErrReplaced, "watch"},
		{"an old version", starting, Running, []watch.Event{expired}, runs, Running, "", nil, "watch get"},
		{"an old version of another pod", starting, Running, []watch.Event{expired}, another, "",
			"Running: another pod has this name by now", ErrReplaced, "watch get"},
		{"no such container", without, Running, nil, nil, "", "Running: the pod has no such ephemeral container", nil,
			""},
		{"never", starting, Running, nil, nil, "", "Running: context canceled", context.Canceled, "watch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, seen := watched(t, tt.stored, tt.events)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Hour, cancel)
				got, err := client.Wait(ctx, tt.pod, "d", tt.state)
				text, _, _ := strings.Cut(fmt.Sprint(err), "{") // an object's fields
				if (err != nil) != (tt.err != "") || err != nil && (text != tried+tt.err || tt.is != nil && !errors.Is(err, tt.is)) {
					t.Errorf("error %v, want %s%s", err, tried, tt.err)
				}
				if !errors.Is(tt.is, context.Canceled) && got.State != tt.want {
					t.Errorf("container %+v, want %s", got, tt.want)
				}
				if *seen != tt.requests {
					t.Errorf("requests %s, want %s", *seen, tt.requests)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

// watched returns a client of a server with one watch, and what was requested of it.
func watched(t *testing.T, stored *corev1.Pod, events []watch.Event) (*Client, *string) {
	t.Helper()
	fakes, seen := fake.NewClientset(), new("")
	note := func(verb string) { *seen = strings.TrimSpace(*seen + " " + verb) }
	fakes.PrependReactor("get", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		note("get")
		return true, stored, nil
	})
	fakes.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
		note("watch")
		if got := action.(clienttesting.WatchAction).GetWatchRestrictions().Fields.String(); got != "metadata.name=web" {
			t.Errorf("the watch is of %s", got)
		}
		w := watch.NewFakeWithChanSize(len(events), false)
		for _, e := range events {
			w.Action(e.Type, e.Object)
		}
		return true, w, nil
	})
	return New(fakes, "shop"), seen
}

func TestWaitForbidden(t *testing.T) {
	const words = `pods "web" is forbidden: User "dev" cannot watch resource "pods" in API group "" in the namespace "shop"`
	s := &server{answers: []answer{status(403, "Forbidden", words, `{"kind":"pods"}`)}}
	_, err := s.start(t).Wait(t.Context(), version("1", nil), "d", Running)
	var lacking *ForbiddenError
	if !errors.As(err, &lacking) || lacking.Verb != "watch" || lacking.Resource != "pods" || !apierrors.IsForbidden(err) {
		t.Errorf("error %v", err)
	}
}
