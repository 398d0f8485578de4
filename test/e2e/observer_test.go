//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// caseVariable marks each process of a session, wherever it is started. All of them have it in their
// environment, and the containers' processes are processes of this machine. No client has it in its own
// environment.
const caseVariable = "eshell_case"

// interval is the time between two of the observer's snapshots.
const interval = time.Second

// observer observes the pods, Jobs and processes of all sessions in a namespace, and the state of the
// application. The application's pods have the label steady=yes.
type observer struct {
	client    kubernetes.Interface
	namespace string

	mu         sync.Mutex
	latest     snapshot
	changed    chan struct{}     // closed and replaced at each snapshot
	steady     map[string]string // the state of each of the application's pods when it was first ready
	mostClones int               // the largest number of clones in any snapshot
}

// snapshot is what existed at one moment.
type snapshot struct {
	at        time.Time // when reading it began
	pods      map[string]*corev1.Pod
	jobs      map[string]string   // their status
	processes map[string][]string // of each case, as PID and command line
}

// observe takes snapshots until the test has ended.
func observe(t *testing.T, namespace string) *observer {
	t.Helper()
	o := &observer{client: protobufClient(t), namespace: namespace, changed: make(chan struct{}),
		steady: map[string]string{}}
	untilCleanedUp(t, func(ctx context.Context) {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if s, err := o.look(ctx); err == nil { // an API server that is down shows nothing
				o.publish(s)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	return o
}

// untilCleanedUp runs f beside the test until everything that is created after this call has been cleaned up.
// The test's own context ends before that.
func untilCleanedUp(t *testing.T, f func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// protobufClient returns a client that costs both ends little, because the observer sends requests all the
// time.
func protobufClient(t *testing.T) kubernetes.Interface {
	t.Helper()
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	config.ContentType = runtime.ContentTypeProtobuf
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (o *observer) look(ctx context.Context) (snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*interval)
	defer cancel()
	s := snapshot{at: time.Now(), pods: map[string]*corev1.Pod{}, jobs: map[string]string{},
		processes: map[string][]string{}}
	pods, err := o.client.CoreV1().Pods(o.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return s, err
	}
	for i := range pods.Items {
		s.pods[pods.Items[i].Name] = &pods.Items[i]
	}
	jobs, err := o.client.BatchV1().Jobs(o.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return s, err
	}
	for _, job := range jobs.Items {
		s.jobs[job.Name] = inJSON(job.Status)
	}
	return s, s.readProcesses()
}

// readProcesses reads the environments of all processes. Processes that end meanwhile have none.
func (s snapshot) readProcesses() error {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		environment, _ := os.ReadFile(path)
		for variable := range bytes.SplitSeq(environment, []byte{0}) {
			if id, ok := bytes.CutPrefix(variable, []byte(caseVariable+"=")); ok {
				words, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
				line := fmt.Sprintf("%s: %q", filepath.Base(filepath.Dir(path)),
					bytes.ReplaceAll(words, []byte{0}, []byte(" ")))
				s.processes[string(id)] = append(s.processes[string(id)], line)
			}
		}
	}
	return err
}

func (o *observer) publish(s snapshot) {
	o.mu.Lock()
	defer o.mu.Unlock()
	clones := 0
	for name, pod := range s.pods {
		if pod.Labels[owned.SessionLabel] != "" {
			clones++
		}
		if pod.Labels["steady"] == "yes" && o.steady[name] == "" && podIsReady(pod) {
			o.steady[name] = state(pod)
		}
	}
	o.latest, o.mostClones = s, max(o.mostClones, clones)
	close(o.changed)
	o.changed = make(chan struct{})
}

func podIsReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// state returns what must not change in one of the application's pods.
func state(pod *corev1.Pod) string {
	all := "pod " + string(pod.UID)
	for _, c := range pod.Status.ContainerStatuses {
		all += fmt.Sprintf(", %s is %s, restarted %d times", c.Name, c.ContainerID, c.RestartCount)
	}
	return all
}

// until waits for a snapshot that was begun after the call and for which is returns true. It reports whether
// there was one within the limit.
func (o *observer) until(limit time.Duration, is func(snapshot) bool) bool {
	deadline := time.Now().Add(limit)
	return o.untilDeadline(func(snapshot) time.Time { return deadline }, is)
}

// untilDeadline is until with a deadline that depends on the snapshot. What is first seen after the deadline
// counts: the observer itself may be late.
func (o *observer) untilDeadline(deadline func(snapshot) time.Time, is func(snapshot) bool) bool {
	now, ticker := time.Now(), time.NewTicker(interval)
	defer ticker.Stop()
	for {
		s, changed := o.newest()
		switch over := deadline(s); {
		case s.at.After(now) && is(s):
			return true
		case s.at.After(now) && s.at.After(over), time.Since(over) > patience:
			return false
		}
		select {
		case <-changed:
		case <-ticker.C:
		}
	}
}

// peak returns the largest number of clones that existed at once.
func (o *observer) peak() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mostClones
}

func (o *observer) newest() (snapshot, chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.latest, o.changed
}

// disturbances returns the ways in which the application has changed.
func (o *observer) disturbances() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var changes []string
	for name, before := range o.steady {
		now := "gone"
		if pod := o.latest.pods[name]; pod != nil {
			now = state(pod)
		}
		if now != before {
			changes = append(changes, fmt.Sprintf("pod/%s: %s; was %s", name, now, before))
		}
	}
	return changes
}

// find returns the session of a case, which it finds by the variable in its container.
func (s snapshot) find(id string) (started, bool) {
	for name, pod := range s.pods {
		for _, c := range pod.Spec.Containers {
			if marked(c.Env, id) {
				return started{pod: name}, true
			}
		}
		for _, c := range pod.Spec.EphemeralContainers {
			if marked(c.Env, id) {
				return started{pod: name, container: c.Name}, true
			}
		}
	}
	return started{}, false
}

func marked(variables []corev1.EnvVar, id string) bool {
	return slices.Contains(variables, corev1.EnvVar{Name: caseVariable, Value: id})
}

// status returns the status of the session's container, or nil while there is none.
func (s snapshot) status(session started) *corev1.ContainerStatus {
	pod := s.pods[session.pod]
	if pod == nil {
		return nil
	}
	statuses := pod.Status.EphemeralContainerStatuses
	if session.container == "" {
		statuses = pod.Status.ContainerStatuses
	}
	for i := range statuses {
		if session.container == "" || statuses[i].Name == session.container {
			return &statuses[i]
		}
	}
	return nil
}

// startedAt returns when the session's container started. It is zero if the container has not started or is
// gone.
func (s snapshot) startedAt(session started) time.Time {
	switch status := s.status(session); {
	case status == nil:
		return time.Time{}
	case status.State.Running != nil:
		return status.State.Running.StartedAt.Time
	case status.State.Terminated != nil:
		return status.State.Terminated.StartedAt.Time
	}
	return time.Time{}
}

// left returns what is left of a session: its lease, its clone or its debug container, and processes. A debug
// container that has not started yet counts too, unless its image does not exist: it is about to start.
func (s snapshot) left(id string, session started) []string {
	left := slices.Clone(s.processes[id])
	if job, ok := s.jobs[strings.TrimPrefix(session.lease(), "job/")]; ok {
		left = append(left, session.lease()+":\n"+job)
	}
	pod := s.pods[session.pod]
	switch {
	case pod == nil:
	case session.container == "":
		left = append(left, "pod/"+session.pod+":\n"+inJSON(pod.Status))
	case s.willRun(session):
		left = append(left, "container "+session.container+":\n"+inJSON(s.status(session)))
	}
	return left
}

// noImage is the name of an image that does not exist.
const noImage = "registry.invalid/none:1"

// willRun reports whether a debug container is running or about to start.
func (s snapshot) willRun(session started) bool {
	if status := s.status(session); status != nil && status.State.Waiting == nil {
		return status.State.Running != nil
	}
	return slices.ContainsFunc(s.pods[session.pod].Spec.EphemeralContainers,
		func(c corev1.EphemeralContainer) bool {
			return c.Name == session.container && c.Image != noImage
		})
}

func inJSON(object any) string {
	text, err := json.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
