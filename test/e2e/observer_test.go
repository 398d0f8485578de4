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

// caseVariable marks each process of a session, wherever it is started: all have it in their
// environment, and the containers' processes are this machine's. No client has it in its own.
const caseVariable = "ESHELL_CASE"

// interval is how often the observer looks.
const interval = time.Second

// observer sees the pods, Jobs and processes of all sessions in a namespace, and how the application
// does: its pods have the label steady=yes.
type observer struct {
	client    kubernetes.Interface
	namespace string

	mu         sync.Mutex
	latest     snapshot
	changed    chan struct{}     // closed and renewed at each snapshot
	steady     map[string]string // the state of each pod of the application when it was first ready
	mostClones int               // in any snapshot
}

// snapshot is what there was at one moment.
type snapshot struct {
	at        time.Time // when looking began
	pods      map[string]*corev1.Pod
	jobs      map[string]string   // their status
	processes map[string][]string // of each case, as PID and command line
}

// observe looks until the test has ended.
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

// untilCleanedUp runs f beside the test until what was made after it has been cleaned up: the test's own
// context ends before that.
func untilCleanedUp(t *testing.T, f func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// protobufClient costs both ends little: it asks all the time.
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

// readProcesses reads the environments of all processes. Those that end meanwhile have none.
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

// state is what must not change of an application's pod.
func state(pod *corev1.Pod) string {
	all := "pod " + string(pod.UID)
	for _, c := range pod.Status.ContainerStatuses {
		all += fmt.Sprintf(", %s is %s, restarted %d times", c.Name, c.ContainerID, c.RestartCount)
	}
	return all
}

// until waits for a snapshot that was begun after now and in which it is so, and reports whether there was
// one within the limit.
func (o *observer) until(limit time.Duration, is func(snapshot) bool) bool {
	deadline := time.Now().Add(limit)
	return o.untilDeadline(func(snapshot) time.Time { return deadline }, is)
}

// untilDeadline is until with a deadline that depends on what is seen. What is first seen after it counts:
// the observer itself may be late.
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

// peak is how many clones there were at once.
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

// disturbances are the ways in which the application is not what it was.
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

// find is the session of a case, by the variable that its container has.
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

// status is that of the session's container, nil while there is none.
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

// startedAt is when the session's container started; zero: it has not, or it is gone.
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

// left is what there is of a session: its lease, its clone or its debug container, and processes. A debug
// container that has not started yet is left too, unless its image does not exist: it is about to start.
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

// willRun reports a debug container that runs, or that is about to start.
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
