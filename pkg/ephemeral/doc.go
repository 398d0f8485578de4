// Package ephemeral is a client for the ephemeral containers of pods: it lists and adds them, waits for them,
// and runs commands in them. Debug mode of kubectl-eshell is built on it.
//
// An ephemeral container is added to a pod that exists, most often to debug it. It can be neither changed nor
// removed, and it is never restarted:
// https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
//
// A [Client] needs only a clientset, and so it works with a fake one. [Streams] need the connection's
// configuration. Every call ends with its context.
//
// # Errors
//
// Each error says what was tried, and wraps the server's answer, so that the functions of
// k8s.io/apimachinery/pkg/api/errors apply to it. Test for these with errors.Is and errors.As:
//
//	ErrUnsupported   The server has no ephemeral containers: they are beta in Kubernetes 1.23 and stable in
//	                 1.25. *UnsupportedError has the server's version.
//	ErrMirrorPod     The pod is a static pod.
//	ErrNotRunning    The container, the target or the pod does not run.
//	ErrReplaced      Another pod has the name by now.
//	ErrNoStatus      A stream ended without an exit status.
//	*ForbiddenError  A permission is missing: it has the verb and the resource.
//	*InvalidError    The call was refused before it was sent. It has all that is wrong: a field.ErrorList.
//
// # Permissions
//
// What each call needs, as the verbs and resources of a Role. The built-in roles "admin" and "edit" do not
// include pods/ephemeralcontainers.
//
//	Get          get on pods
//	List         list on pods
//	Add, Patch   patch on pods/ephemeralcontainers
//	Replace      get on pods; update on pods/ephemeralcontainers
//	Wait         watch on pods; also get, for a pod without a version, and if the server has restarted
//	Exec         create on pods/exec; get on pods, to tell why it has failed
//	Attach       create on pods/attach; get and watch on pods, for the exit status
//
// A dry run needs the same permissions. With get on pods/exec or pods/attach too, a stream is a WebSocket;
// otherwise it falls back to SPDY. A server that has no ephemeral containers is asked for its version, which
// every user is allowed to read by default.
package ephemeral
