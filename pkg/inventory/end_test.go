package inventory

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// only returns the one session that there is.
func only(t *testing.T, client *fake.Clientset) (*Inventory, Session) {
	t.Helper()
	found := read(t, client)
	if len(found.Sessions) != 1 {
		t.Fatalf("%d sessions", len(found.Sessions))
	}
	return found, found.Sessions[0]
}

// deletes are the objects that were asked to be deleted, each with its UID.
func deletes(client *fake.Clientset) []string {
	var all []string
	for _, action := range client.Actions() {
		if d, ok := action.(clienttesting.DeleteAction); ok {
			all = append(all, d.GetResource().Resource+"/"+d.GetName()+" "+
				string(*d.GetDeleteOptions().Preconditions.UID))
		}
	}
	slices.Sort(all)
	return all
}

func TestEnd(t *testing.T) {
	pod, job := "pods/api-eshell-x7k2p pod-uid", "jobs/eshell-x7k2p job-uid"
	other := apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "api-eshell-x7k2p",
		errors.New("another UID"))
	tests := []struct {
		name       string
		objects    []runtime.Object
		pods, jobs error
		want       []string
		err        string
	}{
		{"a clone", []runtime.Object{clone("x7k2p", leased), theLease("x7k2p")}, nil, nil, []string{job, pod},
			""},
		{"a clone without a lease", []runtime.Object{clone("x7k2p")}, nil, nil, []string{pod}, ""},
		{"a debug session", []runtime.Object{theLease("x7k2p", debug)}, nil, nil, []string{job}, ""},
		{"one whose name another has by now", []runtime.Object{clone("x7k2p")}, other, nil, []string{pod},
			""},
		{"a pod that stays", []runtime.Object{clone("x7k2p")}, forbidden("pods"), nil, []string{pod},
			"delete pod/api-eshell-x7k2p: pods is forbidden: no"},
		{"a lease that stays", []runtime.Object{theLease("x7k2p", debug)}, nil, forbidden("jobs"),
			[]string{job}, "delete job/eshell-x7k2p: jobs is forbidden: no"},
		{"a pod that goes with its lease", []runtime.Object{clone("x7k2p", leased), theLease("x7k2p")},
			forbidden("pods"), nil, []string{job, pod}, ""},
		{"both stay", []runtime.Object{clone("x7k2p", leased), theLease("x7k2p")}, forbidden("pods"),
			forbidden("jobs"), []string{job, pod},
			"delete pod/api-eshell-x7k2p: pods is forbidden: no\ndelete job/eshell-x7k2p: jobs is forbidden: no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(tt.objects...)
			_, session := only(t, client)
			if tt.pods != nil {
				failing(client, "delete", "pods", tt.pods)
			}
			if tt.jobs != nil {
				failing(client, "delete", "jobs", tt.jobs)
			}
			err := End(t.Context(), client, session, "")
			if got := deletes(client); !slices.Equal(got, tt.want) {
				t.Errorf("deleted %q, want %q", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// TestEndLeavesWord: a client that was heard lately learns from its lease who ends its session, and has time
// to do so. Then what is left is deleted all the same.
func TestEndLeavesWord(t *testing.T) {
	pod, job := "pods/api-eshell-x7k2p pod-uid", "jobs/eshell-x7k2p job-uid"
	for _, tt := range []struct {
		name  string
		mode  []func(*batchv1.Job)
		heard time.Duration // ago
		takes time.Duration // the client, to release its lease; 0: it does not
		want  []string
		after time.Duration
		word  bool
	}{
		{"a clone", nil, time.Second, time.Second, []string{job, pod}, time.Second, true},
		{"a clone, whose client hangs", nil, time.Second, 0, []string{job, pod}, noticeTime, true},
		{"a debug session", []func(*batchv1.Job){debug}, time.Second, 14 * time.Second, []string{job},
			14 * time.Second, true},
		{"a client that has gone", nil, time.Hour, 0, []string{job, pod}, 0, false},
		{"one that nobody keeps", []func(*batchv1.Job){says(owned.KeptAnnotation, owned.Fixed)}, time.Second, 0,
			[]string{job, pod}, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			kept := theLease("x7k2p", tt.mode...)
			heard := metav1.NewTime(time.Now().Add(-tt.heard))
			kept.ManagedFields = []metav1.ManagedFieldsEntry{{Time: &heard}}
			objects := []runtime.Object{kept}
			if len(tt.mode) == 0 || tt.want[len(tt.want)-1] == pod {
				objects = append(objects, clone("x7k2p", leased))
			}
			client := cluster(objects...)
			_, session := only(t, client)
			if tt.takes > 0 {
				time.AfterFunc(tt.takes-time.Millisecond, func() {
					uid := kept.UID
					_ = client.BatchV1().Jobs("shop").Delete(t.Context(), kept.Name,
						metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
				})
			}
			began := time.Now()
			err := End(t.Context(), client, session, "bob")
			if took := time.Since(began); err != nil || took != tt.after {
				t.Errorf("%s: error %v after %s", tt.name, err, took)
			}
			got := deletes(client)
			if !slices.Equal(slices.Compact(got), slices.Compact(tt.want)) {
				t.Errorf("%s: deleted %q, want %q", tt.name, got, tt.want)
			}
			word := slices.ContainsFunc(client.Actions(), func(a clienttesting.Action) bool {
				p, is := a.(clienttesting.PatchAction)
				return is && strings.Contains(string(p.GetPatch()), owned.EndedByAnnotation+`":"bob"`)
			})
			if word != tt.word {
				t.Errorf("%s: word was left: %t", tt.name, word)
			}
		})
	}
}

// A living session is never removed.
func TestUnneeded(t *testing.T) {
	unowned := func(p *corev1.Pod) { p.OwnerReferences = nil }
	gone, ended, outlived := "its lease is gone", "it has ended", "its time is over"
	tests := []struct {
		name    string
		objects []runtime.Object
		after   time.Duration
		want    string
	}{
		{"a clone and its lease", []runtime.Object{clone("x7k2p", leased), theLease("x7k2p")}, 9 * time.Hour,
			""},
		{"an ended clone, whose lease lives",
			[]runtime.Object{clone("x7k2p", leased, phase(corev1.PodSucceeded)), theLease("x7k2p")},
			time.Hour, ""},
		{"a debug session", []runtime.Object{theLease("x7k2p", debug)}, 9 * time.Hour, ""},
		{"a lease that was just taken", []runtime.Object{theLease("x7k2p", says(owned.PodAnnotation, ""))}, 0,
			""},
		{"a lease that has failed",
			[]runtime.Object{clone("x7k2p", leased), theLease("x7k2p", condition(batchv1.JobFailed))}, 0,
			"its lease has ended"},
		{"a lease that is about to",
			[]runtime.Object{theLease("x7k2p", debug, condition(batchv1.JobFailureTarget))}, 0,
			"its lease has ended"},
		{"a clone whose lease is gone", []runtime.Object{clone("x7k2p", leased)}, 0, gone},
		{"an ended clone whose lease is gone",
			[]runtime.Object{clone("x7k2p", leased, phase(corev1.PodFailed))}, 0, gone},
		{"a clone that is being deleted", []runtime.Object{clone("x7k2p", leased, deleted)}, 0, ""},
		{"a clone without a lease", []runtime.Object{clone("x7k2p")}, 8 * time.Hour, ""},
		{"one that waits for a node", []runtime.Object{clone("x7k2p", phase(corev1.PodPending))},
			7 * time.Hour, ""},
		{"one that no node took", []runtime.Object{clone("x7k2p", phase(corev1.PodPending))}, 8 * time.Hour,
			outlived},
		{"one past its deadline", []runtime.Object{clone("x7k2p")}, 8*time.Hour + time.Minute, outlived},
		{"one that has ended", []runtime.Object{clone("x7k2p", phase(corev1.PodSucceeded))}, 0, ended},
		{"a detached clone and its lease",
			[]runtime.Object{clone("x7k2p", leased, alone),
				theLease("x7k2p", says(owned.KeptAnnotation, owned.Detached))}, 9 * time.Hour, ""},
		{"one that has ended, whose log may be wanted",
			[]runtime.Object{clone("x7k2p", leased, alone, phase(corev1.PodSucceeded)),
				theLease("x7k2p", says(owned.KeptAnnotation, owned.Detached))}, time.Hour, ""},
		{"a detached clone without a lease", []runtime.Object{clone("x7k2p", alone)}, 8 * time.Hour, ""},
		{"one that has ended", []runtime.Object{clone("x7k2p", alone, phase(corev1.PodSucceeded))}, 0, ended},
		{"a detached clone whose lease is gone", []runtime.Object{clone("x7k2p", leased, alone)}, 0, gone},
		{"a detached debug session",
			[]runtime.Object{theLease("x7k2p", debug, says(owned.KeptAnnotation, owned.Detached))},
			9 * time.Hour, ""},
		{"one whose lease has failed",
			[]runtime.Object{theLease("x7k2p", debug, says(owned.KeptAnnotation, owned.Detached),
				condition(batchv1.JobFailed))}, 0, "its lease has ended"},
		{"one that may live for ever", []runtime.Object{clone("x7k2p", leased, unowned)}, 900 * time.Hour,
			""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(tt.objects...)
			found, session := only(t, client)
			why, err := found.GarbageReason(t.Context(), client, session, then.Add(tt.after))
			if why != tt.want || err != nil {
				t.Errorf("unneeded because %q, %v; want %q", why, err, tt.want)
			}
		})
	}
}

// A clone looks orphaned when the leases were listed before its own was there, or may not be listed.
func TestNoOrphanWithoutProof(t *testing.T) {
	tests := []struct {
		name   string
		hidden error // how the list of leases fails; nil: it is from before the lease
		get    error
		want   string
		err    string
	}{
		{"listed before the lease was there", nil, nil, "", ""},
		{"leases may not be listed", forbidden("jobs"), nil, "", ""},
		{"the lease may not be read", nil, forbidden("jobs"), "",
			"pod/api-eshell-x7k2p: is its lease gone? jobs is forbidden: no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(clone("x7k2p", leased), theLease("x7k2p"))
			client.PrependReactor("list", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, &batchv1.JobList{}, tt.hidden
			})
			if tt.get != nil {
				failing(client, "get", "jobs", tt.get)
			}
			found, session := only(t, client)
			why, err := found.GarbageReason(t.Context(), client, session, then.Time)
			if why != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("unneeded because %q, %v; want %q, %q", why, err, tt.want, tt.err)
			}
		})
	}
}

