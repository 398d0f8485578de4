package lease

import (
	"context"
	"errors"
	"maps"
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

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

var jobs = schema.GroupResource{Group: "batch", Resource: "jobs"}

func terms(change ...func(*Terms)) Terms {
	t := Terms{Namespace: "shop", Session: "x7k2p", Length: 2 * time.Minute, TTL: 8 * time.Hour,
		Annotations: map[string]string{"why": "incident 12"}}
	for _, c := range change {
		c(&t)
	}
	return t
}

func ttl(d time.Duration) func(*Terms) { return func(t *Terms) { t.TTL = d } }

func length(d time.Duration) func(*Terms) { return func(t *Terms) { t.Length = d } }

func fixed(t *Terms) { t.Fixed = true }

// server is a cluster that gives its Jobs a UID and, on their way in, changes them.
func server(change ...func(*batchv1.Job)) *fake.Clientset {
	client := fake.NewClientset()
	client.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		job := action.(clienttesting.CreateAction).GetObject().(*batchv1.Job)
		job.UID = "uid-1"
		for _, c := range change {
			c(job)
		}
		return false, nil, nil // goes on to the tracker
	})
	return client
}

func take(t *testing.T, client *fake.Clientset, change ...func(*Terms)) *Lease {
	t.Helper()
	l, err := Take(t.Context(), client, terms(change...))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// theJob is the lease's Job, or nil.
func theJob(t *testing.T, client *fake.Clientset) *batchv1.Job {
	t.Helper()
	list, err := client.BatchV1().Jobs("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) > 1 {
		t.Fatalf("%d jobs, %v", len(list.Items), err)
	}
	if len(list.Items) == 0 {
		return nil
	}
	return &list.Items[0]
}

func update(t *testing.T, client *fake.Clientset, change func(*batchv1.Job)) {
	t.Helper()
	job := theJob(t, client)
	change(job)
	if _, err := client.BatchV1().Jobs("shop").Update(t.Context(), job, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestTake(t *testing.T) {
	tests := []struct {
		name     string
		terms    Terms
		deadline int64
		ttl      string
	}{
		{"as it is by default", terms(), 121, "28800"},
		{"a TTL shorter than the lease", terms(ttl(30 * time.Second)), 31, "30"},
		{"part of a second", terms(length(20*time.Second + time.Millisecond)), 22, "28800"},
		{"that cannot be renewed", terms(fixed), 28801, "28800"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := server()
			l, err := Take(t.Context(), client, tt.terms)
			if err != nil {
				t.Fatal(err)
			}
			job := theJob(t, client)
			if l.Name != "eshell-x7k2p" || l.UID != "uid-1" || job.Name != l.Name {
				t.Errorf("lease %s with UID %s, job/%s", l.Name, l.UID, job.Name)
			}
			if got := *job.Spec.ActiveDeadlineSeconds; got != tt.deadline {
				t.Errorf("deadline %d, want %d", got, tt.deadline)
			}
			if want := map[string]string{"why": "incident 12",
				owned.TTLAnnotation: tt.ttl}; !maps.Equal(job.Annotations, want) {
				t.Errorf("annotations %v, want %v", job.Annotations, want)
			}
			if !maps.Equal(job.Labels, owned.Labels("x7k2p")) {
				t.Errorf("labels %v", job.Labels)
			}
			if why := endless(&job.Spec); why != "" {
				t.Errorf("as it was asked for: %s", why)
			}
		})
	}
}

// What a queue or a webhook makes of the Job can keep it from ending: it is given back then.
func TestTakeRefusesAJobThatWouldNotEnd(t *testing.T) {
	tests := []struct {
		name   string
		change func(*batchv1.Job)
		want   string
	}{
		{"suspended", func(j *batchv1.Job) { j.Spec.Suspend = new(true) }, "it was suspended"},
		{"without a deadline", func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = nil },
			"its deadline was taken away"},
		{"that stays", func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = nil },
			"its deadline was taken away"},
		{"that runs", func(j *batchv1.Job) { j.Spec.Parallelism = new(int32(1)) }, "it was told to run pods"},
		{"of another controller",
			func(j *batchv1.Job) { j.Spec.ManagedBy = new("kueue.x-k8s.io/multikueue") },
			"it was given to kueue.x-k8s.io/multikueue"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := server(tt.change)
			l, err := Take(t.Context(), client, terms())
			if want := "job/eshell-x7k2p would never end: on arrival " + tt.want; err == nil ||
				err.Error() != want || l != nil {
				t.Errorf("lease %v, error %v; want %s", l, err, want)
			}
			if job := theJob(t, client); job != nil {
				t.Errorf("job/%s is left", job.Name)
			}
		})
	}
}

