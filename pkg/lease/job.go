package lease

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	typed "k8s.io/client-go/kubernetes/typed/batch/v1"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

func (t Terms) job() *batchv1.Job {
	annotations := owned.Terms(t.User, t.Reason, t.TTL)
	maps.Copy(annotations, t.Annotations)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: owned.LeaseName(t.Session), Namespace: t.Namespace, Labels: owned.Labels(t.Session),
			Annotations: annotations,
		},
		Spec: batchv1.JobSpec{
			Parallelism: new(int32(0)), BackoffLimit: new(int32(0)), TTLSecondsAfterFinished: new(int32(0)),
			ActiveDeadlineSeconds: new(Deadline(min(t.Length, t.TTL))),
			Template:              corev1.PodTemplateSpec{Spec: template()},
		},
	}
}

// endless returns what a queue (Kueue) or a webhook changed in the Job when it was created, if the Job would
// not end in time or would run because of that. Otherwise it returns "".
func endless(spec *batchv1.JobSpec) string {
	switch {
	case spec.Suspend != nil && *spec.Suspend:
		return "it was suspended"
	case spec.ActiveDeadlineSeconds == nil || spec.TTLSecondsAfterFinished == nil:
		return "its deadline was taken away"
	case spec.Parallelism == nil || *spec.Parallelism != 0:
		return "it was told to run pods"
	case spec.ManagedBy != nil && *spec.ManagedBy != batchv1.JobControllerName:
		return "it was given to " + *spec.ManagedBy
	}
	return ""
}

// template returns a pod spec that never runs. Policies judge it nevertheless, so it complies with Pod
// Security "restricted" and states its resources.
// https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
func template() corev1.PodSpec {
	least := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m"),
		corev1.ResourceMemory: resource.MustParse("1Mi")}
	return corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false),
		EnableServiceLinks: new(false),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: NeverRuns, Image: "registry.k8s.io/pause:3.10",
			Resources: corev1.ResourceRequirements{Requests: least, Limits: least},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
				RunAsNonRoot: new(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
}

// NeverRuns names the container of a lease's template.
const NeverRuns = "never-runs"

// RunsNothing reports whether a Job is made like a lease, which deletes nothing that runs when it is deleted.
// A Job's template cannot be changed.
func RunsNothing(job *batchv1.Job) bool {
	containers := job.Spec.Template.Spec.Containers
	return len(containers) == 1 && containers[0].Name == NeverRuns && job.Spec.Parallelism != nil &&
		*job.Spec.Parallelism == 0
}

// HasEnded reports a lease that has ended, or is about to: it does not come back.
func HasEnded(job *batchv1.Job) bool {
	final := []batchv1.JobConditionType{batchv1.JobFailed, batchv1.JobFailureTarget, batchv1.JobComplete,
		batchv1.JobSuccessCriteriaMet}
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return slices.Contains(final, c.Type) && c.Status == corev1.ConditionTrue
	})
}

// LastRenewed returns when a lease was last changed by its client, by the server's clock, or nil if that is
// not recorded. The job controller changes only its status.
func LastRenewed(job *batchv1.Job) *metav1.Time {
	var last *metav1.Time
	for _, entry := range job.ManagedFields {
		if entry.Subresource == "" && (last == nil || last.Before(entry.Time)) {
			last = entry.Time
		}
	}
	return last
}

// Expires returns the time beyond which no renewal extends a lease, or nil if the lease does not state it.
func Expires(job *batchv1.Job) *metav1.Time {
	ttl, stated := ttlOf(job)
	if !stated {
		return nil
	}
	return new(metav1.NewTime(job.CreationTimestamp.Add(ttl)))
}

func ttlOf(job *batchv1.Job) (ttl time.Duration, stated bool) {
	seconds, err := strconv.ParseInt(job.Annotations[owned.TTLAnnotation], 10, 64)
	return time.Duration(seconds) * time.Second, err == nil
}

