package session

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// eventsTime bounds a look at the events: it is the last thing before an error that is due.
const eventsTime = 3 * time.Second

// lastWarning returns the newest warning about the session's pod, or "". A pod's status does not say
// why its volumes or network are not there; only events do. They are read once, when a start has
// taken too long, and left alone where they may not be read.
func (s *session) lastWarning(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, eventsTime)
	defer cancel()
	events, err := s.Client.CoreV1().Events(s.plan.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.Set{"involvedObject.name": s.plan.PodName, "type": corev1.EventTypeWarning}.String(),
	})
	if err != nil {
		return ""
	}
	var newest corev1.Event
	for _, event := range events.Items {
		if s.concerns(event) && !seen(event).Before(seen(newest)) {
			newest = event
		}
	}
	return newest.Message
}

// concerns tells the session's own events: of a pod that was there before, those of its container.
func (s *session) concerns(event corev1.Event) bool {
	if s.plan.Ephemeral != nil {
		return event.InvolvedObject.FieldPath == "spec.ephemeralContainers{"+s.plan.Container+"}"
	}
	return event.InvolvedObject.UID == s.uid
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
