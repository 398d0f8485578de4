package session

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/typed/core/v1"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// podWatch is the session's one watch: on its pod, from the version that the create answered with,
// so that no LIST is needed. It reconnects by itself.
type podWatch struct {
	events watch.Interface
	pod    *corev1.Pod // as last seen
}

// errDeleted means that the pod went away under the session.
var errDeleted = errors.New("it was deleted by somebody else")

func (s *session) watch(ctx context.Context, pod *corev1.Pod) (*podWatch, error) {
	client := onePod{s.Client.CoreV1().Pods(pod.Namespace), pod.Name}
	events, err := watchtools.NewRetryWatcherWithContext(ctx, pod.ResourceVersion, client)
	if err != nil {
		return nil, fmt.Errorf("watch pod/%s: %w", pod.Name, err)
	}
	return &podWatch{events: events, pod: pod}, nil
}

func (w *podWatch) stop() { w.events.Stop() }

// next waits for the pod's next version.
func (w *podWatch) next(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case event, open := <-w.events.ResultChan():
		if !open {
			return fmt.Errorf("the watch on pod/%s ended", w.pod.Name)
		}
		return w.take(event)
	}
}

func (w *podWatch) take(event watch.Event) error {
	switch event.Type {
	case watch.Added, watch.Modified:
		w.pod = event.Object.(*corev1.Pod)
		return nil
	case watch.Deleted:
		return fmt.Errorf("pod/%s: %w", w.pod.Name, errDeleted)
	default:
		return hint.Errorf("kubectl auth can-i watch pods -n "+w.pod.Namespace,
			"watch pod/%s: %w", w.pod.Name, apierrors.FromObject(event.Object))
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
