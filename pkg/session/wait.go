package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// errLate is the cause of a failure when a start takes too long.
var errLate = errors.New("the session did not start in time")

// waitUntilStarted waits until the container's process runs or, by attach, has already run to its end. It
// reports what it is waiting for. It fails with the server's message when the container cannot start any more
// or has not started in time.
func (s *session) waitUntilStarted(ctx context.Context) error {
	defer s.Reporter.Ready()
	session := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, s.StartTimeout, errLate)
	defer cancel()
	for {
		now := diagnosis.Of(s.watch.pod, s.plan.Container)
		switch {
		case now.Terminated != nil && s.agent.Via == agent.ViaExec:
			now = diagnosis.EndedEarly(s.watch.pod, s.plan.Container, now.Terminated)
		case now.Waiting == "" && now.Err == nil:
			s.enter(running)
			return nil
		}
		if now.Err != nil {
			return s.notStarted(session, now)
		}
		s.Reporter.Waiting(now.Waiting)
		switch err := s.watch.next(ctx); {
		case errors.Is(err, errLate):
			return s.notStarted(session, now)
		case errors.Is(err, errDeleted):
			return fmt.Errorf("%s did not start: %w", s.where(), diagnosis.Deleted(s.watch.pod, err))
		case err != nil:
			return fmt.Errorf("%s did not start: %w", s.where(), err)
		}
	}
}

// notStarted returns the error for a start that failed or takes too long. It adds to the pod's status what
// else can be found out before the pod is deleted.
func (s *session) notStarted(ctx context.Context, now diagnosis.Status) error {
	if now.Logs != "" {
		s.reportLog(ctx, now.Logs)
	}
	var err error
	if now.Err == nil {
		err = s.late(ctx, now)
	} else {
		if !now.Retrying && now.Terminated == nil {
			s.enter(failed)
		}
		err = fmt.Errorf("%s did not start: %w", s.where(), now.Err)
	}
	if !now.Retrying {
		return err
	}
	warning := s.newest(ctx,
		func(event corev1.Event) bool { return event.Reason == "FailedToRetrieveImagePullSecret" })
	if warning == "" {
		return err
	}
	return hint.Wrap(fmt.Errorf("%w: %s", err, warning), diagnosis.PullSecretsHint(s.plan.Namespace))
}

// late returns the error for a start that takes too long: what it is waiting for, and why that has not
// happened.
func (s *session) late(ctx context.Context, now diagnosis.Status) error {
	warning := ""
	if !now.Retrying { // otherwise the registry's response is in the status
		warning = s.lastWarning(ctx, now.Subject)
	}
	if warning != "" && !strings.Contains(now.Waiting, warning) {
		now.Waiting += ": " + warning
		now.Next = cmp.Or(diagnosis.Hint(s.watch.pod, now.Subject, warning), now.Next)
	}
	return hint.Wrap(fmt.Errorf("%s did not start within %s: it still waits for %s", s.where(),
		s.StartTimeout, now.Waiting),
		cmp.Or(now.Next, fmt.Sprintf("wait longer: --start-timeout %s", 5*s.StartTimeout)))
}

// A pod's status does not show why its volumes or network are missing, or that a pull secret is missing. Only
// events do. They are read once, after a start has failed, and skipped if the user is not allowed to read
// them.

// lastWarning returns the message of the newest warning about the subject, or "". The subject is a container,
// or the session's pod if it is empty. Warnings about anything else are ignored: they are not the reason.
func (s *session) lastWarning(ctx context.Context, subject string) string {
	return s.newest(ctx, func(event corev1.Event) bool {
		path := event.InvolvedObject.FieldPath
		if subject == "" {
			// The scheduler's latest message is in a condition. An event could only hold an older one.
			return path == "" && event.Reason != "FailedScheduling"
		}
		// The kubelet's "Error: ErrImagePull" is only a reason. The details are in the event before it.
		reason, isError := strings.CutPrefix(event.Message, "Error: ")
		isBare := isError && !strings.Contains(reason, " ")
		return strings.HasSuffix(path, "{"+subject+"}") && !isBare
	})
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

// seen returns when an event was last seen. The two event APIs store this in different fields.
func seen(event corev1.Event) time.Time {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.Time
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.Time
	}
	return event.EventTime.Time
}

// How much of the end of a log is shown: a few lines, and no more than fits on a screen. The server counts
// bytes from the first of these lines, so more bytes are requested than are shown.
const (
	lastLines = 10
	lastBytes = 2 << 10
	someBytes = 64 << 10
)

// reportLog shows the end of a container's log, which is lost with the pod. The log is streamed: reading the
// response as a whole would lose the server's message if it refuses.
func (s *session) reportLog(ctx context.Context, container string) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	options := &corev1.PodLogOptions{Container: container, TailLines: new(int64(lastLines)),
		LimitBytes: new(int64(someBytes))}
	stream, err := s.Client.CoreV1().Pods(s.plan.Namespace).GetLogs(s.plan.PodName, options).Stream(ctx)
	var log []byte
	if err == nil {
		defer stream.Close()
		log, err = io.ReadAll(stream)
	}
	log = cutLog(log)
	switch {
	case err != nil:
		s.Reporter.Warn("the log of container %s could not be read: %v", container, err)
	case len(log) > 0:
		s.Reporter.Warn("the log of container %s ends with:\n%s", container, log)
	}
}

func cutLog(log []byte) []byte {
	log = bytes.TrimSpace(log)
	return bytes.ToValidUTF8(log[max(len(log)-lastBytes, 0):], nil)
}

// log returns the log of the session's container, as much of it as fits into logLimit.
func (s *session) log(ctx context.Context) []byte {
	limited, cancel := context.WithTimeoutCause(ctx, logTimeout, errNoAnswer)
	defer cancel()
	options := &corev1.PodLogOptions{Container: s.plan.Container, LimitBytes: new(int64(logLimit))}
	log, err := s.Client.CoreV1().Pods(s.plan.Namespace).GetLogs(s.plan.PodName, options).DoRaw(limited)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.Reporter.Warn("the command's first output may be missing: %v", Interrupted(limited, err))
	case len(log) >= logLimit:
		s.Reporter.Warn("some of the command's first output is missing: more than %d MiB came before "+
			"the connection", logLimit>>20)
	}
	return log
}

// logLimit is how many bytes of a log are read. By default a kubelet starts another file after 10 MiB.
const logLimit = 32 << 20
