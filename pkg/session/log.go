package session

import (
	"bytes"
	"context"
	"io"

	corev1 "k8s.io/api/core/v1"
)

// The end of a log that is shown: some lines, and no more of it than fits on a screen. The server
// counts bytes from the first of these lines on, so more are asked for than are shown.
const (
	lastLines = 10
	lastBytes = 2 << 10
	someBytes = 64 << 10
)

// reportLog shows the end of a container's log: it goes with the pod.
func (s *session) reportLog(ctx context.Context, container string) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	log, err := s.endOfLog(ctx, container)
	switch {
	case err != nil:
		s.Reporter.Warn("the log of container %s could not be read: %v", container, err)
	case len(log) > 0:
		s.Reporter.Warn("the log of container %s ends with:\n%s", container, log)
	}
}

// endOfLog streams: an answer that is read as a whole loses the server's words where it says no.
func (s *session) endOfLog(ctx context.Context, container string) ([]byte, error) {
	options := &corev1.PodLogOptions{Container: container, TailLines: new(int64(lastLines)),
		LimitBytes: new(int64(someBytes))}
	stream, err := s.Client.CoreV1().Pods(s.plan.Namespace).GetLogs(s.plan.PodName, options).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	log, err := io.ReadAll(stream)
	return cutLog(log), err
}

func cutLog(log []byte) []byte {
	log = bytes.TrimSpace(log)
	return bytes.ToValidUTF8(log[max(len(log)-lastBytes, 0):], nil)
}

// log is all of the log of the session's container.
func (s *session) log(ctx context.Context) []byte {
	options := &corev1.PodLogOptions{Container: s.plan.Container}
	log, err := s.Client.CoreV1().Pods(s.plan.Namespace).GetLogs(s.plan.PodName, options).DoRaw(ctx)
	if err != nil && ctx.Err() == nil {
		s.Reporter.Warn("the command's first output may be missing: %v", err)
	}
	return log
}
