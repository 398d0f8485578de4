package workload

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
)

// kind is a built-in kind. Its own client fetches it with one GET and without discovery.
type kind struct {
	name  string // as in the API
	group string
	types []string // as users write it, singular first
	get   func(ctx context.Context, client kubernetes.Interface, namespace, name string) (workload, error)
	// names lists the names in a namespace, mostNames at most.
	names func(ctx context.Context, client kubernetes.Interface, namespace string,
		options metav1.ListOptions) ([]string, error)
	// decode reads an object's JSON. A field that the kind does not have is an error.
	decode func(object map[string]any) (workload, error)
}

// workload holds what the kinds have in common.
type workload struct {
	kind           string
	meta           metav1.ObjectMeta // without a UID if it is from a manifest
	template       corev1.PodTemplateSpec
	claimTemplates []corev1.PersistentVolumeClaim
	firstOrdinal   int
	indexed        bool

	// selector selects the workload's pods. It is nil for a pod and for a CronJob without an active job.
	selector *metav1.LabelSelector
	// adopts reports whether the workload adopts what its selector matches, or at least tries to.
	adopts bool

	pod     *corev1.Pod     // for a pod that is in the cluster
	service *corev1.Service // for a Service, whose workload is still to be found
}

func kinds() []kind {
	type client = kubernetes.Interface
	return []kind{
		builtIn("Pod", "", []string{"pod", "pods", "po"}, ofPod,
			func(c client, ns string) getter[corev1.Pod, corev1.PodList] { return c.CoreV1().Pods(ns) }),
		builtIn("Deployment", "apps", []string{"deployment", "deployments", "deploy"}, ofDeployment,
			func(c client, ns string) getter[appsv1.Deployment, appsv1.DeploymentList] {
				return c.AppsV1().Deployments(ns)
			}),
		builtIn("ReplicaSet", "apps", []string{"replicaset", "replicasets", "rs"}, ofReplicaSet,
			func(c client, ns string) getter[appsv1.ReplicaSet, appsv1.ReplicaSetList] {
				return c.AppsV1().ReplicaSets(ns)
			}),
		builtIn("StatefulSet", "apps", []string{"statefulset", "statefulsets", "sts"}, ofStatefulSet,
			func(c client, ns string) getter[appsv1.StatefulSet, appsv1.StatefulSetList] {
				return c.AppsV1().StatefulSets(ns)
			}),
		builtIn("DaemonSet", "apps", []string{"daemonset", "daemonsets", "ds"}, ofDaemonSet,
			func(c client, ns string) getter[appsv1.DaemonSet, appsv1.DaemonSetList] {
				return c.AppsV1().DaemonSets(ns)
			}),
		builtIn("Job", "batch", []string{"job", "jobs"}, ofJob,
			func(c client, ns string) getter[batchv1.Job, batchv1.JobList] { return c.BatchV1().Jobs(ns) }),
		builtIn("CronJob", "batch", []string{"cronjob", "cronjobs", "cj"}, ofCronJob,
			func(c client, ns string) getter[batchv1.CronJob, batchv1.CronJobList] {
				return c.BatchV1().CronJobs(ns)
			}),
		builtIn("ReplicationController", "",
			[]string{"replicationcontroller", "replicationcontrollers", "rc"}, ofReplicationController,
			func(c client, ns string) getter[corev1.ReplicationController, corev1.ReplicationControllerList] {
				return c.CoreV1().ReplicationControllers(ns)
			}),
		builtIn("Service", "", []string{"service", "services", "svc"}, ofService,
			func(c client, ns string) getter[corev1.Service, corev1.ServiceList] {
				return c.CoreV1().Services(ns)
			}),
	}
}

type getter[T, L any] interface {
	Get(context.Context, string, metav1.GetOptions) (*T, error)
	List(context.Context, metav1.ListOptions) (*L, error)
}

