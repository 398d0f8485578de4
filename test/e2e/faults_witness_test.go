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
	"k8s.io/client-go/kubernetes"
)

// caseVariable marks each process of a trial's session, wherever it is started: all have it in their
// environment, and the containers' processes are this machine's. No client has it in its own.
const caseVariable = "ESHELL_CASE"

// glance is how often the witness looks.
const glance = time.Second

// watchman sees what is there of all the sessions in a namespace, and how the application does: its pods
// have the label steady=yes.
type watchman struct {
	client    kubernetes.Interface
	namespace string

	mu     sync.Mutex
	latest sight
	news   chan struct{}     // closed and renewed at each sight
	steady map[string]string // the state of each pod of the application when it was first ready
}

// sight is what there was at one moment.
type sight struct {
	at        time.Time // when looking began
	pods      map[string]*corev1.Pod
	jobs      map[string]string   // their status
	processes map[string][]string // of each case, as PID and command line
}

// watch looks until the test has ended.
func watch(t *testing.T, client kubernetes.Interface, namespace string) *watchman {
	w := &watchman{client: client, namespace: namespace, news: make(chan struct{}), steady: map[string]string{}}
	ctx, stop := context.WithCancel(context.Background()) // t's ends before what is cleaned up
	var looking sync.WaitGroup
	looking.Go(func() {
		ticker := time.NewTicker(glance)
		defer ticker.Stop()
		for ctx.Err() == nil {
			if seen, err := w.look(ctx); err == nil { // an API server that is down shows nothing
				w.tell(seen)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { stop(); looking.Wait() })
	return w
}

func (w *watchman) look(ctx context.Context) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*glance)
	defer cancel()
	seen := sight{at: time.Now(), pods: map[string]*corev1.Pod{}, jobs: map[string]string{}, processes: map[string][]string{}}
	pods, err := w.client.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return seen, err
	}
	for i := range pods.Items {
		seen.pods[pods.Items[i].Name] = &pods.Items[i]
	}
	jobs, err := w.client.BatchV1().Jobs(w.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return seen, err
	}
	for _, job := range jobs.Items {
		seen.jobs[job.Name] = inJSON(job.Status)
	}
	return seen, seen.scan()
}

// scan reads the environments of all processes. Those that end meanwhile have none.
func (s sight) scan() error {
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		environment, _ := os.ReadFile(path)
		for _, variable := range bytes.Split(environment, []byte{0}) {
			if id, ok := bytes.CutPrefix(variable, []byte(caseVariable+"=")); ok {
				words, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
				line := fmt.Sprintf("%s: %q", filepath.Base(filepath.Dir(path)), bytes.ReplaceAll(words, []byte{0}, []byte(" ")))
				s.processes[string(id)] = append(s.processes[string(id)], line)
			}
		}
	}
	return err
}

func (w *watchman) tell(seen sight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, pod := range seen.pods {
		if pod.Labels["steady"] == "yes" && w.steady[name] == "" && podIsReady(pod) {
			w.steady[name] = state(pod)
		}
	}
	w.latest = seen
	close(w.news)
	w.news = make(chan struct{})
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

// until waits for something to be seen after now, and reports whether it was within the limit.
func (w *watchman) until(limit time.Duration, is func(sight) bool) bool {
	now, late := time.Now(), time.After(limit)
	for {
		w.mu.Lock()
		seen, news := w.latest, w.news
		w.mu.Unlock()
		if seen.at.After(now) && is(seen) {
			return true
		}
		select {
		case <-news:
		case <-late:
			return false
		}
	}
}

// disturbed tells how the application is not what it was.
func (w *watchman) disturbed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var changes []string
	for name, before := range w.steady {
		now := "gone"
		if pod := w.latest.pods[name]; pod != nil {
			now = state(pod)
		}
		if now != before {
			changes = append(changes, fmt.Sprintf("pod/%s: %s; was %s", name, now, before))
		}
	}
	return changes
}

// find is the session of a case, by the variable that its container has.
func (s sight) find(id string) (started, bool) {
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

// left is what there is of a session: its lease, its clone, and processes.
func (s sight) left(id string, session started) []string {
	left := slices.Clone(s.processes[id])
	if job, ok := s.jobs[strings.TrimPrefix(session.lease(), "job/")]; ok {
		left = append(left, session.lease()+":\n"+job)
	}
	pod := s.pods[session.pod]
	switch {
	case pod == nil:
	case session.container == "":
		left = append(left, "pod/"+session.pod+":\n"+inJSON(pod.Status))
	default:
		for _, c := range pod.Status.EphemeralContainerStatuses {
			if c.Name == session.container && c.State.Running != nil {
				left = append(left, "container "+c.Name+":\n"+inJSON(c))
			}
		}
	}
	return left
}

func inJSON(object any) string {
	text, err := json.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
