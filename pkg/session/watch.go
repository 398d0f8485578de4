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
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/typed/core/v1"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// podWatch is the session's only watch. It is requested at the same time as what it watches, so that it costs
// no round trip, and no LIST is needed. It reconnects by itself, and its events are read all the time: a
// watch that nobody reads falls behind until the server no longer has its version.
type podWatch struct {
	pod    *corev1.Pod // as of the last next; nil before begin
	news   chan podEvent
	client onePod
	ctx    context.Context // ends with stop
	stop   context.CancelFunc
	early  bool // it is requested before the pod's version is known
}

// podEvent is a version of the pod, or the reason why no more follow.
type podEvent struct {
	pod *corev1.Pod
	err error
}

// errDeleted means that the pod disappeared during the session.
var errDeleted = errors.New("it was deleted by somebody else")

// requestWatch requests a watch of a pod that might not exist yet, and does not wait for the answer. The
// watch lasts until it is stopped or ctx ends.
func requestWatch(ctx context.Context, kube kubernetes.Interface, namespace, name string) *podWatch {
	w := newWatch(ctx, kube, namespace, name)
	w.early = true
	go func() {
		defer close(w.client.first)
		// From whatever version the server has at hand: it does not matter what was before the change.
		// With bookmarks, as those that follow, so that it can be continued after a long silence.
		options := metav1.ListOptions{ResourceVersion: "0", AllowWatchBookmarks: true}
		if first, err := w.client.watch(w.ctx, options); err == nil {
			w.client.first <- first
		}
	}()
	return w
}

// watchPod watches a pod from the given version until it is stopped or ctx ends.
func watchPod(ctx context.Context, kube kubernetes.Interface, pod *corev1.Pod) (*podWatch, error) {
	w := newWatch(ctx, kube, pod.Namespace, pod.Name)
	close(w.client.first)
	if err := w.begin(pod); err != nil {
		return nil, err
	}
	return w, nil
}

func newWatch(ctx context.Context, kube kubernetes.Interface, namespace, name string) *podWatch {
	ctx, stop := context.WithCancel(ctx)
	return &podWatch{news: make(chan podEvent, 1), ctx: ctx, stop: stop,
		client: onePod{kube.CoreV1().Pods(namespace), name, make(chan watch.Interface, 1)}}
}

// begin follows the pod from the version that the create has returned.
func (w *podWatch) begin(pod *corev1.Pod) error {
	events, err := watchtools.NewRetryWatcherWithContext(w.ctx, pod.ResourceVersion, w.client)
	if err != nil {
		w.stop()
		return fmt.Errorf("watch pod/%s: %w", pod.Name, err)
	}
	w.pod = pod
	go w.follow(events, pod)
	return nil
}

// unheardTime is how long a watch that was requested early may say nothing. It begins with what there is, so
// that this is rare.
const unheardTime = time.Minute

// errUnheard means that a watch that was requested early has said nothing of the pod.
var errUnheard = errors.New("the watch says nothing of it")

// follow keeps the newest podEvent for next. A server that has been restarted might no longer know the
// version to continue from. And a watch that was requested early, and answered late, might begin when the pod
// has been deleted already, of which it says nothing. The pod is then read once, and watched from there.
func (w *podWatch) follow(events watch.Interface, pod *corev1.Pod) {
	var unheard <-chan time.Time
	if w.early {
		unheard = time.After(unheardTime)
	}
	for events != nil {
		seen := w.read(events, pod, unheard)
		unheard, events = nil, nil
		if apierrors.IsResourceExpired(seen.err) || apierrors.IsGone(seen.err) ||
			errors.Is(seen.err, errUnheard) {
			seen, events = w.client.rewatch(w.ctx, pod)
		}
		w.put(seen)
	}
}

// read reads events until there are no more, or until unheard comes before the first. It returns the last.
func (w *podWatch) read(events watch.Interface, pod *corev1.Pod, unheard <-chan time.Time) podEvent {
	seen := podEvent{err: fmt.Errorf("the watch on pod/%s ended", pod.Name)}
	for {
		select {
		case event, is := <-events.ResultChan():
			if !is {
				return seen
			}
			if isFromBefore(event, pod) {
				continue
			}
			if seen = convert(event, pod); seen.err != nil {
				return seen
			}
			unheard = nil
			w.put(seen)
		case <-unheard:
			events.Stop()
			return podEvent{err: errUnheard}
		}
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

// isFromBefore reports whether an event is of an earlier version of the pod, or of an earlier pod of its
// name: the watch may have begun before the change that it is for.
func isFromBefore(event watch.Event, pod *corev1.Pod) bool {
	seen, is := event.Object.(*corev1.Pod)
	if !is || seen.UID != pod.UID {
		return is
	}
	order, err := resourceversion.CompareResourceVersion(seen.ResourceVersion, pod.ResourceVersion)
	return err == nil && order < 0
}

func convert(event watch.Event, pod *corev1.Pod) podEvent {
	seen, is := event.Object.(*corev1.Pod)
	switch {
	case is && (event.Type == watch.Added || event.Type == watch.Modified):
		return podEvent{pod: seen}
	case is && event.Type == watch.Deleted:
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
	pods  v1.PodInterface
	name  string
	first chan watch.Interface // the watch that was requested first; closed if there is none, or no more
}

// WatchWithContext is called by the retrying watcher, to connect and to reconnect.
func (p onePod) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	select {
	case first, is := <-p.first:
		if is {
			return first, nil
		}
		return p.watch(ctx, options)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p onePod) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, p.name).String()
	return p.pods.Watch(ctx, options)
}
