// Package inventory manages what kubectl-eshell has in a cluster. It lists sessions, finds one, ends it,
// extends its life, and determines which sessions nobody needs any more.
package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/access"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// Inventory is what was found, at about one moment.
type Inventory struct {
	Namespace string    // empty for all namespaces
	Sessions  []Session // by namespace and name
	User      string    // the caller's name on the server; empty if it does not report it
	// Unread is the reason why pods or leases are missing: the caller is not allowed to list them.
	Unread error

	leasesRead, podsRead bool
}

// Read lists the leases and the clones of a namespace, or of all namespaces if it is empty, and asks who the
// caller is. It takes one round trip. Leases or clones that the caller is not allowed to list are left out.
// It is an error if the caller is allowed to list neither.
func Read(ctx context.Context, client kubernetes.Interface, namespace string) (*Inventory, error) {
	var pods []corev1.Pod
	var jobs []batchv1.Job
	var podsErr, jobsErr error
	i := &Inventory{Namespace: namespace}
	ours := listOurs()
	var asked sync.WaitGroup
	asked.Go(func() {
		var list *corev1.PodList
		if list, podsErr = client.CoreV1().Pods(namespace).List(ctx, ours); podsErr == nil {
			pods = list.Items
		}
	})
	asked.Go(func() {
		var list *batchv1.JobList
		if list, jobsErr = client.BatchV1().Jobs(namespace).List(ctx, ours); jobsErr == nil {
			jobs = list.Items
		}
	})
	asked.Go(func() { i.User = access.UserName(ctx, client) })
	asked.Wait()
	if err := i.take(pods, podsErr, jobs, jobsErr); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return i, nil
}

func listOurs() metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: owned.ManagedByLabel + "=" + owned.ManagedBy + "," +
		owned.SessionLabel}
}

// take makes sessions from what was read. If one of the two could not be read for lack of permission, it uses
// the other alone.
func (i *Inventory) take(pods []corev1.Pod, podsErr error, jobs []batchv1.Job, jobsErr error) error {
	i.podsRead, i.leasesRead = podsErr == nil, jobsErr == nil
	i.Unread = errors.Join(podsErr, jobsErr)
	if !readable(podsErr) || !readable(jobsErr) || podsErr != nil && jobsErr != nil {
		return i.Unread
	}
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return !isClone(&p) })
	jobs = slices.DeleteFunc(jobs, func(j batchv1.Job) bool { return !isLease(&j) })
	i.Sessions = i.join(pods, jobs)
	return nil
}

func readable(err error) bool { return err == nil || apierrors.IsForbidden(err) }

// isLease reports whether a Job is a lease. Labels can be added to any Job, but its name and its pod template
// cannot be changed. A Job that has a controller belongs to that.
func isLease(job *batchv1.Job) bool {
	return isOurs(job) && job.Name == owned.LeaseName(job.Labels[owned.SessionLabel]) &&
		lease.RunsNothing(job)
}

// isClone reports whether a pod is a clone. A readiness gate cannot be added to an existing pod.
func isClone(pod *corev1.Pod) bool {
	return isOurs(pod) && slices.ContainsFunc(pod.Spec.ReadinessGates, func(g corev1.PodReadinessGate) bool {
		return g.ConditionType == owned.NeverReady
	})
}

func isOurs(object metav1.Object) bool {
	labels := object.GetLabels()
	return metav1.GetControllerOf(object) == nil && labels[owned.ManagedByLabel] == owned.ManagedBy &&
		labels[owned.SessionLabel] != ""
}

// join makes a session from each clone with the lease that owns it, and from each lease that owns no clone.
// Only the UID in the owner reference pairs them: anybody can write labels and annotations. But anybody can
// also make a pod that refers to somebody else's lease. So a lease has no other clone than the one that it
// names, and until it names one, a single one. A lease of a debug session has none.
func (i *Inventory) join(pods []corev1.Pod, jobs []batchv1.Job) []Session {
	owners := map[types.UID]*batchv1.Job{}
	for n := range jobs {
		owners[jobs[n].UID] = &jobs[n]
	}
	clones := map[types.UID][]*corev1.Pod{}
	for n := range pods {
		if owner := leaseOwner(&pods[n]); owner != nil && mayOwn(owners[owner.UID], &pods[n]) {
			clones[owner.UID] = append(clones[owner.UID], &pods[n])
		}
	}
	sessions := []Session{}
	leased := map[types.UID]bool{} // clones, and leases with one
	for uid, pods := range clones {
		if len(pods) == 1 {
			sessions = append(sessions, i.session(pods[0], owners[uid]))
			leased[uid], leased[pods[0].UID] = true, true
		}
	}
	for n := range pods {
		if !leased[pods[n].UID] {
			sessions = append(sessions, i.session(&pods[n], nil))
		}
	}
	for n := range jobs {
		if !leased[jobs[n].UID] {
			sessions = append(sessions, i.session(nil, &jobs[n]))
		}
	}
	slices.SortFunc(sessions, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Lease, b.Lease))
	})
	return sessions
}

