package session

import (
	"context"
	"errors"
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

// TestWatchAnew: a server that was restarted has forgotten the version from which the pod is watched, and
// does not answer for a while: the pod is read and watched from there.
func TestWatchAnew(t *testing.T) {
	version := func(version string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop", UID: "uid-1",
			ResourceVersion: version}}
	}
	forgotten := apierrors.NewResourceExpired("too old resource version: 5 (9)").Status()
	tests := []struct {
		name string
		get  []error // one for each attempt, until there is none
		now  *corev1.Pod
		want string // the error; empty: the new versions are seen
	}{
		{name: "at once", now: version("9")},
		{name: "when it answers again",
			get: []error{errors.New("connection refused"),
				apierrors.NewInternalError(errors.New("starting"))}, now: version("9")},
		{name: "another pod has the name",
			now: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop", UID: "uid-2",
				ResourceVersion: "9"}}, want: "pod/api: it was deleted by somebody else"},
		{name: "gone", get: []error{apierrors.NewNotFound(pods, "api")},
			want: "pod/api: it was deleted by somebody else"},
		{name: "not for the caller", get: []error{apierrors.NewForbidden(pods, "api", errors.New("no"))},
			want: `read pod/api again: pods "api" is forbidden: no`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, watches := fake.NewClientset(), 0
				client.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
					watches++
					events := watch.NewFakeWithChanSize(1, false)
					if watches == 1 {
						events.Action(watch.Error, &forgotten)
					} else {
						events.Modify(version("10"))
					}
					return true, events, nil
				})
				client.PrependReactor("get", "pods",
					func(clienttesting.Action) (bool, runtime.Object, error) {
						if len(tt.get) > 0 {
							err := tt.get[0]
							tt.get = tt.get[1:]
							return true, nil, err
						}
						return true, tt.now, nil
					})
				w, err := watchPod(t.Context(), client, version("5"))
				if err != nil {
					t.Fatal(err)
				}
				defer w.stop()
				<-time.After(time.Minute)
				if err = w.next(t.Context()); errorText(err) != tt.want || err == nil &&
					w.pod.ResourceVersion != "10" {
					t.Errorf("pod %+v, error %v; want %q", w.pod, err, tt.want)
				}
			})
		})
	}
	if forgotten.Code != http.StatusGone {
		t.Errorf("the server would say %d", forgotten.Code)
	}
}

// TestWatchOfSomethingElse: a server that sends another object than the pod is reported, and ends nothing
// else.
func TestWatchOfSomethingElse(t *testing.T) {
	for _, kind := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop", UID: "uid-1",
			ResourceVersion: "5"}}
		client := fake.NewClientset()
		client.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
			events := watch.NewFakeWithChanSize(1, false)
			events.Action(kind, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "6"}})
			return true, events, nil
		})
		w, err := watchPod(t.Context(), client, pod)
		if err != nil {
			t.Fatal(err)
		}
		defer w.stop()
		if err := w.next(t.Context()); err == nil || !strings.Contains(err.Error(), "watch pod/api: ") ||
			!strings.Contains(err.Error(), "ConfigMap") {
			t.Errorf("%s: error %v", kind, err)
		}
	}
}

// TestWatchAnsweredLate: a watch that is answered after the pod was deleted says nothing of it. The pod is
// looked for then.
func TestWatchAnsweredLate(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop", UID: "uid-1",
		ResourceVersion: "5"}}
	for _, tt := range []struct {
		name string
		left []runtime.Object
		want error
	}{
		{"the pod is gone", nil, errDeleted},
		{"it is there", []runtime.Object{pod}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := fake.NewClientset(tt.left...)
				client.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
					return true, watch.NewFake(), nil // of the present, which has no such pod
				})
				w := requestWatch(t.Context(), client, "shop", "api")
				defer w.stop()
				if err := w.begin(pod); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := w.next(ctx); !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %v", err, tt.want)
				}
			})
		})
	}
}
