package session

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/typed/core/v1"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// podWatch is the session's only watch. It watches the session's pod from the version that the create
// returned, so that no LIST is needed. It reconnects by itself, and its events are read all the time: a watch
// that nobody reads falls behind until the server no longer has its version.
type podWatch struct {
	pod  *corev1.Pod // as of the last next
	news chan podEvent
	stop context.CancelFunc
}

// podEvent is a version of the pod, or the reason why no more follow.
type podEvent struct {
	pod *corev1.Pod
	err error
}

// errDeleted means that the pod disappeared during the session.
var errDeleted = errors.New("it was deleted by somebody else")

// watchPod watches a pod from the given version until it is stopped or ctx ends.
func watchPod(ctx context.Context, kube kubernetes.Interface, pod *corev1.Pod) (*podWatch, error) {
	ctx, stop := context.WithCancel(ctx)
	client := onePod{kube.CoreV1().Pods(pod.Namespace), pod.Name}
	events, err := watchtools.NewRetryWatcherWithContext(ctx, pod.ResourceVersion, client)
	if err != nil {
		stop()
		return nil, fmt.Errorf("watch pod/%s: %w", pod.Name, err)
	}
	w := &podWatch{pod: pod, news: make(chan podEvent, 1), stop: stop}
	go w.follow(ctx, client, events, pod)
	return w, nil
}

// follow keeps the newest podEvent for next. A server that has been restarted might no longer know the
// version to continue from. The pod is then read once, and watched from there.
func (w *podWatch) follow(ctx context.Context, client onePod, events watch.Interface, pod *corev1.Pod) {
	for events != nil {
		seen := podEvent{err: fmt.Errorf("the watch on pod/%s ended", pod.Name)}
		for event := range events.ResultChan() {
			if seen = convert(event, pod); seen.err != nil {
				break
			}
			w.put(seen)
		}
		events = nil
		if apierrors.IsResourceExpired(seen.err) || apierrors.IsGone(seen.err) {
			seen, events = client.rewatch(ctx, pod)
		}
		w.put(seen)
	}
}

// rewatch reads the pod as soon as the server answers, and watches it from there.
func (p onePod) rewatch(ctx context.Context, pod *corev1.Pod) (seen podEvent, events watch.Interface) {
	retry := wait.Backoff{Duration: retryInterval, Factor: 2, Cap: 10 * time.Second, Steps: math.MaxInt32}
	err := wait.ExponentialBackoffWithContext(ctx, retry, func(ctx context.Context) (bool, error) {
		var err error
		seen.pod, err = p.pods.Get(ctx, p.name, metav1.GetOptions{})
		if err != nil && !isRefused(err) {
			return false, nil
		}
		return true, err
	})
	switch {
	case apierrors.IsNotFound(err) || err == nil && seen.pod.UID != pod.UID:
		return podEvent{err: fmt.Errorf("pod/%s: %w", p.name, errDeleted)}, nil
	case err != nil:
		return podEvent{err: hint.Wrap(fmt.Errorf("read pod/%s again: %w", p.name, err),
			hint.Command("kubectl auth can-i get pods -n %s", pod.Namespace))}, nil
	}
	if events, err = watchtools.NewRetryWatcherWithContext(ctx, seen.pod.ResourceVersion, p); err != nil {
		return podEvent{err: fmt.Errorf("watch pod/%s: %w", p.name, err)}, nil
	}
	return seen, events
}

func (w *podWatch) put(event podEvent) {
	select {
	case <-w.news: // nobody has read the previous event, and this one is newer
	default:
	}
	w.news <- event
}

func convert(event watch.Event, pod *corev1.Pod) podEvent {
	switch event.Type {
	case watch.Added, watch.Modified:
		return podEvent{pod: event.Object.(*corev1.Pod)}
	case watch.Deleted:
		return podEvent{err: fmt.Errorf("pod/%s: %w", pod.Name, errDeleted)}
	default:
		return podEvent{err: hint.Wrap(fmt.Errorf("watch pod/%s: %w", pod.Name,
			apierrors.FromObject(event.Object)),
			hint.Command("kubectl auth can-i watch pods -n %s", pod.Namespace))}
	}
}

// next waits for a newer version of the pod.
func (w *podWatch) next(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case seen := <-w.news:
		if seen.err != nil {
			w.put(seen) // for the next caller
			return seen.err
		}
		w.pod = seen.pod
		return nil
	}
}

// onePod is a client for one of a namespace's pods.
type onePod struct {
	pods v1.PodInterface
	name string
}

// WatchWithContext is called by the retrying watcher, to connect and to reconnect.
func (p onePod) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, p.name).String()
	return p.pods.Watch(ctx, options)
}
