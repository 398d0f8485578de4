package ephemeral

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/pager"
)

// Client works on the ephemeral containers of the pods of one namespace.
type Client struct {
	client    kubernetes.Interface
	namespace string
}

// New returns a client for the pods of a namespace.
func New(client kubernetes.Interface, namespace string) *Client { return &Client{client, namespace} }

func (c *Client) pods() typedcorev1.PodInterface { return c.client.CoreV1().Pods(c.namespace) }

// Pod is a pod, with a view of its ephemeral containers.
type Pod struct {
	*corev1.Pod
	Containers []Container
}

// Get returns a pod and its ephemeral containers.
func (c *Client) Get(ctx context.Context, pod string) (Pod, error) {
	read, err := c.pods().Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return Pod{}, explain("get pod/"+pod, err)
	}
	return Pod{read, Containers(read)}, nil
}

// List returns those of the namespace's pods that have ephemeral containers. The options can narrow the list
// by labels or fields. The pods are read in pages, so that a large namespace does not fill the memory.
func (c *Client) List(ctx context.Context, options metav1.ListOptions) ([]Pod, error) {
	var pods []Pod
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.pods().List(ctx, options)
	})
	err := pages.EachListItem(ctx, options, func(item runtime.Object) error {
		if pod := item.(*corev1.Pod); len(pod.Spec.EphemeralContainers) > 0 {
			pods = append(pods, Pod{pod.DeepCopy(), Containers(pod)}) // the item is a part of its page
		}
		return nil
	})
	return pods, explain("list pods in namespace "+c.namespace, err)
}

// Add adds one container to a pod, and returns the resulting pod. It is one request, a strategic merge by
// name, so it does not conflict with what others add at the same time.
//
// Add takes from pod its name and its UID: a newer pod of the same name is refused (ErrReplaced), unless the
// UID is empty. What is wrong with the container, as far as the rest of pod shows, is refused before the
// request: an *InvalidError with everything that Validate finds, ErrMirrorPod, or ErrNotRunning if the pod
// has ended or the target does not run.
//
// A container cannot be changed or removed once it was added:
// https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
func (c *Client) Add(ctx context.Context, pod *corev1.Pod, container corev1.EphemeralContainer,
	options ...Option) (*corev1.Pod, error) {
	tried := "add a debug container to pod/" + pod.Name
	if err := addable(pod, container); err != nil {
		return nil, fmt.Errorf("%s: %w", tried, err)
	}
	patch, err := Addition(pod.UID, container)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tried, err)
	}
	return c.patch(ctx, tried, pod.Name, types.StrategicMergePatchType, patch, options)
}

// Addition returns the strategic merge patch with which Add adds a container to the pod with this UID; empty:
// to a pod with any.
func Addition(pod types.UID, container corev1.EphemeralContainer) ([]byte, error) {
	change := map[string]any{
		"spec": map[string]any{"ephemeralContainers": []corev1.EphemeralContainer{container}}}
	if pod != "" {
		change["metadata"] = map[string]any{"uid": pod}
	}
	return json.Marshal(change)
}

// Patch sends a patch of any kind to the ephemeral containers of a pod, and returns the resulting pod:
//
//   - types.StrategicMergePatchType adds the containers that it names.
//   - types.ApplyYAMLPatchType, server-side apply, needs a FieldManager. Each time, it has to name all
//     containers that this manager has applied before.
//   - types.MergePatchType replaces the list: it has to repeat all of the pod's ephemeral containers.
//   - types.JSONPatchType can append to the path /spec/ephemeralContainers/-, if the pod has one already.
//
// Fields that an ephemeral container is not allowed to have are refused before the call, with an
// *InvalidError, but for a JSON patch. The server judges everything else.
func (c *Client) Patch(ctx context.Context, pod string, kind types.PatchType, patch []byte,
	options ...Option) (*corev1.Pod, error) {
	tried := "patch the ephemeral containers of pod/" + pod
	if err := patchable(pod, kind, patch); err != nil {
		return nil, fmt.Errorf("%s: %w", tried, err)
	}
	return c.patch(ctx, tried, pod, kind, patch, options)
}

// subresource is the only part of a pod that this package changes.
const subresource = "ephemeralcontainers"

func (c *Client) patch(ctx context.Context, tried, pod string, kind types.PatchType, patch []byte,
	options []Option) (*corev1.Pod, error) {
	ctx, cancel, set, err := configure(ctx, kind, options)
	defer cancel()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tried, err)
	}
	changed, err := c.pods().Patch(ctx, pod, kind, patch, set.PatchOptions, subresource)
	if err != nil {
		return nil, explain(tried, c.judged(ctx, err))
	}
	return changed, nil
}

// Replace reads a pod, and replaces its list of ephemeral containers by the one that change returns. If
// somebody else has changed the pod in between, Replace reads it again and calls change again, up to five
// times in all. Then it returns the server's conflict (apierrors.IsConflict).
//
// The list has to contain all of pod.Spec.EphemeralContainers: the server refuses to change or remove a
// container. A new container is checked as by Add. An error of change ends Replace, which returns it.
func (c *Client) Replace(ctx context.Context, pod string,
	change func(pod *corev1.Pod) ([]corev1.EphemeralContainer, error),
	options ...Option) (*corev1.Pod, error) {
	tried := "replace the ephemeral containers of pod/" + pod
	ctx, cancel, set, err := configure(ctx, types.MergePatchType, options)
	defer cancel()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tried, err)
	}
	var replaced *corev1.Pod
	var last error
	var uid types.UID
	retry := wait.Backoff{Steps: 5, Duration: 10 * time.Millisecond, Factor: 3, Jitter: 0.1}
	err = wait.ExponentialBackoffWithContext(ctx, retry, func(ctx context.Context) (bool, error) {
		read, err := c.pods().Get(ctx, pod, metav1.GetOptions{})
		switch {
		case err != nil:
			return false, err
		case uid != "" && read.UID != uid:
			return false, ErrReplaced
		}
		uid = read.UID
		replaced, last = c.replace(ctx, read, change, set.update())
		if apierrors.IsConflict(last) {
			return false, nil
		}
		return true, last
	})
	if wait.Interrupted(err) && ctx.Err() == nil { // it was tried often enough
		err = last
	}
	if err != nil {
		return nil, explain(tried, err)
	}
	return replaced, nil
}

func (c *Client) replace(ctx context.Context, read *corev1.Pod,
	change func(pod *corev1.Pod) ([]corev1.EphemeralContainer, error),
	options metav1.UpdateOptions) (*corev1.Pod, error) {
	list, err := change(read.DeepCopy())
	if err != nil {
		return nil, err
	}
	if err := replaceable(read, list); err != nil {
		return nil, err
	}
	next := read.DeepCopy()
	next.Spec.EphemeralContainers = list
	replaced, err := c.pods().UpdateEphemeralContainers(ctx, read.Name, next, options)
	return replaced, c.judged(ctx, err)
}
