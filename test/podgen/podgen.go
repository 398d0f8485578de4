// Package podgen makes random workloads that a real API server accepts, with everything in them
// that a clone has to deal with, and what stands around them in a namespace. The same seed makes
// the same case. It speaks the API of Kubernetes 1.36.
package podgen

import (
	"math/rand/v2"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Classes are cluster-wide objects that a pod may only name if they exist.
type Classes struct {
	Priority string // of value Priority, never preempting
	Runtime  string // with Overhead
}

// ServiceAccount has to exist in the namespace, beside default.
const ServiceAccount = "robot"

// Name is every source's, and in no namespace by chance.
const Name = "podgen"

// Case is one workload and what is around it.
type Case struct {
	// Workload is a Deployment, a StatefulSet, a Job or a Pod.
	Workload runtime.Object
	// Pod is the workload's, as its controller would create it.
	Pod *corev1.Pod
	// Around are Services, PodDisruptionBudgets, NetworkPolicies and controllers of the namespace.
	Around []runtime.Object
	// Target is the workload as eshell would have found it; the caller may do everything.
	Target *workload.Workload
	// Options are what a user might ask for of this workload.
	Options plan.Options
}

// New makes the case of a seed in a namespace.
func New(seed uint64, namespace string, classes Classes) Case {
	g := &generator{random: rand.New(rand.NewPCG(seed, 0)), classes: classes, port: 8000}
	c := pick(g, g.deployment, g.statefulSet, g.job, g.pod)()
	c.Around = g.around()
	for _, object := range append([]runtime.Object{c.Workload, c.Pod}, c.Around...) {
		object.(metav1.Object).SetNamespace(namespace)
	}
	c.Target.Namespace = namespace
	g.find(&c)
	c.Options = g.options(c.Target)
	return c
}

func (g *generator) deployment() Case {
	t := g.template(corev1.RestartPolicyAlways, 0)
	w := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: Name},
		Spec: appsv1.DeploymentSpec{Selector: g.selecting(t.Labels), Template: t}}
	return Case{Workload: w, Pod: podOf(t), Target: &workload.Workload{Kind: "Deployment", Template: t}}
}

func (g *generator) statefulSet() Case {
	claims := list(g, 0, 2, func(i int) corev1.PersistentVolumeClaim {
		return corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: []string{"volume-0",
			"claim"}[i]}, Spec: g.claimSpec()}
	})
	t := g.template(corev1.RestartPolicyAlways, 0, claims...)
	w := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: Name}, Spec: appsv1.StatefulSetSpec{
		ServiceName: Name, Selector: g.selecting(t.Labels), Template: t, VolumeClaimTemplates: claims}}
	pod := podOf(t)
	pod.Spec.Volumes = withClaims(pod.Spec.Volumes, claims)
	return Case{Workload: w, Pod: pod,
		Target: &workload.Workload{Kind: "StatefulSet", Template: t, ClaimTemplates: claims}}
}

func (g *generator) job() Case {
	t := g.template(pick(g, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure), 0)
	t.Spec.ActiveDeadlineSeconds = optional[int64](g, 600)
	w := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: Name}, Spec: batchv1.JobSpec{Template: t}}
	return Case{Workload: w, Pod: podOf(t), Target: &workload.Workload{Kind: "Job", Template: t}}
}

// pod is a live one: what a server and a kubelet add is there already.
func (g *generator) pod() Case {
	t := g.template(pick(g, corev1.RestartPolicyAlways, corev1.RestartPolicyNever,
		corev1.RestartPolicyOnFailure), 0.3)
	created := podOf(t)
	g.live(&t)
	return Case{Workload: created.DeepCopy(), Pod: created,
		Target: &workload.Workload{Kind: "Pod", Template: t}}
}

func podOf(t corev1.PodTemplateSpec) *corev1.Pod {
	t = *t.DeepCopy()
	t.Name = Name
	return &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: t.ObjectMeta,
		Spec: t.Spec}
}

// selecting selects pods by all or some of their labels, by one at least where there is any.
func (g *generator) selecting(labels map[string]string) *metav1.LabelSelector {
	chosen := map[string]string{}
	for _, key := range sortedKeys(labels) {
		if len(chosen) == 0 || g.maybe(0.5) {
			chosen[key] = labels[key]
		}
	}
	return &metav1.LabelSelector{MatchLabels: chosen}
}
