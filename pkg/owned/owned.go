// Package owned holds the labels, annotations and names by which kubectl-eshell recognizes its own objects in
// a cluster. It depends on no other package of the program, so every other package may import it.
package owned

import (
	"strconv"
	"strings"
	"time"
)

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
	// SourceKindAnnotation is the kind of the object that a clone was made from: "Deployment".
	SourceKindAnnotation = Domain + "/source-kind"
	// SourceNameAnnotation is the object's name, which may be longer than a label's 63 characters.
	SourceNameAnnotation = Domain + "/source-name"
	// TTLAnnotation is how long a session may live at most, in seconds from its lease's creation.
	TTLAnnotation = Domain + "/ttl-seconds"
	// ModeAnnotation is the mode of a lease's session: "clone" or "debug".
	ModeAnnotation = Domain + "/mode"
	// PodAnnotation is the pod in which the shell of a lease's session is.
	PodAnnotation = Domain + "/pod"
	// ContainerAnnotation is the container in which the shell is.
	ContainerAnnotation = Domain + "/container"
	// UserAnnotation is the name on the server of the user who opened a session.
	UserAnnotation = Domain + "/user"
	// ReasonAnnotation is the reason why the session was opened.
	ReasonAnnotation = Domain + "/reason"
	// EndedByAnnotation on a lease is the user who has asked its client to end the session.
	EndedByAnnotation = Domain + "/ended-by"
	// AttachedByAnnotation on a lease is the user who has last attached to a session of somebody else's, and
	// when: "bob 2026-11-26T07:15:00Z".
	AttachedByAnnotation = Domain + "/attached-by"
	// ScriptsAnnotation on a clone holds the scripts that run in its container.
	ScriptsAnnotation = Domain + "/scripts"
	// KeptAnnotation on a lease means that nobody renews it. Its value is the reason: Fixed or Detached. On a
	// clone its value is Detached.
	KeptAnnotation = Domain + "/kept"
)

// These are the values of KeptAnnotation.
const (
	Fixed    = "fixed"    // the session's client is not allowed to renew it
	Detached = "detached" // the session has no client
)

// NeverReady is the condition of a clone's readiness gate. Nobody ever sets it.
const NeverReady = Domain + "/never-ready"

// ToolboxName names the init container and the volume of --toolbox.
const ToolboxName = "eshell-toolbox"

// maxName is the maximum length of a DNS label. A pod's name may be longer, but the kubelet cuts its hostname
// after 63 characters.
const maxName = 63

// PodName returns the name of the clone that session makes of source. It is a valid DNS label of at most 63
// characters for any valid source name.
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

// Labels returns the labels of a session's clone and lease.
func Labels(session string) map[string]string {
	return map[string]string{ManagedByLabel: ManagedBy, SessionLabel: session}
}

// Who returns the annotations that state who opened a session and why, as far as that is known.
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

// Terms returns the annotations that an object of a session has from its creation on: those of Who, and how
// long the session may live at most. Admission policies judge by them.
func Terms(user, reason string, ttl time.Duration) map[string]string {
	terms := Who(user, reason)
	terms[TTLAnnotation] = Seconds(ttl)
	return terms
}

// Seconds returns a duration as TTLAnnotation has it.
func Seconds(d time.Duration) string {
	return strconv.FormatInt(int64(d/time.Second), 10)
}

// Annotations returns the annotations that state what a clone was made from.
func Annotations(kind, name string) map[string]string {
	return map[string]string{SourceKindAnnotation: kind, SourceNameAnnotation: name}
}
