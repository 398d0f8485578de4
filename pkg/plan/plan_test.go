package plan

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

var update = flag.Bool("update", false, "write the golden files")

// deployment is a valid target; a test states its deviations.
func deployment(change ...func(*workload.Workload)) *workload.Workload {
	t := &workload.Workload{
		Kind: "Deployment", Name: "api", Namespace: "shop", Container: "app",
		Access: workload.Access{DeletePods: true, WatchPods: true, ExecPods: true, AttachPods: true},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "api"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "api:1",
				Command: []string{"serve"}, Args: []string{"--all"}}}},
		},
	}
	for _, c := range change {
		c(t)
	}
	return t
}

// running turns a workload into a live pod, as debug mode needs it.
func running(t *workload.Workload) {
	t.Pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "api-7d4b9", Namespace: t.Namespace, UID: "1234",
			Labels: t.Template.Labels},
		Spec: t.Template.Spec,
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: t.Container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			User: &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: 1000, GID: 1001,
				SupplementalGroups: []int64{2000}}},
		}}},
	}
}

func options(change ...func(*Options)) Options {
	o := Options{Session: "x7k2p", HeartbeatTimeout: 2 * time.Minute, TTL: 8 * time.Hour}
	for _, c := range change {
		c(&o)
	}
	return o
}

// busy gives the container everything that a server has and a shell must not.
func busy(t *workload.Workload) {
	probe := &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(8080)}}}
	always := corev1.ContainerRestartPolicyAlways
	spec := &t.Template.Spec
	spec.Containers[0].LivenessProbe, spec.Containers[0].ReadinessProbe,
		spec.Containers[0].StartupProbe = probe, probe, probe
	spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
	spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
	spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "config", MountPath: "/etc/api"},
		{Name: "part", MountPath: "/part", SubPath: "a"}}
	spec.Containers = append(spec.Containers, corev1.Container{Name: "proxy", Image: "proxy:1"})
	spec.InitContainers = []corev1.Container{
		{Name: "render", Image: "render:1",
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/out"}}},
		{Name: "reads", Image: "render:1",
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/in", ReadOnly: true}}},
		{Name: "migrate", Image: "api:1"},
		{Name: "mesh", Image: "proxy:1", RestartPolicy: &always,
			VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/in"}}},
	}
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: empty}, {Name: "part", VolumeSource: empty},
		{Name: "unused", VolumeSource: empty}}
	spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/ready"}}
	spec.TerminationGracePeriodSeconds = new(int64(3600))
	spec.RestartPolicy = corev1.RestartPolicyAlways
}

// bound gives the spec what only one running pod has.
func bound(t *workload.Workload) {
	spec := &t.Template.Spec
	spec.NodeName, spec.Hostname, spec.Subdomain = "node1", "api-0", "api"
	spec.SetHostnameAsFQDN = new(true)
	spec.Priority, spec.PreemptionPolicy = new(int32(100)), new(corev1.PreemptLowerPriority)
	spec.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")}
	spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
	spec.EphemeralContainers = []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "old"}}}
	spec.ActiveDeadlineSeconds = new(int64(5))
}

func strict(t *workload.Workload) {
	t.Template.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true),
		RunAsUser: new(int64(1234))}
	t.Template.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	t.Template.Spec.ServiceAccountName = "api"
}

func variables(t *workload.Workload) {
	t.Template.Spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)"},
		{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "k"}}},
		{Name: "LIMIT", ValueFrom: &corev1.EnvVarSource{
			ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
	}
	t.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}
}

func stateful(t *workload.Workload) {
	t.Kind, t.Name = "StatefulSet", "db"
	t.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	t.ClaimTemplates = []corev1.PersistentVolumeClaim{
		{ObjectMeta: metav1.ObjectMeta{Name: "data"},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "not-mounted"}},
	}
}

func overrides(o *Options) {
	o.Image, o.CPU, o.Memory = "api:2", resource.MustParse("500m"), resource.MustParse("1Gi")
	o.Env = []EnvChange{{Name: "A", Value: "$$ $(A)"}, {Name: "SECRET", Remove: true},
		{Name: "NEW", Value: "n"}, {Name: "NOSUCH", Remove: true}}
	o.Command = []string{"rails", "console", "$(HOME)"}
	o.TTY, o.Term = true, "xterm-256color"
}

// probedByShell shows that the image has a shell.
func probedByShell(t *workload.Workload) {
	t.Template.Spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "true"}}}}
}

// scheduled puts a live pod on a node.
func scheduled(t *workload.Workload) { t.Pod.Spec.NodeName = "node1" }

// crashing lets the container end again and again.
func crashing(t *workload.Workload) {
	t.Pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	t.Pod.Status.ContainerStatuses[0].LastTerminationState = corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error",
			FinishedAt: metav1.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)}}
}

// waiting lets the container wait for its image.
func waiting(t *workload.Workload) {
	t.Pod.Status.Phase = corev1.PodPending
	t.Pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}
}