func TestTakeKeepsTheServersError(t *testing.T) {
	client, refusal := fake.NewClientset(), apierrors.NewForbidden(jobs, "eshell-x7k2p", errors.New("no"))
	client.PrependReactor("create", "jobs",
		func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refusal })
	if l, err := Take(t.Context(), client, terms()); l != nil || !errors.Is(err, refusal) {
		t.Errorf("lease %v, error %v; want %v", l, err, refusal)
	}
}

func TestRenew(t *testing.T) {
	tests := []struct {
		name            string
		terms           []func(*Terms)
		after           time.Duration
		deadline        int64 // in seconds from the start
		unrenewed, most time.Duration
	}{
		{"at once", nil, 0, 121, 2 * time.Minute, 8 * time.Hour},
		{"later", nil, time.Minute, 181, 2 * time.Minute, 8*time.Hour - time.Minute},
		{"in part of a second", nil, 1500 * time.Millisecond, 123, 2 * time.Minute,
			8*time.Hour - 1500*time.Millisecond},
		{"near its TTL", []func(*Terms){ttl(150 * time.Second)}, time.Minute, 151, 90 * time.Second,
			90 * time.Second},
		{"with a TTL shorter than the lease", []func(*Terms){ttl(time.Minute)}, 20 * time.Second, 61,
			40 * time.Second, 40 * time.Second},
		{"that cannot be renewed", []func(*Terms){fixed}, time.Minute, 28801, 8*time.Hour - time.Minute,
			8*time.Hour - time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := server()
				l := take(t, client, tt.terms...)
				<-time.After(tt.after)
				if err := l.Renew(t.Context(),
					map[string]string{owned.PodAnnotation: "api-eshell-x7k2p"}); err != nil {
					t.Fatal(err)
				}
				job := theJob(t, client)
				if got := *job.Spec.ActiveDeadlineSeconds; got != tt.deadline {
					t.Errorf("deadline %d, want %d", got, tt.deadline)
				}
				if pod := job.Annotations[owned.PodAnnotation]; pod != "api-eshell-x7k2p" && !l.fixed {
					t.Errorf("it does not say the pod: %v", job.Annotations)
				}
				if unrenewed, most := l.Left(); unrenewed != tt.unrenewed || most != tt.most {
					t.Errorf("left %s, at most %s; want %s, %s", unrenewed, most, tt.unrenewed, tt.most)
				}
			})
		})
	}
}

// Others may extend a session: its client follows.
func TestRenewFollowsTheTTL(t *testing.T) {
	for value, want := range map[string]time.Duration{"36000": 10 * time.Hour, "soon": 8 * time.Hour,
		"": 8 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			client := server()
			l := take(t, client)
			update(t, client, func(j *batchv1.Job) { j.Annotations[owned.TTLAnnotation] = value })
			if err := l.Renew(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if _, most := l.Left(); most != want {
				t.Errorf("TTL %q: at most %s, want %s", value, most, want)
			}
		})
	}
}

// TestAskForEnd: whoever renews a lease learns who ends the session.
func TestAskForEnd(t *testing.T) {
	client := server()
	l := take(t, client)
	if err := AskForEnd(t.Context(), client, theJob(t, client), "bob"); err != nil {
		t.Fatal(err)
	}
	err := l.Renew(t.Context(), nil)
	if want := "job/" + l.Name + ": bob has deleted the session"; !errors.Is(err, ErrLost) ||
		err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestAnnounceVisit: whoever renews a lease learns who attaches to the session.
func TestAnnounceVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := server()
		l := take(t, client)
		if err := AnnounceVisit(t.Context(), client, theJob(t, client), "bob"); err != nil {
			t.Fatal(err)
		}
		want := "bob " + time.Now().UTC().Format(time.RFC3339)
		if err := l.Renew(t.Context(), nil); err != nil || l.Visit() != want {
			t.Errorf("error %v, visit %q; want %q", err, l.Visit(), want)
		}
	})
}

// A computer that was suspended has a clock that stood still: the server's did not.
func TestSuspendedComputer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := server()
		l := take(t, client)
		l.taken = time.Now().Round(0).Add(-time.Minute) // without Go's own clock's reading
		if unrenewed, _ := l.Left(); unrenewed != time.Minute {
			t.Errorf("left %s, want 1m", unrenewed)
		}
		if err := l.Renew(t.Context(), nil); err != nil || *theJob(t,
			client).Spec.ActiveDeadlineSeconds != 181 {
			t.Errorf("error %v, deadline %d; want 181", err, *theJob(t, client).Spec.ActiveDeadlineSeconds)
		}
	})
}