// mayOwn reports whether a clone that refers to a lease can be that lease's.
func mayOwn(job *batchv1.Job, pod *corev1.Pod) bool {
	if job == nil || job.Namespace != pod.Namespace || job.Annotations[owned.ModeAnnotation] == modeDebug {
		return false
	}
	named := job.Annotations[owned.PodAnnotation]
	return named == "" || named == pod.Name
}

// Own returns the caller's own sessions. If the server does not report who the caller is, there are none.
func (i *Inventory) Own() []Session {
	own := []Session{}
	for _, s := range i.Sessions {
		if i.User != "" && s.User == i.User {
			own = append(own, s)
		}
	}
	return own
}

// Find returns the session that has a name, whoever opened it. The name of its lease is also accepted.
func (i *Inventory) Find(name string) (Session, error) {
	bare, aPod, aJob := BareName(name), strings.HasPrefix(name, podPrefix), strings.HasPrefix(name, jobPrefix)
	var found []Session
	for _, s := range i.Sessions {
		if s.pod != nil && s.Pod == bare && !aJob || s.Lease == bare && !aPod {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return Session{}, hint.Wrap(fmt.Errorf("no session is called %s in namespace %s", name, i.Namespace),
			hint.Command("list sessions: kubectl eshell list --all-users -n %s", i.Namespace))
	case 1:
		return found[0], nil
	}
	return Session{}, hint.Wrap(fmt.Errorf("%d sessions are called %s in namespace %s", len(found), name,
		i.Namespace), hint.Command("say which one: %s or %s", podPrefix+bare, jobPrefix+bare))
}

// Unambiguous returns a session's name, with a prefix where another session answers to the name too.
func (i *Inventory) Unambiguous(s Session) string {
	for _, other := range i.Sessions {
		same := other.Namespace == s.Namespace && (other.Name == s.Name || other.Lease == s.Name)
		if itself := other.pod == s.pod && other.job == s.job; same && !itself {
			if s.pod != nil {
				return podPrefix + s.Name
			}
			return jobPrefix + s.Name
		}
	}
	return s.Name
}

// The prefixes of a session's name, as in kubectl.
const (
	podPrefix = "pod/"
	jobPrefix = "job/"
)

// BareName returns a session's name without its prefix.
func BareName(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, podPrefix), jobPrefix)
}

// Left returns how long the session may still live, and whether that is known. It is negative when the
// session's time is over.
func (s Session) Left(now time.Time) (time.Duration, bool) {
	if s.Ends == nil {
		return 0, false
	}
	return s.Ends.Sub(now), true
}

// RemainingOrYear returns how long the session may still live, or a year if that is not known.
func (s Session) RemainingOrYear(now time.Time) time.Duration {
	if left, known := s.Left(now); known {
		return left
	}
	return 365 * 24 * time.Hour
}

// Follow returns the session's lease for somebody who only observes it, or nil if there is none.
func (s Session) Follow(client kubernetes.Interface) *lease.Lease {
	if s.job == nil {
		return nil
	}
	return lease.Follow(client, s.job)
}

// Lookup is Read for the one session that has a name, without listing anything. It takes one round trip, and
// a second one for a clone that is named by its lease.
func Lookup(ctx context.Context, client kubernetes.Interface, namespace, name string) (*Inventory, error) {
	name = BareName(name)
	getClone := func(name string) ([]corev1.Pod, error) {
		return found(client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{}))
	}
	leaseName := owned.LeaseName(name[strings.LastIndex(name, "-")+1:]) // both names end in the session's id
	var pods []corev1.Pod
	var jobs []batchv1.Job
	var podsErr, jobsErr error
	i := &Inventory{Namespace: namespace}
	var asked sync.WaitGroup
	asked.Go(func() { pods, podsErr = getClone(name) })
	asked.Go(func() {
		jobs, jobsErr = found(client.BatchV1().Jobs(namespace).Get(ctx, leaseName, metav1.GetOptions{}))
	})
	asked.Go(func() { i.User = access.UserName(ctx, client) })
	asked.Wait()
	for _, job := range jobs { // one, or none
		clone := job.Annotations[owned.PodAnnotation]
		ofClone := isLease(&job) && job.Annotations[owned.ModeAnnotation] == modeClone
		if ofClone && clone != "" && clone != name {
			var named []corev1.Pod
			named, podsErr = getClone(clone)
			pods = append(pods, named...)
		}
	}
	if err := i.take(pods, podsErr, jobs, jobsErr); err != nil {
		return nil, fmt.Errorf("session %s: %w", name, err)
	}
	return i, nil
}

// found returns the result of a GET as a list, which is empty if there is nothing.
func found[T any](object *T, err error) ([]T, error) {
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []T{*object}, nil
}
