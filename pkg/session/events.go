package session

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// A pod's status does not say why its volumes or network are not there, or that a pull secret is
// missing; only events do. They are read once, when a start has failed, and left alone where they
// may not be read.

// lastWarning returns the newest warning about the subject, which is a container or, empty, the
// session's pod, or "". What others have trouble with is not the reason.
func (s *session) lastWarning(ctx context.Context, subject string) string {
	return s.newest(ctx, func(event corev1.Event) bool {
		path := event.InvolvedObject.FieldPath
		if subject != "" {
			return strings.HasSuffix(path, "{"+subject+"}") && !repeatsReason(event.Message)
		}
		// The scheduler's last word is a condition: here it could only be an older one.
		return path == "" && event.Reason != "FailedScheduling"
	})
}

// repeatsReason reports the kubelet's messages that are a reason only, as "Error: ErrImagePull": what
// there is to say is in the event before.
func repeatsReason(message string) bool {
	reason, isError := strings.CutPrefix(message, "Error: ")
	return isError && !strings.Contains(reason, " ")
}

// missingPullSecret returns the kubelet's warning that a pull secret of the pod's is not there, or "".
func (s *session) missingPullSecret(ctx context.Context) string {
	return s.newest(ctx,
		func(event corev1.Event) bool { return event.Reason == "FailedToRetrieveImagePullSecret" })
}

// newest returns the message of the newest warning that concerns the session, or "".
func (s *session) newest(ctx context.Context, concerns func(corev1.Event) bool) string {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	events, err := s.Client.CoreV1().Events(s.plan.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.name": s.plan.PodName,
			"type": corev1.EventTypeWarning}.String(),
	})
	if err != nil {
		return ""
	}
	var newest corev1.Event
	for _, event := range events.Items {
		if event.InvolvedObject.UID == s.uid && concerns(event) && !seen(event).Before(seen(newest)) {
			newest = event
		}
	}
	return newest.Message
}

// seen is when an event was last seen: its two APIs keep it in different places.
func seen(event corev1.Event) time.Time {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.Time
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.Time
	}
	return event.EventTime.Time
}
