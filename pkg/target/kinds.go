package target

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// kind is one built-in kind of workload. It is fetched by its own client: no discovery, one GET.
type kind struct {
	name  string // in the API
	group string
	types []string // as users write it, the singular first
	get   func(ctx context.Context, client kubernetes.Interface, namespace, name string) (workload, error)
}

// workload is what the kinds have in common.
type workload struct {
	template       corev1.PodTemplateSpec
	claimTemplates []corev1.PersistentVolumeClaim

	pod      *corev1.Pod           // for a pod
	selector *metav1.LabelSelector // of the workload's pods, for a controller
	jobs     []string              // active ones, for a CronJob
}

func kinds() []kind {
	return []kind{
		{"Pod", "", []string{"pod", "pods", "po"}, getPod},
		{"Deployment", "apps", []string{"deployment", "deployments", "deploy"}, getDeployment},
		{"ReplicaSet", "apps", []string{"replicaset", "replicasets", "rs"}, getReplicaSet},
		{"StatefulSet", "apps", []string{"statefulset", "statefulsets", "sts"}, getStatefulSet},
		{"DaemonSet", "apps", []string{"daemonset", "daemonsets", "ds"}, getDaemonSet},
		{"Job", "batch", []string{"job", "jobs"}, getJob},
		{"CronJob", "batch", []string{"cronjob", "cronjobs", "cj"}, getCronJob},
		{"ReplicationController", "", []string{"replicationcontroller", "replicationcontrollers", "rc"}, getReplicationController},
	}
}

// getter fits a typed client's Get to a kind: fetch one object, read its workload.
func getter[T any](ctx context.Context, get func(context.Context, string, metav1.GetOptions) (*T, error), name string,
	read func(*T) workload) (workload, error) {
	object, err := get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return workload{}, err
	}
	return read(object), nil
}

func getPod(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	return getter(ctx, c.CoreV1().Pods(ns).Get, name, func(o *corev1.Pod) workload {
		return workload{pod: o, template: corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}}
	})
}

func getDeployment(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	return getter(ctx, c.AppsV1().Deployments(ns).Get, name, func(o *appsv1.Deployment) workload {
		return workload{template: o.Spec.Template, selector: o.Spec.Selector}
	})
}

func getReplicaSet(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	return getter(ctx, c.AppsV1().ReplicaSets(ns).Get, name, func(o *appsv1.ReplicaSet) workload {
		return workload{template: o.Spec.Template, selector: o.Spec.Selector}
	})
}

func getStatefulSet(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	return getter(ctx, c.AppsV1().StatefulSets(ns).Get, name, func(o *appsv1.StatefulSet) workload {
		return workload{template: o.Spec.Template, selector: o.Spec.Selector, claimTemplates: o.Spec.VolumeClaimTemplates}
	})
}

func getDaemonSet(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	return getter(ctx, c.AppsV1().DaemonSets(ns).Get, name, func(o *appsv1.DaemonSet) workload {
		return workload{template: o.Spec.Template, selector: o.Spec.Selector}
	})
}

func getJob(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	return getter(ctx, c.BatchV1().Jobs(ns).Get, name, func(o *batchv1.Job) workload {
		return workload{template: o.Spec.Template, selector: o.Spec.Selector}
	})
}

func getCronJob(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	return getter(ctx, c.BatchV1().CronJobs(ns).Get, name, func(o *batchv1.CronJob) workload {
		var jobs []string
		for _, active := range o.Status.Active {
			jobs = append(jobs, active.Name)
		}
		return workload{template: o.Spec.JobTemplate.Spec.Template, jobs: jobs}
	})
}

func getReplicationController(ctx context.Context, c kubernetes.Interface, ns, name string) (workload, error) {
	object, err := c.CoreV1().ReplicationControllers(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return workload{}, err
	}
	if object.Spec.Template == nil { // optional in the API
		return workload{}, fmt.Errorf("replicationcontrollers %q has no pod template", name)
	}
	selector := &metav1.LabelSelector{MatchLabels: object.Spec.Selector}
	return workload{template: *object.Spec.Template, selector: selector}, nil
}
