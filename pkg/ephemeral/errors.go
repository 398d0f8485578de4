package ephemeral

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/discovery"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

var (
	// ErrUnsupported means that the server has no ephemeral containers. The error is an *UnsupportedError.
	ErrUnsupported = errors.New("the server has no ephemeral containers")
	// ErrMirrorPod means that the pod is the API's view of a static pod, which takes no ephemeral containers:
	// https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
	ErrMirrorPod = errors.New("it is a static pod: Kubernetes adds no ephemeral containers to it")
	// ErrNotRunning means that a container does not run: the one that was waited for or was to be used, the
	// target of a new one, or all of the pod's.
	ErrNotRunning = errors.New("not running")
	// ErrReplaced means that the pod with the given UID is gone, and another pod has its name.
	ErrReplaced = errors.New("another pod has this name by now")
	// ErrNoStatus means that a stream ended without the command's exit status: the connection was lost, or a
	// server on the way has closed it.
	ErrNoStatus = errors.New("the stream ended without an exit status")
)

// UnsupportedError is ErrUnsupported with the server's version. Ephemeral containers need Kubernetes 1.23,
// where they are beta and on by default, or 1.25, where they are stable (KEP-277).
type UnsupportedError struct {
	ServerVersion string // for example "v1.22.17", or "" if the server did not tell it
	Err           error  // the server's answer
}

func (e *UnsupportedError) Error() string {
	if e.ServerVersion == "" {
		return fmt.Sprintf("%v, which need Kubernetes 1.23: %v", ErrUnsupported, e.Err)
	}
	return fmt.Sprintf("%v, which need Kubernetes 1.23 (it is %s): %v", ErrUnsupported, e.ServerVersion,
		e.Err)
}

// Unwrap returns ErrUnsupported and the server's answer.
func (e *UnsupportedError) Unwrap() []error { return []error{ErrUnsupported, e.Err} }

// ForbiddenError means that the caller lacks a permission. Other refusals that the API reports as
// "Forbidden", by an admission plugin or a policy, are not ForbiddenErrors.
type ForbiddenError struct {
	Verb     string // the missing verb, for example "patch"
	Resource string // with its subresource: "pods/ephemeralcontainers"
	Err      error  // the server's answer
}

func (e *ForbiddenError) Error() string { return e.Err.Error() }

// Unwrap returns the server's answer.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// InvalidError is a call that was refused before it was sent. It has everything that is wrong with it. It is
// also the API's own error for that: apierrors.IsInvalid reports true.
type InvalidError struct {
	Pod    string // or "" if the options are wrong
	Fields field.ErrorList
}

// Status returns the answer that the server would give.
func (e *InvalidError) Status() metav1.Status {
	kind := corev1.SchemeGroupVersion.WithKind("Pod").GroupKind()
	if e.Pod == "" {
		kind = metav1.SchemeGroupVersion.WithKind("PatchOptions").GroupKind()
	}
	return apierrors.NewInvalid(kind, e.Pod, e.Fields).ErrStatus
}

func (e *InvalidError) Error() string { return e.Status().Message }

// explain returns err with what it means, and with what was tried: for example "list pods".
func explain(tried string, err error) error {
	if err == nil {
		return nil
	}
	next := ""
	var lacking *ForbiddenError
	switch meaning := meaning(err); {
	case errors.Is(meaning, ErrUnsupported):
		return hint.Wrap(fmt.Errorf("%s: %w", tried, meaning),
			"they need Kubernetes 1.25, or 1.23, where they are beta")
	case errors.As(meaning, &lacking):
		next = fmt.Sprintf("ask for %q on %s", lacking.Verb, lacking.Resource)
		if lacking.Resource == "pods/ephemeralcontainers" {
			next += ": the admin and edit roles do not have it"
		}
		return hint.Wrap(fmt.Errorf("%s: %w", tried, meaning), next)
	default:
		return fmt.Errorf("%s: %w", tried, meaning)
	}
}

// meaning returns the typed error for a server's answer, or err itself.
func meaning(err error) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err
	}
	status := answer.Status()
	switch {
	case apierrors.IsForbidden(err):
		if lacking := unauthorized.FindStringSubmatch(status.Message); lacking != nil {
			return &ForbiddenError{Verb: lacking[1], Resource: lacking[2], Err: err}
		}
	case strings.Contains(status.Message, "static pods do not support ephemeral containers"):
		return fmt.Errorf("%w: %w", ErrMirrorPod, err)
	case causedBy(status, "metadata.uid"):
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	return err
}

// unauthorized matches an API server's words for a request that its authorizer refuses.
var unauthorized = regexp.MustCompile(`cannot (\S+) resource "([^"]+)"`)

func causedBy(status metav1.Status, path string) bool {
	if status.Details == nil {
		return false
	}
	for _, cause := range status.Details.Causes {
		if cause.Field == path {
			return true
		}
	}
	return false
}

// judged returns the error of a call of the subresource, which an old server lacks.
func (c *Client) judged(ctx context.Context, err error) error {
	var answer apierrors.APIStatus
	if errors.As(err, &answer) && isUnsupported(answer.Status()) {
		return &UnsupportedError{c.serverVersion(ctx), err}
	}
	return err
}

// isUnsupported reports whether the server does not know the subresource, as opposed to a pod that does not
// exist. Only the 404 for a missing pod names an object. Old servers send no details at all.
func isUnsupported(answer metav1.Status) bool {
	return answer.Reason == metav1.StatusReasonNotFound &&
		(answer.Details == nil || answer.Details.Name == "")
}

// askTimeout is how long the server has to answer what only an error needs: its version, or a pod's state.
const askTimeout = 5 * time.Second

// serverVersion returns the server's version, or "".
func (c *Client) serverVersion(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	server := discovery.ToServerVersionInterfaceWithContext(c.client.Discovery())
	info, err := server.ServerVersionWithContext(ctx)
	if err != nil {
		return ""
	}
	return info.GitVersion
}
