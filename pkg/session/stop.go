package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// stopContainer ends the process of an ephemeral container: the API can neither stop nor remove the container
// itself. The session has ended only when its process has, so stopContainer waits for that, and warns if it
// cannot be sure.
func (s *session) stopContainer(ctx context.Context) {
	if s.phase == failed {
		s.reportFailed()
		return
	}
	switch err := s.waitUntilStoppable(ctx); {
	case errors.Is(err, errDeleted): // it is gone with its pod
		return
	case errors.Is(err, errNotAdded):
		s.Reporter.Warn("container %s is not in pod/%s: if it is still added, it ends by itself within %s",
			s.plan.Container, s.plan.PodName, duration.HumanDuration(s.agent.AttachTimeout))
		return
	case err != nil:
		s.Reporter.Warn("%s could not be stopped: if it runs or still starts, it ends by itself within %s",
			s.where(), duration.HumanDuration(s.agent.AttachTimeout))
		return
	}
	if s.phase != ended {
		if err := stopSurely(ctx, s.agent.Stop, s.isTerminated); err != nil {
			s.Reporter.Warn("%s might still be running: %v", s.where(), err)
			return
		}
	}
	s.Reporter.Say("%s has ended", s.where())
}

// reportFailed reports what remains of a container that did not start. The kubelet tries again if only its
// target was missing.
func (s *session) reportFailed() {
	if s.watch != nil &&
		errors.Is(diagnosis.Of(s.watch.pod, s.plan.Container).Err, diagnosis.ErrTargetEnded) {
		s.Reporter.Say("%s has not started: if it still does, it ends by itself within %s", s.where(),
			duration.HumanDuration(s.agent.AttachTimeout))
		return
	}
	s.Reporter.Say("%s never ran; the pod keeps its entry", s.where())
}

// stopSurely calls stop again and again until a container's process has ended, as shown by stop's success or
// by isOver. A container that is paused for a moment accepts no exec, and an attempt that hangs must not use
// up the time of all.
func stopSurely(ctx context.Context, stop func(context.Context) error,
	isOver func(context.Context) bool) error {
	began := time.Now()
	var why error
	for {
		next := time.After(retryInterval)
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err := stop(try)
		if try.Err() == nil { // otherwise err is only the timeout
			why = err
		}
		cancel()
		if err == nil || isOver(ctx) {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return cmp.Or(why, fmt.Errorf("it has not ended after %s", time.Since(began).Round(time.Second)))
		}
	}
}

// isTerminated reports whether the container has ended by itself. Such a container can be neither told to end
// nor killed. A failed attempt shows that a moment before the pod's status does, so isTerminated waits for
// the status.
func (s *session) isTerminated(ctx context.Context) bool {
	_, err := s.waitUntilTerminated(ctx, retryInterval)
	return err == nil || errors.Is(err, errDeleted)
}

// Why a debug container that was not seen to start cannot be stopped.
var (
	errNotAdded   = errors.New("it was not added")
	errNotStarted = errors.New("it has not started")
)

// waitUntilStoppable waits a little for a container that was about to start when the session was interrupted:
// it can be ended only once it has started. The error is errDeleted if the pod is gone, and errNotAdded if
// the container is not in the pod.
func (s *session) waitUntilStoppable(ctx context.Context) error {
	if s.phase >= running {
		return nil
	}
	if s.watch == nil {
		if err := s.lookUp(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startingTimeout)
	defer cancel()
	for {
		now, added := diagnosis.Of(s.watch.pod, s.plan.Container),
			containers.Spec(s.watch.pod, s.plan.Container) != nil
		switch {
		case added && now.Terminated != nil:
			s.enter(ended)
			return nil
		case added && now.Waiting == "" && now.Err == nil:
			s.enter(running)
			return nil
		case added && (now.Err != nil || now.Retrying):
			return errNotStarted
		}
		switch err := s.watch.next(ctx); {
		case errors.Is(err, context.DeadlineExceeded) && !added:
			return errNotAdded
		case err != nil:
			return err
		}
	}
}

// lookUp reads the pod to which a container was to be added, and watches it from that version. The response
// to the request was lost, so the server may have added the container or be about to.
func (s *session) lookUp(ctx context.Context) error {
	var pod *corev1.Pod
	err := s.persist(ctx, func(ctx context.Context) (err error) {
		pod, err = s.Client.CoreV1().Pods(s.plan.Namespace).Get(ctx, s.plan.PodName, metav1.GetOptions{})
		return err
	})
	switch {
	case apierrors.IsNotFound(err) || err == nil && pod.UID != s.plan.PodUID:
		return errDeleted
	case err != nil:
		return err
	}
	s.watch, err = watchPod(ctx, s.Client, pod)
	return err
}

// Stop ends the process of a detached debug session, and returns when it has ended. It is not an error if the
// process has ended already.
func Stop(ctx context.Context, client kubernetes.Interface, streams stream.Client, c stream.Container) error {
	limited, cancel := context.WithTimeout(ctx, cleanUpTimeout)
	defer cancel()
	err := stopSurely(limited, func(ctx context.Context) error { return agent.StopIdler(ctx, streams, c) },
		func(ctx context.Context) bool { return isOver(ctx, client, c) })
	if err != nil {
		return fmt.Errorf("end container %s in pod/%s: %w", c.Name, c.Pod, Interrupted(ctx, err))
	}
	return nil
}

// isOver reports whether a container is not running, according to the pod's status, or its pod is gone. A
// container that has not started yet ends soon after it does, because no client tells it to stay.
func isOver(ctx context.Context, client kubernetes.Interface, c stream.Container) bool {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	pod, err := client.CoreV1().Pods(c.Namespace).Get(ctx, c.Pod, metav1.GetOptions{})
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	status := containers.Status(pod, c.Name)
	return status == nil || status.State.Running == nil
}
