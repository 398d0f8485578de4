package inventory

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// FuzzSessions: whatever the annotations of a clone and of a lease say, each session has the name, the pod
// and the container of its own objects, and no other session's.
func FuzzSessions(f *testing.F) {
	for _, said := range []string{"", "api-eshell-aaaaa", "payments-db-0", "--all", "a\nb", "\x1b[2J", "clone", "debug", "detached",
		"9999999999999999999", "-1"} {
		f.Add(said, said, said, said, true)
		f.Add("debug", said, "postgres", said, false)
	}
	f.Fuzz(func(t *testing.T, mode, pod, container, other string, isLeased bool) {
		say := func(annotations map[string]string) {
			annotations[owned.ModeAnnotation], annotations[owned.PodAnnotation] = mode, pod
			annotations[owned.ContainerAnnotation], annotations[owned.KeptAnnotation] = container, other
			annotations[owned.UserAnnotation], annotations[owned.TTLAnnotation] = other, other
			annotations[owned.SourceKindAnnotation], annotations[owned.SourceNameAnnotation] = other, pod
		}
		one := clone("aaaaa", func(p *corev1.Pod) {
			if isLeased {
				leased(p)
			}
			say(p.Annotations)
		})
		job := theLease("aaaaa", func(j *batchv1.Job) { say(j.Annotations) })
		i := &Inventory{podsRead: true, leasesRead: true}
		sessions := i.join([]corev1.Pod{*one}, []batchv1.Job{*job})
		isLeased = isLeased && mode != modeDebug && (pod == "" || pod == one.Name)
		want := 2
		if isLeased {
			want = 1
		}
		if len(sessions) != want {
			t.Fatalf("%d sessions, want %d", len(sessions), want)
		}
		for _, s := range sessions {
			switch {
			case s.pod != nil && (s.Name != one.Name || s.Pod != one.Name || s.Mode != modeClone ||
				s.Container != "app" && s.Container != "sidecar" || isLeased != (s.Lease == job.Name)):
				t.Errorf("the clone is %+v", s)
			case s.pod == nil && (s.Name != job.Name || s.Lease != job.Name || s.Container != "" &&
				s.Container != owned.ContainerName("aaaaa")):
				t.Errorf("the lease alone is %+v", s)
			}
		}
	})
}