func byAttach(o *Options) { o.Via = agent.ViaAttach }

func detached(o *Options) { o.Detach = true }

func direct(o *Options) {
	o.Via, o.Direct, o.Command = agent.ViaAttach, true, []string{"/server", "$(A)"}
}

// TestGolden is the plan's specification: every field of what will run and every note, by file.
func TestGolden(t *testing.T) {
	tests := []struct {
		name    string
		plan    func(*workload.Workload, Options) (*Plan, error)
		target  *workload.Workload
		options Options
	}{
		{"clone", Clone, deployment(), options()},
		{"clone-busy", Clone, deployment(busy), options()},
		{"clone-bound", Clone, deployment(bound), options()},
		{"clone-strict", Clone, deployment(strict), options()},
		{"clone-overrides", Clone, deployment(variables), options(overrides)},
		{"clone-leased", Clone, deployment(func(t *workload.Workload) { t.Access.User = "ada" }),
			options(func(o *Options) {
				o.Lease, o.Reason = &Lease{Name: "eshell-x7k2p", UID: "abcd"}, "incident 12"
			})},
		{"clone-unleased", Clone, deployment(),
			options(func(o *Options) { o.NoLease = errors.New("jobs is forbidden") })},
		{"clone-attach", Clone, deployment(variables, probedByShell), options(overrides, byAttach,
			func(o *Options) { o.Image = "" })},
		{"clone-attach-directly", Clone, deployment(variables, probedByShell), options(overrides, byAttach)},
		{"clone-attach-unleased", Clone, deployment(),
			options(byAttach, func(o *Options) { o.NoLease = errors.New("jobs is forbidden") })},
		{"clone-direct", Clone, deployment(), options(direct)},
		{"clone-detached", Clone,
			deployment(func(t *workload.Workload) { t.Access.AttachPods, t.Access.ExecPods = false, false }),
			options(detached, func(o *Options) {
				o.Lease = &Lease{Name: "eshell-x7k2p", UID: "abcd"}
			})},
		{"clone-detached-command", Clone, deployment(variables),
			options(detached, overrides, func(o *Options) { o.TTY = false })},
		{"clone-detached-entrypoint", Clone, deployment(),
			options(detached, func(o *Options) { o.Entrypoint = true })},
		{"clone-detached-toolbox", Clone, deployment(),
			options(detached, func(o *Options) { o.Toolbox = "busybox:musl" })},
		{"clone-detached-unleased", Clone, deployment(),
			options(detached, func(o *Options) { o.NoLease = errors.New("jobs is forbidden") })},
		{"clone-statefulset", Clone, deployment(stateful), options()},
		{"clone-without-exec", Clone, deployment(func(t *workload.Workload) { t.Access.ExecPods = false }),
			options()},
		{"debug", Debug, deployment(running), options()},
		{"debug-unleased", Debug, deployment(running),
			options(func(o *Options) { o.NoLease = errors.New("jobs is forbidden") })},
		{"debug-busy", Debug, deployment(busy, strict, running), options()},
		{"debug-detached", Debug,
			deployment(running, func(t *workload.Workload) { t.Access.ExecPods = false }), options(detached)},
		{"debug-overrides", Debug, deployment(variables, running), options(overrides)},
		{"debug-attach", Debug, deployment(running), options(overrides, byAttach)},
		{"debug-without-exec", Debug,
			deployment(running, func(t *workload.Workload) { t.Access.ExecPods = false }), options()},
		{"debug-shared-pids", Debug,
			deployment(func(t *workload.Workload) { t.Template.Spec.ShareProcessNamespace = new(true) },
				running), options()},
		{"debug-crashing", Debug, deployment(running, scheduled, crashing), options()},
		{"debug-waiting", Debug, deployment(running, scheduled, waiting),
			options(func(o *Options) { o.Debug.DefaultImage = "tools:1" })},
		{"debug-newest-of-3", Debug, deployment(running, func(t *workload.Workload) { t.Selected = "the newest of 3 ready pods" }),
			options()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source := tt.target.Template.DeepCopy()
			p, err := tt.plan(tt.target, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", tt.name+".golden"), render(t, p))
			if before, after := fmt.Sprint(source), fmt.Sprint(&tt.target.Template); before != after {
				t.Errorf("the plan changed its target from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the plan is not %s (write it anew with -update, then read the difference):\n%s", file, got)
	}
}

// render is a plan as text; the scripts, which have tests of their own, by name.
func render(t *testing.T, p *Plan) string {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintln(&b, p.Headline)
	for _, note := range p.Notes {
		fmt.Fprintf(&b, "%s %s: %s\n", [...]string{"-", "~", "!", "+", "."}[note.Kind], note.What,
			note.Reason)
	}
	a := p.Agent
	fmt.Fprintf(&b, "pod %s/%s %s, container %s\nvia %s, terminal %t, gate %t, tells its end %t, heartbeats within %s, attached within %s\n",
		p.Namespace, p.PodName, p.PodUID, p.Container, a.Via, a.TTY, a.HasGate(), a.TellsEnd(),
		a.HeartbeatTimeout, a.AttachTimeout)
	pod := p.Pod
	if pod == nil {
		pod = &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			Spec: corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{*p.Ephemeral}}}
	}
	pod = pod.DeepCopy()
	for _, words := range containerWords(pod) {
		shorten(words)
	}
	if _, has := pod.Annotations[owned.ScriptsAnnotation]; has {
		pod.Annotations[owned.ScriptsAnnotation] = "SCRIPTS"
	}
	for _, c := range pod.Spec.EphemeralContainers {
		for i := range c.Env {
			if c.Env[i].Name == agent.ScriptsVariable {
				c.Env[i].Value = "SCRIPTS"
			}
		}
	}
	if err := (&printers.YAMLPrinter{}).PrintObj(pod, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// shorten replaces the scripts, which have tests of their own, by their names.
func shorten(words []string) {
	for i := 1; i < len(words); i++ {
		switch {
		case strings.HasPrefix(words[i], "cp /proc/"):
			words[i] = "FILL"
		case strings.HasPrefix(words[i], "eval "):
		case i+1 < len(words) && strings.HasPrefix(words[i+1], "eshell") &&
			(words[i-1] == "-c" || strings.Contains(words[i], "\n")):
			words[i] = "SCRIPT"
		}
	}
}

func containerWords(pod *corev1.Pod) [][]string {
	var words [][]string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		words = append(words, c.Command, c.Args)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		words = append(words, c.Command)
	}
	return words
}

// TestRefusals are the workloads that no plan is made for, with what the user is told.
func TestRefusals(t *testing.T) {
	phase := func(p corev1.PodPhase) func(*workload.Workload) {
		return func(t *workload.Workload) { t.Pod.Status.Phase = p }
	}
	tests := []struct {
		name    string
		plan    func(*workload.Workload, Options) (*Plan, error)
		target  *workload.Workload
		options Options
		err     string
		hint    string
	}{
		{"may not delete", Clone, deployment(func(t *workload.Workload) { t.Access.DeletePods = false }),
			options(),
			"you are not allowed to delete pods in namespace shop: the clone could not be removed",
			"ask for the permission, and check it: kubectl auth can-i delete pods -n shop"},
		{"may not watch", Clone, deployment(func(t *workload.Workload) { t.Access.WatchPods = false }),
			options(),
			"you are not allowed to watch pods in namespace shop: eshell could not see the session start",
			"ask for the permission, and check it: kubectl auth can-i watch pods -n shop"},
		{"may not attach", Debug,
			deployment(running, func(t *workload.Workload) { t.Access.AttachPods = false }), options(),
			"you are not allowed to create pods/attach in namespace shop: eshell keeps a session alive by attaching to it",
			"ask for the permission, and check it: kubectl auth can-i create pods/attach -n shop"},
		{"may not attach, and nothing else ends the container", Debug,
			deployment(running, func(t *workload.Workload) { t.Access.AttachPods = false }),
			options(detached),
			"you are not allowed to create pods/attach in namespace shop: eshell keeps a session alive by attaching to it",
			"ask for the permission, and check it: kubectl auth can-i create pods/attach -n shop"},
		{"may not exec, but asked for it", Clone,
			deployment(func(t *workload.Workload) { t.Access.ExecPods = false }),
			options(func(o *Options) { o.Via = agent.ViaExec }),
			"you are not allowed to create pods/exec in namespace shop: --via exec needs it",
			"ask for the permission, and check it: kubectl auth can-i create pods/exec -n shop"},
		{"unscheduled", Debug, deployment(running, phase(corev1.PodPending)), options(),
			"pod/api-7d4b9 is on no node yet: nothing can be started in it",
			"clone it instead: kubectl eshell pod/api-7d4b9 -n shop"},
		{"ended", Debug, deployment(running, phase(corev1.PodFailed)), options(),
			"pod/api-7d4b9 is Failed: nothing can be started in it any more",
			"clone it instead: kubectl eshell pod/api-7d4b9 -n shop"},
		{"static", Debug, deployment(running, func(t *workload.Workload) {
			t.Pod.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		}), options(),
			"pod/api-7d4b9 is a static pod of its node: Kubernetes does not add ephemeral containers to it",
			"clone it instead: kubectl eshell pod/api-7d4b9 -n shop"},
		{"being deleted", Debug,
			deployment(running, func(t *workload.Workload) { t.Pod.DeletionTimestamp = &metav1.Time{} }),
			options(),
			"pod/api-7d4b9 is being deleted", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.plan(tt.target, tt.options)
			if err == nil {
				t.Fatalf("a plan was made: %s", p.Headline)
			}
			if err.Error() != tt.err || hint.Of(err) != tt.hint {
				t.Errorf("error %q, hint %q; want %q, %q", err, hint.Of(err), tt.err, tt.hint)
			}
		})
	}
}