// AskForEnd leaves word on a lease that a user wants its session to end. Its client learns of it with the
// next renewal, says so, and releases the lease.
func AskForEnd(ctx context.Context, client kubernetes.Interface, job *batchv1.Job, user string) error {
	return leaveWord(ctx, client, job, owned.EndedByAnnotation, user)
}

// AnnounceVisit leaves word on a lease that a user attaches to its session. Its client says so after the next
// renewal.
func AnnounceVisit(ctx context.Context, client kubernetes.Interface, job *batchv1.Job, user string) error {
	return leaveWord(ctx, client, job, owned.AttachedByAnnotation,
		user+" "+time.Now().UTC().Format(time.RFC3339))
}

func leaveWord(ctx context.Context, client kubernetes.Interface, job *batchv1.Job, annotation,
	word string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": job.UID, "annotations": map[string]string{annotation: word},
	}})
	if err != nil {
		return err
	}
	_, err = client.BatchV1().Jobs(job.Namespace).Patch(ctx, job.Name, types.MergePatchType, patch,
		metav1.PatchOptions{})
	return err
}

// askAgain is how often a lease is asked for while its client is to release it.
const askAgain = 250 * time.Millisecond

// AwaitRelease waits until a lease is gone, or ctx ends.
func AwaitRelease(ctx context.Context, client kubernetes.Interface, job *batchv1.Job) {
	_ = wait.PollUntilContextCancel(ctx, askAgain, false, func(ctx context.Context) (bool, error) {
		found, err := client.BatchV1().Jobs(job.Namespace).Get(ctx, job.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err) || err == nil && found.UID != job.UID, nil
	})
}

// Delete deletes a lease and with it what it owns. A lease that is already gone is not an error.
func Delete(ctx context.Context, client kubernetes.Interface, job *batchv1.Job) error {
	err := deleteJob(ctx, client.BatchV1().Jobs(job.Namespace), job.Name, job.UID)
	if err == nil || IsGone(err) {
		return nil
	}
	return fmt.Errorf("delete job/%s: %w", job.Name, err)
}

func deleteJob(ctx context.Context, jobs typed.JobInterface, name string, uid types.UID) error {
	return jobs.Delete(ctx, name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationBackground),
		Preconditions:     &metav1.Preconditions{UID: &uid},
	})
}

// Extend makes a lease expire later by a duration of whole seconds, and returns when it expires then. Its
// client learns of it with the next renewal; the deadline of a lease that nobody renews is put off here. A
// change that somebody else makes at the same time is kept: Extend starts again from there.
func Extend(ctx context.Context, client kubernetes.Interface, known *batchv1.Job,
	by time.Duration) (expires time.Time, err error) {
	jobs := client.BatchV1().Jobs(known.Namespace)
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		job, err := jobs.Get(ctx, known.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if job.UID != known.UID {
			return fmt.Errorf("job/%s is another one by now", job.Name)
		}
		expires, err = extend(ctx, jobs, job, by)
		return err
	})
	return expires, err
}

func extend(ctx context.Context, jobs typed.JobInterface, job *batchv1.Job, by time.Duration) (time.Time,
	error) {
	expires := Expires(job)
	switch {
	case job.DeletionTimestamp != nil || HasEnded(job):
		return time.Time{}, fmt.Errorf("job/%s has ended", job.Name)
	case expires == nil:
		return time.Time{}, fmt.Errorf("job/%s does not say how long it may live: annotation %s", job.Name,
			owned.TTLAnnotation)
	}
	later := expires.Add(by)
	ttl := later.Sub(job.CreationTimestamp.Time)
	longer := map[string]any{"metadata": map[string]any{
		"resourceVersion": job.ResourceVersion, // refused if the lease was replaced or changed
		"annotations":     map[string]string{owned.TTLAnnotation: owned.Seconds(ttl)},
	}}
	if job.Annotations[owned.KeptAnnotation] != "" {
		longer["spec"] = map[string]any{"activeDeadlineSeconds": Deadline(ttl)}
	}
	patch, err := json.Marshal(longer)
	if err != nil {
		return time.Time{}, err
	}
	_, err = jobs.Patch(ctx, job.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return later, err
}
