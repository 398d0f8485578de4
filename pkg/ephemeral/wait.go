package ephemeral

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/klog/v2"
)

// Wait waits until a container is in a state, Running or Terminated, and returns it. It waits for as long as
// ctx lasts, by one watch, which continues from the version of pod: give it the pod that Add has returned. A
// pod without a version is read first, by its name.
//
// The error is ErrNotRunning if the container is past the state or can no longer get there: it has ended, its
// pod has ended or was deleted. It is ErrReplaced if another pod has the name by now.
func (c *Client) Wait(ctx context.Context, pod *corev1.Pod, container string,
	state State) (Container, error) {
	tried := fmt.Sprintf("wait until container %s of pod/%s is %s", container, pod.Name, state)
	if state != Running && state != Terminated {
		unknown := field.NotSupported(field.NewPath("state"), state, []State{Running, Terminated})
		return Container{}, fmt.Errorf("%s: %w", tried, &InvalidError{pod.Name, field.ErrorList{unknown}})
	}
	w := waiting{client: c, pod: pod, uid: pod.UID, container: container, state: state}
	for {
		if w.pod.ResourceVersion == "" {
			read, err := c.pods().Get(ctx, pod.Name, metav1.GetOptions{})
			if err != nil {
				return Container{}, explain(tried, err)
			}
			w.pod = read
		}
		seen, err := w.follow(ctx)
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			return seen, explain(tried, err)
		}
		w.pod = &corev1.Pod{} // the server no longer has this version, so the pod is read again
	}
}

type waiting struct {
	client    *Client
	pod       *corev1.Pod // as last seen
	uid       types.UID   // of the pod that is meant, if known
	container string
	state     State
}

// follow watches the pod from its version until the wait is over.
func (w *waiting) follow(ctx context.Context) (Container, error) {
	if seen, over, err := w.judge(); over {
		return seen, err
	}
	// Without a logger: an error of the watch is returned.
	ctx, stop := context.WithCancel(klog.NewContext(ctx, klog.Logger{}))
	defer stop()
	events, err := watchtools.NewRetryWatcherWithContext(ctx, w.pod.ResourceVersion,
		onePod{w.client.pods(), w.pod.Name})
	if err != nil {
		return Container{}, err
	}
	for event := range events.ResultChan() {
		pod, is := event.Object.(*corev1.Pod)
		switch {
		case is && event.Type == watch.Deleted:
			return Container{}, fmt.Errorf("the pod was deleted: it is %w", ErrNotRunning)
		case !is:
			return Container{}, apierrors.FromObject(event.Object)
		}
		w.pod = pod
		if seen, over, err := w.judge(); over {
			return seen, err
		}
	}
	if ctx.Err() != nil {
		return Container{}, context.Cause(ctx)
	}
	return Container{}, fmt.Errorf("the watch has ended")
}

// judge returns the container, and whether the wait is over: because the state is reached, or with the reason
// why it never will be.
func (w *waiting) judge() (seen Container, over bool, err error) {
	if w.uid != "" && w.pod.UID != w.uid {
		return seen, true, ErrReplaced
	}
	w.uid = w.pod.UID
	for _, c := range Containers(w.pod) {
		if c.Name == w.container {
			seen = c
		}
	}
	phase := w.pod.Status.Phase
	switch {
	case seen.Name == "":
		return seen, true, fmt.Errorf("the pod has no such ephemeral container")
	case seen.State == w.state:
		return seen, true, nil
	case seen.State == Terminated:
		return seen, true, fmt.Errorf("it has ended with exit code %d (%s): it is %w", *seen.ExitCode,
			seen.Reason, ErrNotRunning)
	case seen.State == Waiting && (phase == corev1.PodSucceeded || phase == corev1.PodFailed):
		return seen, true, fmt.Errorf("the pod has ended (%s): it is %w", phase, ErrNotRunning)
	}
	return seen, false, nil
}

// onePod watches one of a namespace's pods.
type onePod struct {
	pods typedcorev1.PodInterface
	name string
}

// WatchWithContext is called by the retrying watcher, to connect and to reconnect.
func (p onePod) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, p.name).String()
	return p.pods.Watch(ctx, options)
}
