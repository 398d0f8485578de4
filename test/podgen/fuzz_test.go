package podgen

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// FuzzClone: TestClones with seeds of any size.
func FuzzClone(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed << 40)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { testClone(t, seed) })
}

// FuzzDebug: an ephemeral container beside a container of any pod has what the API allows, what its source
// has of that, and its source's security context, at most with the user and the group that its node reports.
func FuzzDebug(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		c := New(seed, "shop", classes())
		c.Target.Pod = onNode(c)
		untouched := c.Target.Pod.DeepCopy()
		p, err := plan.Debug(c.Target, c.Options)
		if err != nil {
			if c.Target.Access.ExecPods || !strings.Contains(err.Error(), "pods/exec") {
				t.Errorf("refused: %v", err)
			}
			return
		}
		if !reflect.DeepEqual(c.Target.Pod, untouched) {
			t.Error("the plan changes its input")
		}
		for _, complaint := range debugRules(c, p) {
			t.Error(complaint)
		}
	})
}

// onNode is the case's pod as it runs on a node.
func onNode(c Case) *corev1.Pod {
	pod := c.Pod.DeepCopy()
	pod.UID, pod.Status.Phase = "pod-uid", corev1.PodRunning
	for _, container := range pod.Spec.Containers {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			User: &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: 12, GID: 34}}})
	}
	return pod
}

func debugRules(c Case, p *plan.Plan) (found []string) {
	source := containerOf(c.Target.Pod, c.Target.Container)
	made := p.Ephemeral.EphemeralContainerCommon
	found = complain(found, p.Ephemeral.TargetContainerName != source.Name, "it sees the processes of %q",
		p.Ephemeral.TargetContainerName)
	sizes := len(made.Resources.Requests) + len(made.Resources.Limits)
	found = complain(found, len(made.Ports) > 0 || made.LivenessProbe != nil || made.ReadinessProbe != nil ||
		made.StartupProbe != nil || made.Lifecycle != nil || sizes > 0,
		"the API refuses a part of it: %+v", made)
	for _, mount := range made.VolumeMounts {
		found = complain(found, mount.SubPath+mount.SubPathExpr != "", "it mounts a subPath: %+v", mount)
	}
	found = complain(found, !equality.Semantic.DeepEqual(made.EnvFrom, source.EnvFrom), "envFrom %+v", made.EnvFrom)
	was, is := source.SecurityContext, made.SecurityContext.DeepCopy()
	if was == nil {
		was = &corev1.SecurityContext{}
	}
	if was.RunAsUser == nil && is.RunAsUser != nil && *is.RunAsUser == 12 {
		is.RunAsUser = nil
	}
	if was.RunAsGroup == nil && is.RunAsGroup != nil && *is.RunAsGroup == 34 {
		is.RunAsGroup = nil
	}
	found = complain(found, !equality.Semantic.DeepEqual(was, is), "security %+v, not %+v", is, was)
	for i, change := range c.Options.Env {
		last := !slices.ContainsFunc(c.Options.Env[i+1:],
			func(e plan.EnvChange) bool { return e.Name == change.Name })
		inSpec := slices.ContainsFunc(made.Env, func(e corev1.EnvVar) bool { return e.Name == change.Name })
		referred := slices.ContainsFunc(source.Env,
			func(e corev1.EnvVar) bool { return strings.Contains(e.Value, "$("+change.Name+")") }) ||
			slices.ContainsFunc(source.VolumeMounts, func(m corev1.VolumeMount) bool {
				return strings.Contains(m.SubPathExpr, "$("+change.Name+")")
			})
		passes := !change.Remove && !referred && agent.PassesEnv(change.Name)
		found = complain(found, last && inSpec && passes && p.Agent.Via == agent.ViaExec &&
			!c.Options.Detach, "the value of %s is in the spec", change.Name)
	}
	return found
}

func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	at := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	return &pod.Spec.Containers[at]
}