func TestRenewFails(t *testing.T) {
	failed := func(kind batchv1.JobConditionType) func(*testing.T, *fake.Clientset) {
		return func(t *testing.T, client *fake.Clientset) {
			update(t, client, func(j *batchv1.Job) {
				j.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue}}
			})
		}
	}
	answers := func(err error) func(*testing.T, *fake.Clientset) {
		return func(_ *testing.T, client *fake.Clientset) {
			client.PrependReactor("patch", "jobs",
				func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
		}
	}
	const lost = "job/eshell-x7k2p: it was deleted by somebody else, or not renewed in time"
	tests := []struct {
		name string
		what func(*testing.T, *fake.Clientset)
		lost bool
		want string
	}{
		{"deleted", func(t *testing.T, client *fake.Clientset) {
			if err := client.BatchV1().Jobs("shop").Delete(t.Context(), "eshell-x7k2p",
				metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, true, lost},
		{"being deleted", func(t *testing.T, client *fake.Clientset) {
			update(t, client, func(j *batchv1.Job) {
				j.DeletionTimestamp, j.Finalizers = new(metav1.Now()), []string{"example.com/wait"}
			})
		}, true, lost},
		{"failed", failed(batchv1.JobFailed), true, lost},
		{"about to fail", failed(batchv1.JobFailureTarget), true, lost},
		{"the server is away", answers(errors.New("connection refused")), false,
			"job/eshell-x7k2p: connection refused"},
		{"the server is busy", answers(apierrors.NewConflict(jobs, "eshell-x7k2p", errors.New("modified"))),
			false,
			`job/eshell-x7k2p: Operation cannot be fulfilled on jobs.batch "eshell-x7k2p": modified`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := server()
				l := take(t, client)
				tt.what(t, client)
				<-time.After(time.Minute)
				err := l.Renew(t.Context(), nil)
				if err == nil || err.Error() != tt.want || errors.Is(err, ErrLost) != tt.lost {
					t.Errorf("error %v, lost %t; want %s, %t", err, errors.Is(err, ErrLost), tt.want, tt.lost)
				}
				if unrenewed, _ := l.Left(); unrenewed != time.Minute {
					t.Errorf("left %s as if it were renewed", unrenewed)
				}
			})
		})
	}
}

// Whoever may not delete a lease makes it run out, if they may.
func TestRelease(t *testing.T) {
	no := errors.New("no")
	refusal := apierrors.NewForbidden(jobs, "eshell-x7k2p", no)
	tests := []struct {
		name          string
		delete, patch error
		want          error
		left          bool
		deadline      int64
	}{
		{"deleted", nil, nil, nil, false, 0},
		{"gone already", apierrors.NewNotFound(jobs, "x"), nil, nil, true, 121},
		{"another has its name", apierrors.NewConflict(jobs, "x", no), nil, nil, true, 121},
		{"may not be deleted", refusal, nil, nil, true, 1},
		{"may not be deleted, and is gone", refusal, apierrors.NewNotFound(jobs, "x"), nil, true, 121},
		{"may be neither deleted nor patched", refusal, apierrors.NewForbidden(jobs, "x", no), refusal, true,
			121},
		{"no answer", no, nil, no, true, 121},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := server()
			l := take(t, client)
			for verb, err := range map[string]error{"delete": tt.delete, "patch": tt.patch} {
				client.PrependReactor(verb, "jobs",
					func(clienttesting.Action) (bool, runtime.Object, error) { return err != nil, nil, err })
			}
			if err := l.Release(context.WithoutCancel(t.Context())); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			job := theJob(t, client)
			if (job != nil) != tt.left || job != nil && *job.Spec.ActiveDeadlineSeconds != tt.deadline {
				t.Errorf("job %+v; left: want %t, with a deadline of %d", job, tt.left, tt.deadline)
			}
		})
	}
}

// The lease's delete takes the pod along, and no other Job that might have its name by now.
func TestReleaseIsExact(t *testing.T) {
	client := server()
	if err := take(t, client).Release(t.Context()); err != nil || theJob(t, client) != nil {
		t.Fatalf("error %v, job %v", err, theJob(t, client))
	}
	for _, action := range client.Actions() {
		if action, ok := action.(clienttesting.DeleteAction); ok {
			o := action.GetDeleteOptions()
			if *o.Preconditions.UID != "uid-1" || *o.PropagationPolicy != metav1.DeletePropagationBackground {
				t.Errorf("delete options %+v", o)
			}
		}
	}
}