func builtIn[T, L any](name, group string, types []string, read func(*T) workload,
	in func(kubernetes.Interface, string) getter[T, L]) kind {
	return kind{
		name: name, group: group, types: types,
		get: func(ctx context.Context, c kubernetes.Interface, namespace, name string) (workload, error) {
			object, err := in(c, namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return workload{}, err
			}
			return read(object), nil
		},
		names: func(ctx context.Context, c kubernetes.Interface, namespace string,
			options metav1.ListOptions) ([]string, error) {
			options.Limit = mostNames
			list, err := in(c, namespace).List(ctx, options)
			if err != nil {
				return nil, err
			}
			return namesIn(list)
		},
		decode: func(content map[string]any) (workload, error) {
			object := new(T)
			err := decodeStrictly(content, object)
			return read(object), err
		},
	}
}

func namesIn(list any) (names []string, err error) {
	objects, err := meta.ExtractList(list.(runtime.Object))
	for _, object := range objects {
		if o, is := object.(metav1.Object); is {
			names = append(names, o.GetName())
		}
	}
	return names, err
}

// kindOf finds a built-in kind in version v1, which is the version that is decoded here.
func kindOf(gvk schema.GroupVersionKind) (kind, bool) {
	for _, k := range kinds() {
		if k.name == gvk.Kind && k.group == gvk.Group && gvk.Version == "v1" {
			return k, true
		}
	}
	return kind{}, false
}

func ofPod(o *corev1.Pod) workload {
	return workload{kind: "Pod", meta: o.ObjectMeta, pod: o,
		template: corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}}
}

func ofDeployment(o *appsv1.Deployment) workload {
	return workload{kind: "Deployment", meta: o.ObjectMeta, template: o.Spec.Template,
		selector: o.Spec.Selector, adopts: true}
}

func ofReplicaSet(o *appsv1.ReplicaSet) workload {
	return workload{kind: "ReplicaSet", meta: o.ObjectMeta, template: o.Spec.Template,
		selector: o.Spec.Selector, adopts: true}
}

func ofStatefulSet(o *appsv1.StatefulSet) workload {
	w := workload{kind: "StatefulSet", meta: o.ObjectMeta, template: o.Spec.Template,
		selector: o.Spec.Selector, adopts: true,
		claimTemplates: o.Spec.VolumeClaimTemplates}
	if o.Spec.Ordinals != nil {
		w.firstOrdinal = int(o.Spec.Ordinals.Start)
	}
	return w
}

func ofDaemonSet(o *appsv1.DaemonSet) workload {
	return workload{kind: "DaemonSet", meta: o.ObjectMeta, template: o.Spec.Template,
		selector: o.Spec.Selector, adopts: true}
}

// ofJob counts a Job as adopting only if its user set the selector. A generated selector requires the Job's
// own UID as a label, which no clone carries.
func ofJob(o *batchv1.Job) workload {
	manual := o.Spec.ManualSelector != nil && *o.Spec.ManualSelector
	return workload{kind: "Job", meta: o.ObjectMeta, template: o.Spec.Template, selector: o.Spec.Selector,
		adopts: manual, indexed: isIndexed(o.Spec)}
}

func ofCronJob(o *batchv1.CronJob) workload {
	spec := o.Spec.JobTemplate.Spec
	w := workload{kind: "CronJob", meta: o.ObjectMeta, template: spec.Template, indexed: isIndexed(spec)}
	var active []string
	for _, job := range o.Status.Active {
		active = append(active, job.Name)
	}
	if len(active) > 0 {
		w.selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: batchv1.JobNameLabel, Operator: metav1.LabelSelectorOpIn, Values: active},
		}}
	}
	return w
}

func isIndexed(job batchv1.JobSpec) bool {
	return job.CompletionMode != nil && *job.CompletionMode == batchv1.IndexedCompletion
}

// ofReplicationController applies the API's default for a selector that is left out: all labels of the
// template.
// https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/#pod-selector
func ofReplicationController(o *corev1.ReplicationController) workload {
	w := workload{kind: "ReplicationController", meta: o.ObjectMeta, adopts: true}
	if o.Spec.Template != nil { // optional in the API
		w.template = *o.Spec.Template
	}
	selector := o.Spec.Selector
	if len(selector) == 0 {
		selector = w.template.Labels
	}
	w.selector = &metav1.LabelSelector{MatchLabels: selector}
	return w
}

func ofService(o *corev1.Service) workload {
	return workload{kind: "Service", meta: o.ObjectMeta, service: o,
		selector: &metav1.LabelSelector{MatchLabels: o.Spec.Selector}}
}
