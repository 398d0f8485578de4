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
	"k8s.io/apimachinery/pkg/util/duration"

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
	known := trouble{since: map[string]time.Time{}, told: map[string]bool{}}
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
		now = s.tellTrouble(ctx, now, &known)
		if now.Err != nil {
			return s.notStarted(session, now)
		}
		switch err := s.nextWithin(ctx, lookAgain); {
		case errors.Is(err, errLookAgain):
		case errors.Is(err, errLate):
			return s.notStarted(session, now)
		case ctx.Err() != nil && now.Trouble:
			return hint.Wrap(stillWaiting{fmt.Errorf("%s did not start: %w; it waited for %s", s.where(), err,
				now.Waiting)}, now.Next)
		case errors.Is(err, errDeleted):
			return fmt.Errorf("%s did not start: %w", s.where(), diagnosis.Deleted(s.watch.pod, err))
		case err != nil:
			return fmt.Errorf("%s did not start: %w", s.where(), err)
		}
	}
}

// stillWaiting is the cause of a context that has ended a wait, with what was waited for.
type stillWaiting struct{ error }

// Unwrap returns the error with the cause.
func (e stillWaiting) Unwrap() error { return e.error }

const (
	// lookAgain is how often a start that does not go on is looked at, and how long something may be wrong
	// before it is told: much heals in seconds.
	lookAgain = 3 * time.Second
	// eventsInterval is how often the events are read, if only they say what is wrong.
	eventsInterval = 4 * lookAgain
	// missingTime is how long an object that is not there is waited for.
	missingTime = 30 * time.Second
)

// errLookAgain is the cause of the end of a wait for news of the pod.
var errLookAgain = errors.New("no news")

func (s *session) nextWithin(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errLookAgain)
	defer cancel()
	return s.watch.next(ctx)
}

// trouble is what is known of a start that does not go on.
type trouble struct {
	since   map[string]time.Time // what is waited for, and since when
	told    map[string]bool
	warning string    // the newest event
	asked   time.Time // when events were last read
}

// tellTrouble tells once what is wrong, and what to type. It returns the status with what the events say. Its
// Err is set if an object is missing for too long.
func (s *session) tellTrouble(ctx context.Context, now diagnosis.Status, known *trouble) diagnosis.Status {
	begin, waited := known.since[now.Waiting]
	if !waited {
		known.since[now.Waiting] = time.Now()
		return now
	}
	if time.Since(begin) < lookAgain {
		return now
	}
	if now.InEvents {
		if time.Since(known.asked) >= eventsInterval {
			known.asked, known.warning = time.Now(), s.lastWarning(ctx, now.Subject)
		}
		now = now.WithWarning(s.watch.pod, known.warning)
	}
	missing := now.InEvents && diagnosis.IsMissing(known.warning)
	if missing && time.Since(begin) >= missingTime {
		now.Err = hint.Wrap(errors.New(now.Waiting), now.Next)
		return now
	}
	if now.Trouble && !known.told[now.Waiting] {
		known.told[now.Waiting] = true
		ends := ""
		if missing {
			left := missingTime - time.Since(begin)
			if deadline, limited := ctx.Deadline(); limited {
				left = min(left, time.Until(deadline))
			}
			ends = fmt.Sprintf("; the session ends in %s if it does not appear", duration.HumanDuration(left))
		}
		s.Reporter.Trouble(now.Waiting+ends, now.Next)
	}
	return now
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
	now = now.WithWarning(s.watch.pod, warning)
	return hint.Wrap(fmt.Errorf("%s did not start within %s: it still waits for %s", s.where(),
		s.StartTimeout, now.Waiting),
		cmp.Or(now.Next, waitLonger(s.StartTimeout)))
}

// A pod's status does not show why its volumes or network are missing, or that a pull secret is missing. Only
// events do. They are read after a start has failed, and now and then while one does not go on, and skipped
// if the user is not allowed to read them.

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
