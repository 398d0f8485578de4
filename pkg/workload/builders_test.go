package workload

import (
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// The builders make valid objects in the namespace shop, so that a test states only what it is about.

func objectMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID(name)}
}

// template has the containers app and proxy. Its image tells it from the pods'.
func template(changes ...func(*corev1.PodTemplateSpec)) corev1.PodTemplateSpec {
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "api"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "api:2"},
			{Name: "proxy", Image: "proxy:2"}}},
	}
	for _, change := range changes {
		change(&t)
	}
	return t
}

func byDefault(container string) func(*corev1.PodTemplateSpec) {
	return func(t *corev1.PodTemplateSpec) {
		t.Annotations = map[string]string{defaultContainerAnnotation: container}
	}
}

func selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": "api"}}
}

func deployment(changes ...func(*corev1.PodTemplateSpec)) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: objectMeta("api"),
		Spec: appsv1.DeploymentSpec{Selector: selector(), Template: template(changes...)}}
}

func job(name string, changes ...func(*corev1.PodTemplateSpec)) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: objectMeta(name), Spec: batchv1.JobSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.JobNameLabel: name}},
		Template: template(changes...),
	}}
}

func cronJob(active ...string) *batchv1.CronJob {
	c := &batchv1.CronJob{ObjectMeta: objectMeta("api")}
	c.Spec.JobTemplate.Spec.Template = template()
	for _, name := range active {
		c.Status.Active = append(c.Status.Active, corev1.ObjectReference{Kind: "Job", Name: name})
	}
	return c
}

// pod is a ready pod of the deployment api, born at minute 0. It runs an older image than the template.
func pod(name string, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: objectMeta(name),
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "api:1"},
			{Name: "proxy", Image: "proxy:1"}}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled,
			Status: "True"}, {Type: corev1.PodReady, Status: "True"}}},
	}
	p.Labels = map[string]string{"app": "api"}
	born(0)(p)
	for _, change := range changes {
		change(p)
	}
	return p
}

func born(minute int) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.CreationTimestamp = metav1.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC) }
}

func unready(p *corev1.Pod) { p.Status.Conditions[1].Status = "False" }

func pending(p *corev1.Pod) { p.Status.Conditions = nil }

func deleting(p *corev1.Pod) {
	now := metav1.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)
	p.DeletionTimestamp, p.Finalizers = &now, []string{"example.com/wait"}
}

func labelled(key, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels = map[string]string{key: value} }
}

func elsewhere(p *corev1.Pod) { p.Namespace = "other" }

// judge is asked for access: "delete pods", "create pods/exec".
type judge func(what string) (allowed bool, err error)

func everything(string) (bool, error) { return true, nil }

func nothing(string) (bool, error) { return false, nil }

func noAnswer(string) (bool, error) { return false, errors.New("no answer") }

// cluster is a fake with objects, where judge decides about the namespace shop and nothing is
// allowed elsewhere.
func cluster(t *testing.T, may judge, objects ...runtime.Object) *fake.Clientset {
	t.Helper()
	client := fake.NewClientset(objects...)
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if err := client.Tracker().Add(shop); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	client.PrependReactor("create", "selfsubjectaccessreviews",
		func(action clienttesting.Action) (bool, runtime.Object, error) {
			object := action.(clienttesting.CreateAction).GetObject()
			asked := *object.(*authorizationv1.SelfSubjectAccessReview).Spec.ResourceAttributes
			what := asked.Verb + " " + asked.Resource
			if asked.Subresource != "" {
				what += "/" + asked.Subresource
			}
			allowed, err := may(what)
			if asked.Namespace != "shop" ||
				asked.Group != map[string]string{"jobs": "batch"}[asked.Resource] {
				allowed, err = false, nil
			}
			return true, &authorizationv1.SelfSubjectAccessReview{
				Status: authorizationv1.SubjectAccessReviewStatus{Allowed: allowed}}, err
		})
	return client
}
