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
	"k8s.io/client-go/kubernetes/typed/core/v1"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// podWatch is the session's one watch: on its pod, from the version that the create answered with,
// so that no LIST is needed. It reconnects by itself, and is read all the time: a watch that nobody
// reads falls behind until the server has forgotten where it was.
type podWatch struct {
	pod  *corev1.Pod // as of the last next
	news chan sighting
	stop context.CancelFunc
}

// sighting is a version of the pod, or why there will be no more.
type sighting struct {
	pod *corev1.Pod
	err error
}

// errDeleted means that the pod went away under the session.
var errDeleted = errors.New("it was deleted by somebody else")

func (s *session) watch(ctx context.Context, pod *corev1.Pod) (*podWatch, error) {
	ctx, stop := context.WithCancel(ctx)
	client := onePod{s.Client.CoreV1().Pods(pod.Namespace), pod.Name}
	events, err := watchtools.NewRetryWatcherWithContext(ctx, pod.ResourceVersion, client)
	if err != nil {
		stop()
		return nil, fmt.Errorf("watch pod/%s: %w", pod.Name, err)
	}
	w := &podWatch{pod: pod, news: make(chan sighting, 1), stop: stop}
	go w.follow(ctx, client, events, pod)
	return w, nil
}

// follow keeps the newest sighting for next. A server that has been restarted may not know the version
// any more from which to go on: then the pod is read once, and watched from there.
func (w *podWatch) follow(ctx context.Context, client onePod, events watch.Interface, pod *corev1.Pod) {
	for events != nil {
		seen := sighting{err: fmt.Errorf("the watch on pod/%s ended", pod.Name)}
		for event := range events.ResultChan() {
			if seen = look(event, pod); seen.err != nil {
				break
			}
			w.tell(seen)
		}
		events = nil
		if apierrors.IsResourceExpired(seen.err) || apierrors.IsGone(seen.err) {
			seen, events = client.anew(ctx, pod)
		}
		w.tell(seen)
	}
}

// anew reads the pod and watches it from there, as soon as the server answers.
func (p onePod) anew(ctx context.Context, pod *corev1.Pod) (seen sighting, events watch.Interface) {
	retry := wait.Backoff{Duration: retryTime, Factor: 2, Cap: 10 * time.Second, Steps: math.MaxInt32}
	err := wait.ExponentialBackoffWithContext(ctx, retry, func(ctx context.Context) (bool, error) {
		var err error
		seen.pod, err = p.pods.Get(ctx, p.name, metav1.GetOptions{})
		if err != nil && !refused(err) {
			return false, nil
		}
		return true, err
	})
	switch {
	case apierrors.IsNotFound(err) || err == nil && seen.pod.UID != pod.UID:
		return sighting{err: fmt.Errorf("pod/%s: %w", p.name, errDeleted)}, nil
	case err != nil:
		return sighting{err: hint.Errorf("kubectl auth can-i get pods -n "+pod.Namespace, "read pod/%s again: %w", p.name, err)}, nil
	}
	if events, err = watchtools.NewRetryWatcherWithContext(ctx, seen.pod.ResourceVersion, p); err != nil {
		return sighting{err: fmt.Errorf("watch pod/%s: %w", p.name, err)}, nil
	}
	return seen, events
}

func (w *podWatch) tell(seen sighting) {
	select {
	case <-w.news: // nobody has read the one before: this one is newer
	default:
	}
	w.news <- seen
}

func look(event watch.Event, pod *corev1.Pod) sighting {
	switch event.Type {
	case watch.Added, watch.Modified:
		return sighting{pod: event.Object.(*corev1.Pod)}
	case watch.Deleted:
		return sighting{err: fmt.Errorf("pod/%s: %w", pod.Name, errDeleted)}
	default:
		return sighting{err: hint.Errorf("kubectl auth can-i watch pods -n "+pod.Namespace,
			"watch pod/%s: %w", pod.Name, apierrors.FromObject(event.Object))}
	}
}

// next waits for a newer version of the pod.
func (w *podWatch) next(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case seen := <-w.news:
		if seen.err != nil {
			w.tell(seen) // for whoever asks again
			return seen.err
		}
		w.pod = seen.pod
		return nil
	}
}

// onePod narrows a namespace's pods to one of them.
type onePod struct {
	pods v1.PodInterface
	name string
}

// WatchWithContext is what the retrying watcher calls, also to reconnect.
func (p onePod) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, p.name).String()
	return p.pods.Watch(ctx, options)
}
