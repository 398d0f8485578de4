package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/lease"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

func (c *crowd) newNamespace() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.namespace}}
}

// app returns the name of one of the Deployments, whose labels its pods, Services and policies share.
func app(n int) string {
	if n == 0 {
		return "api"
	}
	return fmt.Sprintf("app-%d", n)
}

func labelsOf(app string) map[string]string {
	return map[string]string{"app": app, "app.kubernetes.io/name": app, "app.kubernetes.io/instance": app,
		"app.kubernetes.io/part-of": "shop", "tier": "backend"}
}

func selector(app string) map[string]string {
	return map[string]string{"app": app, "app.kubernetes.io/instance": app}
}

func meta(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Labels: labels}
}

// spec is one of an ordinary size.
func spec() corev1.PodSpec {
	var env []corev1.EnvVar
	for n := range 12 {
		env = append(env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", n), Value: "a value of some length"})
	}
	some := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"),
		corev1.ResourceMemory: resource.MustParse("16Mi")}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}}
	return corev1.PodSpec{
		SchedulerName: "nobody", RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{{
			Name: "app", Image: "registry.example.com/shop/app:1.2.3", Command: []string{"/app", "serve"},
			Env: env, Resources: corev1.ResourceRequirements{Requests: some, Limits: some},
			ReadinessProbe: probe, LivenessProbe: probe,
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/app"}},
		}},
		Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "config"}}}}},
	}
}

func template(labels map[string]string) corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec()}
	t.Spec.RestartPolicy = corev1.RestartPolicyAlways
	return t
}

// deployment is paused, so that its controller leaves its ReplicaSets alone.
func (c *crowd) deployment(ctx context.Context, n int) error {
	d := &appsv1.Deployment{ObjectMeta: meta(app(n), labelsOf(app(n))), Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(0)), Paused: true, RevisionHistoryLimit: new(int32(1000)),
		Selector: &metav1.LabelSelector{MatchLabels: selector(app(n))}, Template: template(labelsOf(app(n))),
	}}
	return unlessThere(c.AppsV1().Deployments(c.namespace).Create(ctx, d, metav1.CreateOptions{}))
}

// replicaSet is a revision of the Deployment that has its turn, of a hundred.
func (c *crowd) replicaSet(ctx context.Context, n int) error {
	owner, err := c.AppsV1().Deployments(c.namespace).Get(ctx, app(n%100), metav1.GetOptions{})
	if err != nil {
		return err
	}
	hash := fmt.Sprintf("%08x", n*2654435761)[:8]
	labels, selected := labelsOf(owner.Name), selector(owner.Name)
	for _, requiring := range []map[string]string{labels, selected} {
		requiring[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	}
	set := &appsv1.ReplicaSet{ObjectMeta: meta(owner.Name+"-"+hash, labels), Spec: appsv1.ReplicaSetSpec{
		Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: selected},
		Template: template(labels),
	}}
	set.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner,
		appsv1.SchemeGroupVersion.WithKind("Deployment"))}
	set.Annotations = map[string]string{"deployment.kubernetes.io/revision": fmt.Sprint(n/100 + 1)}
	return unlessThere(c.AppsV1().ReplicaSets(c.namespace).Create(ctx, set, metav1.CreateOptions{}))
}

// job has no pods, and has finished except for every twentieth.
func (c *crowd) job(ctx context.Context, n int) error {
	jobs := c.BatchV1().Jobs(c.namespace)
	t := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf("job")}, Spec: spec()}
	job := &batchv1.Job{ObjectMeta: meta(fmt.Sprintf("job-%d", n), labelsOf("job")), Spec: batchv1.JobSpec{
		Parallelism: new(int32(0)), Completions: new(int32(1)), Template: t,
	}}
	if err := unlessThere(jobs.Create(ctx, job, metav1.CreateOptions{})); err != nil || n%20 == 0 {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		job, err := jobs.Get(ctx, job.Name, metav1.GetOptions{})
		if err != nil || job.Status.CompletionTime != nil {
			return err
		}
		now := metav1.NewTime(time.Now().Add(time.Second)) // after the controller's own start of the Job
		if job.Status.StartTime == nil {
			job.Status.StartTime = new(metav1.Now())
		}
		job.Status.CompletionTime, job.Status.Succeeded = &now, 1
		for _, reached := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet,
			batchv1.JobComplete} {
			job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: reached,
				Status: corev1.ConditionTrue, LastTransitionTime: now, LastProbeTime: now,
				Reason: batchv1.JobReasonCompletionsReached})
		}
		_, err = jobs.UpdateStatus(ctx, job, metav1.UpdateOptions{})
		return err
	})
}

func (c *crowd) policy(ctx context.Context, n int) error {
	others := &metav1.LabelSelector{MatchLabels: selector(app(n + 1))}
	from := []networkingv1.NetworkPolicyPeer{{PodSelector: others}}
	p := &networkingv1.NetworkPolicy{ObjectMeta: meta(fmt.Sprintf("policy-%d", n), labelsOf(app(n))),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: selector(app(n))},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: from}},
		}}
	return unlessThere(c.NetworkingV1().NetworkPolicies(c.namespace).Create(ctx, p, metav1.CreateOptions{}))
}

func (c *crowd) pod(ctx context.Context, n int) error {
	p := &corev1.Pod{ObjectMeta: meta(fmt.Sprintf("pod-%d", n), labelsOf(app(n%1000))), Spec: spec()}
	return unlessThere(c.CoreV1().Pods(c.namespace).Create(ctx, p, metav1.CreateOptions{}))
}

// service has no address of its own, of which a cluster may have few.
func (c *crowd) service(ctx context.Context, n int) error {
	s := &corev1.Service{ObjectMeta: meta(app(n), labelsOf(app(n))), Spec: corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, Selector: selector(app(n)),
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
	}}
	return unlessThere(c.CoreV1().Services(c.namespace).Create(ctx, s, metav1.CreateOptions{}))
}

// session is a lease of 8 hours and its clone.
func (c *crowd) session(ctx context.Context, n int) error {
	id := fmt.Sprintf("%05d", n)
	held, err := lease.Take(ctx, c, lease.Terms{Namespace: c.namespace, Session: id, TTL: 8 * time.Hour,
		Fixed: true, Annotations: map[string]string{owned.ModeAnnotation: "clone",
			owned.PodAnnotation: owned.PodName("api", id), owned.UserAnnotation: "alice",
			owned.SourceKindAnnotation: "Deployment", owned.SourceNameAnnotation: "api"}})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	p := &corev1.Pod{ObjectMeta: meta(owned.PodName("api", id), owned.Labels(id)), Spec: spec()}
	p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: owned.NeverReady}}
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: held.Name,
		UID: held.UID}}
	return unlessThere(c.CoreV1().Pods(c.namespace).Create(ctx, p, metav1.CreateOptions{}))
}
