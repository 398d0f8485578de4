package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/test/podgen"
)

// property is a server that says whether a random case is valid. Nothing is kept there: every
// create is a dry run.
type property struct {
	client  kubernetes.Interface
	classes podgen.Classes
}

// casesVariable says how many random cases are sent to the server, and seedVariable which one alone.
const (
	casesVariable = "ESHELL_E2E_CASES"
	seedVariable  = "ESHELL_E2E_SEED"
)

// seeds are the cases of this run: 150, from a seed that is the same in every run, because a test
// that passes has to pass again.
func seeds(t *testing.T) []uint64 {
	t.Helper()
	if os.Getenv(seedVariable) != "" {
		return []uint64{number(t, seedVariable, 0)}
	}
	all := make([]uint64, number(t, casesVariable, 150))
	for i := range all {
		all[i] = uint64(i)
	}
	return all
}

// number is what an environment variable says.
func number(t *testing.T, variable string, fallback uint64) uint64 {
	t.Helper()
	word := os.Getenv(variable)
	if word == "" {
		return fallback
	}
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// Random workloads and what is around them are valid, and so are the clones: of the workload, and of
// its pod as the server completes it.
func TestRandomPods(t *testing.T) {
	t.Parallel()
	p := newProperty(t)
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := podgen.New(seed, env.namespace, p.classes)
			answer := p.accepts(t, seed, "the pod", c.Pod)
			p.accepts(t, seed, "the workload", c.Workload)
			for _, object := range c.Around {
				p.accepts(t, seed, "what is around", object)
			}
			t.Run("clone", func(t *testing.T) { p.clones(t, seed, c) })
			t.Run("clone of the live pod",
				func(t *testing.T) { p.clones(t, seed, c.Live(answer.(*corev1.Pod))) })
		})
	}
}

// clones has a clone accepted that no selector matches, unless the labels were to be kept. What the
// plan refuses is the business of the tests without a server.
func (p property) clones(t *testing.T, seed uint64, c podgen.Case) {
	t.Helper()
	planned, err := plan.Clone(c.Target, c.Options)
	if err != nil {
		t.Logf("the plan refuses: %v", err)
		return
	}
	p.accepts(t, seed, "the clone", planned.Pod)
	if matches := c.Target.NamespaceState.Matching(planned.Pod.Labels); len(matches) > 0 &&
		!c.Options.Labels.Keep {
		t.Errorf("seed %d: the clone is selected by %v", seed, matches)
	}
}

func newProperty(t *testing.T) property {
	t.Helper()
	client := client(t)
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if minor, err := strconv.Atoi(version.Minor); err != nil || minor < 36 {
		t.Skipf("the random pods speak the API of Kubernetes 1.36, the server is %s", version.GitVersion)
	}
	p := property{client: client, classes: podgen.Classes{Priority: env.namespace, Runtime: env.namespace}}
	p.prepare(t)
	return p
}

// prepare creates what the API server looks up when a pod names it.
func (p property) prepare(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	priority, runtimeClass := p.classes.Objects()
	t.Cleanup(func() {
		err := p.client.SchedulingV1().PriorityClasses().Delete(ctx, priority.Name, metav1.DeleteOptions{})
		if err := errors.Join(err,
			p.client.NodeV1().RuntimeClasses().Delete(ctx, runtimeClass.Name,
				metav1.DeleteOptions{})); err != nil {
			t.Error(err)
		}
	})
	_, err := p.client.SchedulingV1().PriorityClasses().Create(ctx, priority, metav1.CreateOptions{})
	_, err2 := p.client.NodeV1().RuntimeClasses().Create(ctx, runtimeClass, metav1.CreateOptions{})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: podgen.ServiceAccount}}
	_, err3 := p.client.CoreV1().ServiceAccounts(env.namespace).Create(ctx, account, metav1.CreateOptions{})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
}

// accepts fails with the object as it was sent and the way to see this one case again.
func (p property) accepts(t *testing.T, seed uint64, what string, object runtime.Object) runtime.Object {
	t.Helper()
	answer, err := p.create(object)
	if err != nil {
		t.Fatalf("the server refuses %s: %v\nagain: %s=%d go test ./test/e2e -run TestRandomPods\n%s", what,
			err, seedVariable, seed, manifest(t, object))
	}
	return answer
}

func manifest(t *testing.T, object runtime.Object) string {
	t.Helper()
	var text strings.Builder
	if err := printers.NewTypeSetter(scheme.Scheme).ToPrinter(&printers.YAMLPrinter{}).PrintObj(object,
		&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func (p property) create(object runtime.Object) (runtime.Object, error) {
	ctx, dry := context.Background(),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll},
			FieldValidation: metav1.FieldValidationStrict}
	core, apps := p.client.CoreV1(), p.client.AppsV1()
	switch o := object.(type) {
	case *corev1.Pod:
		return core.Pods(o.Namespace).Create(ctx, o, dry)
	case *corev1.Service:
		return core.Services(o.Namespace).Create(ctx, o, dry)
	case *corev1.ReplicationController:
		return core.ReplicationControllers(o.Namespace).Create(ctx, o, dry)
	case *appsv1.Deployment:
		return apps.Deployments(o.Namespace).Create(ctx, o, dry)
	case *appsv1.StatefulSet:
		return apps.StatefulSets(o.Namespace).Create(ctx, o, dry)
	case *appsv1.ReplicaSet:
		return apps.ReplicaSets(o.Namespace).Create(ctx, o, dry)
	case *batchv1.Job:
		return p.client.BatchV1().Jobs(o.Namespace).Create(ctx, o, dry)
	case *policyv1.PodDisruptionBudget:
		return p.client.PolicyV1().PodDisruptionBudgets(o.Namespace).Create(ctx, o, dry)
	case *networkingv1.NetworkPolicy:
		return p.client.NetworkingV1().NetworkPolicies(o.Namespace).Create(ctx, o, dry)
	}
	return nil, fmt.Errorf("%T is no kind of the generator's", object)
}