// A detached lease lives for its TTL, whatever that is by then, and says so.
func TestDetach(t *testing.T) {
	tests := []struct {
		name     string
		terms    []func(*Terms)
		extended string // by somebody else, since the last renewal
		deadline int64
		most     time.Duration
	}{
		{"as it is by default", nil, "", 28801, 8*time.Hour - time.Minute},
		{"shorter than its length", []func(*Terms){ttl(90 * time.Second)}, "", 91, 30 * time.Second},
		{"extended meanwhile", nil, "36000", 36001, 10*time.Hour - time.Minute},
		{"that could not be renewed anyway", []func(*Terms){fixed}, "", 28801, 8*time.Hour - time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := server()
				l := take(t, client, tt.terms...)
				<-time.After(time.Minute)
				if tt.extended != "" {
					update(t, client, func(
						j *batchv1.Job) {
						j.Annotations[owned.TTLAnnotation] = tt.extended
					})
				}
				if err := l.Detach(t.Context(),
					map[string]string{owned.PodAnnotation: "api-eshell-x7k2p"}); err != nil {
					t.Fatal(err)
				}
				job := theJob(t, client)
				if got := *job.Spec.ActiveDeadlineSeconds; got != tt.deadline {
					t.Errorf("deadline %d, want %d", got, tt.deadline)
				}
				if !l.fixed && (job.Annotations[owned.KeptAnnotation] != owned.Detached ||
					job.Annotations[owned.PodAnnotation] != "api-eshell-x7k2p") {
					t.Errorf("it says %v", job.Annotations)
				}
				if unrenewed, most := l.Left(); unrenewed != tt.most || most != tt.most {
					t.Errorf("left %s, at most %s; want %s", unrenewed, most, tt.most)
				}
			})
		})
	}
}

// Who does not renew a lease, or only looks on, follows it: its time and its end.
func TestFollow(t *testing.T) {
	holds := map[string]func(*testing.T, *fake.Clientset) *Lease{
		"fixed": func(t *testing.T, client *fake.Clientset) *Lease { return take(t, client, fixed) },
		"of somebody else": func(t *testing.T, client *fake.Clientset) *Lease {
			take(t, client)
			update(t, client, func(j *batchv1.Job) { j.CreationTimestamp = metav1.Now() })
			return Follow(client, theJob(t, client))
		},
	}
	tests := []struct {
		name string
		what func(*testing.T, *fake.Clientset)
		most time.Duration // after a minute
		want error
	}{
		{"as it was", func(*testing.T, *fake.Clientset) {}, 8*time.Hour - time.Minute, nil},
		{"extended", func(t *testing.T, client *fake.Clientset) {
			update(t, client, func(j *batchv1.Job) { j.Annotations[owned.TTLAnnotation] = "36000" })
		}, 10*time.Hour - time.Minute, nil},
		{"unseen", func(_ *testing.T, client *fake.Clientset) {
			client.PrependReactor("get", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(jobs, "x", errors.New("no"))
			})
		}, 8*time.Hour - time.Minute, nil},
		{"another's by now", func(t *testing.T, client *fake.Clientset) {
			update(t, client, func(j *batchv1.Job) { j.UID = "uid-2" })
		}, 8*time.Hour - time.Minute, ErrLost},
		{"deleted", func(t *testing.T, client *fake.Clientset) {
			if err := client.BatchV1().Jobs("shop").Delete(t.Context(), "eshell-x7k2p",
				metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, 8*time.Hour - time.Minute, ErrLost},
	}
	for whose, hold := range holds {
		for _, tt := range tests {
			t.Run(whose+", "+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client := server()
					l := hold(t, client)
					tt.what(t, client)
					<-time.After(time.Minute)
					if err := l.Renew(t.Context(), nil); !errors.Is(err, tt.want) {
						t.Errorf("error %v, want %v", err, tt.want)
					}
					if unrenewed, most := l.Left(); unrenewed != tt.most || most != tt.most {
						t.Errorf("left %s, at most %s; want %s", unrenewed, most, tt.most)
					}
				})
			})
		}
	}
}

// Who only looks on gives nothing up.
func TestReleaseOfAnothers(t *testing.T) {
	client := server()
	take(t, client)
	if err := Follow(client, theJob(t, client)).Release(t.Context()); err != nil || theJob(t, client) == nil {
		t.Errorf("error %v, job %v", err, theJob(t, client))
	}
}