func TestExtend(t *testing.T) {
	client := cluster(clone("x7k2p", leased), theLease("x7k2p"))
	_, session := only(t, client)
	conflicts := 2
	client.PrependReactor("patch", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		conflicts--
		return conflicts >= 0, nil,
			apierrors.NewConflict(schema.GroupResource{Resource: "jobs"}, "eshell-x7k2p",
				errors.New("changed"))
	})
	ends, err := Extend(t.Context(), client, session, 2*time.Hour)
	if err != nil || !ends.Equal(then.Add(3*time.Hour)) {
		t.Fatalf("it ends %s, %v; want 3 hours after %s", ends, err, then)
	}
	job, err := client.BatchV1().Jobs("shop").Get(t.Context(), "eshell-x7k2p", metav1.GetOptions{})
	if err != nil || job.Annotations[owned.TTLAnnotation] != "10800" ||
		job.Annotations[owned.ReasonAnnotation] != "incident 12" {
		t.Errorf("annotations %v, %v", job.Annotations, err)
	}
}

// The deadline of a lease that nobody renews is put off with its time; that of another is its client's.
func TestExtendPutsOff(t *testing.T) {
	for kept, want := range map[string]int64{"": 121, owned.Fixed: 10801, owned.Detached: 10801} {
		client := cluster(clone("x7k2p", leased),
			theLease("x7k2p", says(owned.KeptAnnotation, kept),
				func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = new(int64(121)) }))
		_, session := only(t, client)
		if _, err := Extend(t.Context(), client, session, 2*time.Hour); err != nil {
			t.Fatal(err)
		}
		job, err := client.BatchV1().Jobs("shop").Get(t.Context(), "eshell-x7k2p", metav1.GetOptions{})
		if err != nil || *job.Spec.ActiveDeadlineSeconds != want ||
			job.Annotations[owned.TTLAnnotation] != "10800" {
			t.Errorf("kept %q: deadline %d, want %d; annotations %v, %v", kept,
				*job.Spec.ActiveDeadlineSeconds, want, job.Annotations, err)
		}
	}
}

