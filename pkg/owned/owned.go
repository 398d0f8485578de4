// Package owned holds the labels, annotations and names by which kubectl-eshell knows its own
// objects in a cluster. It knows nothing else: every other room may import it.
package owned

import "strings"

const (
	// ManagedByLabel is Kubernetes' recommended label for the tool that manages an object:
	// https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is our value of ManagedByLabel.
	ManagedBy = "kubectl-eshell"

	// Domain is the prefix of our own names: the domain of the project's pages.
	Domain = "kubectl-eshell.github.io"
	// SessionLabel carries the session's id.
	SessionLabel = Domain + "/session"
	// SourceKindAnnotation says what kind of object a clone was made from: "Deployment".
	SourceKindAnnotation = Domain + "/source-kind"
	// SourceNameAnnotation says its name, which may be longer than a label's 63 characters.
	SourceNameAnnotation = Domain + "/source-name"
	// TTLAnnotation says how long a session may live at most, in seconds from its lease's creation.
	TTLAnnotation = Domain + "/ttl-seconds"
	// ModeAnnotation says of a lease in which mode its session is: "clone" or "debug".
	ModeAnnotation = Domain + "/mode"
	// PodAnnotation says of a lease in which pod its session's shell is.
	PodAnnotation = Domain + "/pod"
	// ContainerAnnotation says in which container.
	ContainerAnnotation = Domain + "/container"
	// UserAnnotation says who opened a session, as the server knows them.
	UserAnnotation = Domain + "/user"
	// ReasonAnnotation says why.
	ReasonAnnotation = Domain + "/reason"
	// KeptAnnotation says of a lease that nobody renews it, and why: Fixed or Detached. On a clone it
	// says Detached.
	KeptAnnotation = Domain + "/kept"
)

// The values of KeptAnnotation.
const (
	Fixed    = "fixed"    // its session's client may not
	Detached = "detached" // its session has no client
)

// NeverReady is the condition of a clone's readiness gate. Nobody ever sets it.
const NeverReady = Domain + "/never-ready"

// ToolboxName names the init container and the volume of --toolbox.
const ToolboxName = "eshell-toolbox"

// maxName is the length of a DNS label. A pod's name may be longer, but its hostname may not:
// beyond 63 characters the kubelet cuts it.
const maxName = 63

// PodName returns the name of the clone that session makes of source: at most 63 characters,
// a valid DNS label for any valid source name.
func PodName(source, session string) string {
	suffix := "-eshell-" + session
	source = strings.ReplaceAll(source, ".", "-")
	if room := maxName - len(suffix); len(source) > room {
		source = strings.TrimRight(source[:room], "-")
	}
	return source + suffix
}

// LeaseName returns the name of a session's lease.
func LeaseName(session string) string {
	return "eshell-" + session
}

// ContainerName returns the name of the ephemeral container of a debug session.
func ContainerName(session string) string {
	return "eshell-" + session
}

// Labels returns a clone's labels.
func Labels(session string) map[string]string {
	return map[string]string{ManagedByLabel: ManagedBy, SessionLabel: session}
}

// Who returns the annotations of who opened a session and why, as far as that is known.
func Who(user, reason string) map[string]string {
	who := map[string]string{}
	if user != "" {
		who[UserAnnotation] = user
	}
	if reason != "" {
		who[ReasonAnnotation] = reason
	}
	return who
}

// Annotations returns a clone's annotations: what it was made from.
func Annotations(kind, name string) map[string]string {
	return map[string]string{SourceKindAnnotation: kind, SourceNameAnnotation: name}
}
