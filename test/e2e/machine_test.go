//go:build unix

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
)

// machine measures how long this machine needs, under its current load, for what Kubernetes does by itself:
// to start a plain pod, to start a plain debug container, to delete a plain pod. A session cannot be faster,
// so what is promised for a session may be late by that much.
type machine struct {
	*observer
	node string

	mu    sync.Mutex
	steps []step // the last one may still be in progress
}

// step is one measurement.
type step struct {
	what         string
	began, ended time.Time // ended is zero while it is in progress
}

// measurePause is the pause between two rounds, so that the measurements are not the load.
const measurePause = 5 * time.Second

// measure measures until the test has ended.
func measure(t *testing.T, o *observer) *machine {
	t.Helper()
	nodes, err := o.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) == 0 {
		t.Fatalf("no nodes: %v", err)
	}
	m := &machine{observer: o, node: nodes.Items[0].Name}
	untilCleanedUp(t, func(ctx context.Context) {
		for round := 0; ctx.Err() == nil; round++ {
			m.round(ctx, fmt.Sprintf("plain-%d", round))
			select {
			case <-time.After(measurePause):
			case <-ctx.Done():
			}
		}
	})
	return m
}

// round measures each step once. If the API server is down, as some faults require, the round ends.
func (m *machine) round(ctx context.Context, name string) {
	pods, session := m.client.CoreV1().Pods(m.namespace), started{pod: name}
	done := m.begin("start of a pod")
	pod, err := pods.Create(ctx, plainPod(name, m.node), metav1.CreateOptions{})
	defer func() { _ = pods.Delete(ctx, name, metav1.DeleteOptions{}) }() // if the round ends early
	if err != nil || !m.runs(session) {
		m.forget()
		return
	}
	done()
	done = m.begin("start of a debug container")
	session.container = "plain"
	if _, err := ephemeral.New(m.client, m.namespace).Add(ctx, pod,
		plainContainer(session.container)); err == nil && m.runs(session) {
		done()
	} else {
		m.forget()
	}
	done = m.begin(endOfPod)
	err = pods.Delete(ctx, name, metav1.DeleteOptions{})
	if err == nil && m.until(patience, func(s snapshot) bool { return s.pods[name] == nil }) {
		done()
	} else {
		m.forget()
	}
}

func (m *machine) runs(session started) bool {
	return m.until(patience, func(s snapshot) bool { return !s.startedAt(session).IsZero() })
}

// begin begins a step, and returns the function to call at its end.
func (m *machine) begin(what string) (done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	began := time.Now()
	m.steps = append(m.steps, step{what: what, began: began})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if last := len(m.steps) - 1; last >= 0 && m.steps[last].began.Equal(began) {
			m.steps[last].ended = time.Now()
		}
	}
}

// forget drops the step in progress: it has failed, or an outage has delayed it.
func (m *machine) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps = slices.DeleteFunc(m.steps, func(s step) bool { return s.ended.IsZero() })
}

// needs returns the longest time that a step has taken, of those in progress at any time after since. A step
// that is still in progress counts with its time so far.
func (m *machine) needs(since time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return longest(m.steps, since, time.Now())
}

// needsToEnd is needs for the end of a pod only.
func (m *machine) needsToEnd(since time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	ends := slices.DeleteFunc(slices.Clone(m.steps), func(s step) bool { return s.what != endOfPod })
	return longest(ends, since, time.Now())
}

// endOfPod is the only step that is not a start.
const endOfPod = "end of a pod"

func longest(steps []step, since, now time.Time) time.Duration {
	var most time.Duration
	for i, s := range steps {
		if s.ended.IsZero() {
			s.ended = now
		}
		// If no step has been in progress since then, the last one is the best estimate.
		if s.ended.After(since) || i == len(steps)-1 {
			most = max(most, s.ended.Sub(s.began))
		}
	}
	return most
}

// firstStart returns how long the first plain pod took to start.
func (m *machine) firstStart(t *testing.T) time.Duration {
	t.Helper()
	first := func() (took time.Duration) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.steps) == 0 || m.steps[0].ended.IsZero() {
			return 0
		}
		return m.steps[0].ended.Sub(m.steps[0].began)
	}
	if !m.until(patience, func(snapshot) bool { return first() > 0 }) {
		t.Fatal("a plain pod does not start")
	}
	return first()
}

// summary returns a line for each kind of step: how often it was measured, its median and its longest time.
func (m *machine) summary() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	took := map[string][]time.Duration{}
	for _, s := range m.steps {
		if !s.ended.IsZero() {
			took[s.what] = append(took[s.what], s.ended.Sub(s.began))
		}
	}
	return spread(took)
}

// spread returns a line for each kind of event: how often it was measured, its median and its longest time.
func spread(took map[string][]time.Duration) string {
	var text strings.Builder
	for _, what := range slices.Sorted(maps.Keys(took)) {
		if all := took[what]; len(all) > 0 {
			slices.Sort(all)
			fmt.Fprintf(&text, "  %s: %d times, median %.1f s, longest %.1f s\n", what, len(all),
				all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
		}
	}
	return text.String()
}

// plainPod returns a pod that reaches the kubelet without the scheduler: the node may be cordoned.
func plainPod(name, node string) *corev1.Pod {
	grace := int64(0)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeName: node, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "app", Image: "localhost/eshell/bash:1",
				Command: []string{"sleep", "86400"}}},
		},
	}
}

func plainContainer(name string) corev1.EphemeralContainer {
	return corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: name, Image: "localhost/eshell/bash:1", Command: []string{"sleep", "86400"},
	}}
}

// TestLongest checks that a limit is extended by what the machine took at that time, not by what it took
// before.
func TestLongest(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	steps := []step{{"start", at(0), at(30)}, {"end", at(30), at(32)}, {"start", at(40), at(45)},
		{"end", at(50), time.Time{}}}
	tests := []struct {
		name       string
		steps      []step
		since, now int
		want       time.Duration
	}{
		{"all of it", steps, 0, 51, 30 * time.Second},
		{"without the slow one before", steps, 31, 51, 5 * time.Second},
		{"one that goes on", steps, 46, 70, 20 * time.Second},
		{"none since: the last one", steps[:3], 60, 61, 5 * time.Second},
		{"none at all", nil, 0, 1, 0},
	}
	for _, tt := range tests {
		if got := longest(tt.steps, at(tt.since), at(tt.now)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
