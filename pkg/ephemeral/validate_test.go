package ephemeral

import (
	"errors"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// running is a pod whose container app runs, and whose init container setup does not.
func running() *corev1.Pod {
	pod := named("web", "uid-1")
	pod.Spec.InitContainers = []corev1.Container{{Name: "setup"}}
	pod.Spec.Containers = []corev1.Container{{Name: "app"}}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{debugger("old")}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "setup",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	return pod
}

func TestValidate(t *testing.T) {
	type container = corev1.EphemeralContainer
	probe := &corev1.Probe{}
	tests := []struct {
		name   string
		pod    *corev1.Pod
		change func(*container)
		want   []string
	}{
		{"nothing wrong", running(), func(*container) {}, nil},
		{"the name of a container", running(), func(c *container) { c.Name = "app" },
			[]string{`name: Duplicate value: "app"`}},
		{"the name of an init container", running(), func(c *container) { c.Name = "setup" },
			[]string{`name: Duplicate value: "setup"`}},
		{"the name of an ephemeral container", running(), func(c *container) { c.Name = "old" },
			[]string{`name: Duplicate value: "old"`}},
		{"no name", running(), func(c *container) { c.Name = "" }, []string{"name: Required value"}},
		{"no target", running(), func(c *container) { c.TargetContainerName = "" }, nil},
		{"an ephemeral target", running(), func(c *container) { c.TargetContainerName = "old" },
			[]string{`targetContainerName: Not found: "old"`}},
		{"a pod of which nothing is known", named("web", ""), func(c *container) { c.Name = "app" }, nil},
		{"everything at once", running(), func(c *container) {
			c.Name, c.TargetContainerName = "old", "nope"
			c.Ports = []corev1.ContainerPort{{}}
			c.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
			c.ResizePolicy = []corev1.ContainerResizePolicy{{}}
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
			c.RestartPolicyRules = []corev1.ContainerRestartRule{{}}
			c.LivenessProbe, c.ReadinessProbe, c.StartupProbe = probe, probe, probe
			c.Lifecycle = &corev1.Lifecycle{}
			c.VolumeMounts = []corev1.VolumeMount{{Name: "a"}, {Name: "b", SubPath: "x"}, {Name: "c", SubPathExpr: "y"}}
		}, []string{`name: Duplicate value: "old"`, `targetContainerName: Not found: "nope"`, no("ports"),
			no("resources"), no("resizePolicy"), no("restartPolicy"), no("restartPolicyRules"), no("livenessProbe"),
			no("readinessProbe"), no("startupProbe"), no("lifecycle"), no("volumeMounts[1].subPath"),
			no("volumeMounts[2].subPathExpr")}},
	}
	for _, tt := range tests {
		c := debugger("new")
		tt.change(&c)
		var got, want []string
		for _, err := range Validate(tt.pod, c) {
			got = append(got, err.Error())
		}
		for _, words := range tt.want {
			want = append(want, "spec.ephemeralContainers[0]."+words)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%q, want\n%q", tt.name, got, want)
		}
	}
}

func no(path string) string { return path + ": Forbidden: cannot be set for an Ephemeral Container" }

// What the pod shows is refused without a request.
func TestAddNeverStarts(t *testing.T) {
	tests := []struct {
		name   string
		change func(*corev1.Pod)
		target string
		want   error
		says   string
	}{
		{"a mirror pod", func(p *corev1.Pod) { p.Annotations = map[string]string{"kubernetes.io/config.mirror": "x"} },
			"app", ErrMirrorPod, ErrMirrorPod.Error()},
		{"a pod that has ended", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, "", ErrNotRunning,
			"the pod has ended (Failed): it is not running"},
		{"a target that has ended", func(*corev1.Pod) {}, "setup", ErrNotRunning,
			"container setup, the target, is not running"},
		{"a target that is not reported", func(p *corev1.Pod) { p.Status.ContainerStatuses = nil }, "app",
			ErrNotRunning, "container app, the target, is not running"},
		{"a name in use", func(p *corev1.Pod) { p.Spec.EphemeralContainers[0].Name = "new" }, "app", nil,
			`Pod "web" is invalid: spec.ephemeralContainers[0].name: Duplicate value: "new"`},
	}
	for _, tt := range tests {
		s := &server{answers: []answer{ok("{}")}}
		pod, c := running(), debugger("new")
		tt.change(pod)
		c.TargetContainerName = tt.target
		_, err := s.start(t).Add(t.Context(), pod, c)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) ||
			err.Error() != "add a debug container to pod/web: "+tt.says || len(s.seen) != 0 {
			t.Errorf("%s: error %v after %d requests, want %s after none", tt.name, err, len(s.seen), tt.says)
		}
	}
}

// A sidecar that runs can be a target: it is an init container.
func TestAddBesideSidecar(t *testing.T) {
	s := &server{answers: []answer{ok(`{"kind":"Pod","apiVersion":"v1"}`)}}
	pod, c := running(), debugger("new")
	pod.Status.InitContainerStatuses[0].State = pod.Status.ContainerStatuses[0].State
	c.TargetContainerName = "setup"
	if _, err := s.start(t).Add(t.Context(), pod, c); err != nil {
		t.Error(err)
	}
}