func TestExtendRefuses(t *testing.T) {
	tests := []struct {
		name    string
		objects []runtime.Object
		err     string
		hint    string
	}{
		{"no lease", []runtime.Object{clone("x7k2p")},
			"api-eshell-x7k2p has no lease: it ends at its pod's activeDeadlineSeconds, which cannot be raised",
			"open a new session with a longer time: kubectl eshell TYPE/NAME --ttl DURATION"},
		{"a detached debug session",
			[]runtime.Object{theLease("x7k2p", debug, says(owned.KeptAnnotation, owned.Detached))},
			"eshell-x7k2p cannot be extended: its container was given its time when it started",
			"open a new session with a longer time: kubectl eshell TYPE/NAME --mode debug --detach --ttl DURATION"},
		{"its lease is gone", []runtime.Object{clone("x7k2p", leased)},
			"the lease of api-eshell-x7k2p was not found, or you are not allowed to list it", ""},
		{"its lease has ended", []runtime.Object{theLease("x7k2p", debug, condition(batchv1.JobFailed))},
			"extend eshell-x7k2p: job/eshell-x7k2p has ended", ""},
		{"its lease says no time", []runtime.Object{theLease("x7k2p", debug, says(owned.TTLAnnotation, ""))},
			"extend eshell-x7k2p: job/eshell-x7k2p does not say how long it may live: annotation " +
				owned.TTLAnnotation, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := cluster(tt.objects...)
			_, session := only(t, client)
			_, err := Extend(t.Context(), client, session, time.Hour)
			if err == nil || err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error %v, hint %q; want %s, %q", err, hint.Of(err), tt.err, tt.hint)
			}
		})
	}
}
