package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kubectl "k8s.io/kubectl/pkg/cmd/debug"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/profile"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// planDebug plans a debug session, and returns it with the warnings in words.
func planDebug(t *testing.T, w *workload.Workload, change ...func(*Options)) (p *Plan, warnings string) {
	t.Helper()
	p, err := Debug(w, options(change...))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, note := range p.Notes {
		if note.Kind == Warning {
			told = append(told, note.What)
		}
	}
	return p, strings.Join(told, ", ")
}

// inRuntime gives the target's container the name by which its runtime knows it.
func inRuntime(t *workload.Workload) {
	t.Pod.Status.ContainerStatuses[0].ContainerID = "containerd://4f1c"
}

func byUser(t *workload.Workload) { t.Access.User = "ada" }

// What a shell learns of its target: where it is, and what it is asked to take from it.
func TestTargetVariable(t *testing.T) {
	shared := func(t *workload.Workload) { t.Pod.Spec.ShareProcessNamespace = new(true) }
	hostile := func(t *workload.Workload) { t.Pod.Status.ContainerStatuses[0].ContainerID = "x://$(id)" }
	for _, tt := range []struct {
		change []func(*workload.Workload)
		option func(*Options)
		want   string
	}{
		{nil, func(*Options) {}, "4f1c :own"},
		{[]func(*workload.Workload){shared}, func(*Options) {}, "4f1c"},
		{nil, func(o *Options) { o.Debug.Chroot = true }, "4f1c :own :chroot"},
		{nil, func(o *Options) {
			o.Debug.EnvFromProcess = true
			o.Env = []EnvChange{{Name: "A"}, {Name: "B", Remove: true}}
		},
			"4f1c :own :env A B"},
		{[]func(*workload.Workload){hostile}, func(*Options) {}, ""},
	} {
		w := deployment(append([]func(*workload.Workload){running, inRuntime}, tt.change...)...)
		p, _ := planDebug(t, w, tt.option)
		got := ""
		for _, v := range p.Ephemeral.Env {
			if v.Name == agent.TargetVariable {
				got = v.Value
			}
		}
		if got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// What the target has comes along, with another image too, unless it is not to.
func TestInherit(t *testing.T) {
	other := func(o *Options) { o.Image = "tools:1" }
	none := func(o *Options) { o.Debug.Without = Parts{Env: true, Volumes: true, Security: true} }
	w := deployment(busy, variables, strict, func(t *workload.Workload) {
		t.Template.Spec.Containers[0].WorkingDir = "/srv"
	}, running)
	for _, image := range []func(*Options){func(*Options) {}, other} {
		p, _ := planDebug(t, w, image)
		c, source := p.Ephemeral, w.Pod.Spec.Containers[0]
		if c.WorkingDir != "/srv" || !reflect.DeepEqual(c.EnvFrom, source.EnvFrom) ||
			!reflect.DeepEqual(c.Env[:3], source.Env[:3]) || len(c.VolumeMounts) != 1 ||
			!reflect.DeepEqual(c.SecurityContext.Capabilities, source.SecurityContext.Capabilities) ||
			!is(c.SecurityContext.ReadOnlyRootFilesystem, true) {
			t.Errorf("image %s: %+v", c.Image, c)
		}
	}
	p, warned := planDebug(t, w, none)
	if c := p.Ephemeral; c.WorkingDir != "" || c.EnvFrom != nil || len(c.Env) != 3 || c.VolumeMounts != nil ||
		c.SecurityContext != nil {
		t.Errorf("without: %+v", c)
	}
	want := "more rights than the target: privilege escalation; capabilities that its target has dropped: ALL; " +
		"a root filesystem that is not read-only"
	if warned != want {
		t.Errorf("warned %q, want %q", warned, want)
	}
}

// withKubectl returns a container as kubectl debug would make it by a profile.
func withKubectl(t *testing.T, name profile.Profile, pod *corev1.Pod,
	c *corev1.EphemeralContainer) *corev1.EphemeralContainer {
	t.Helper()
	applier, err := kubectl.NewProfileApplier(string(name), kubectl.KeepFlags{})
	if err != nil {
		t.Fatal(err)
	}
	pod, plain := pod.DeepCopy(), c.DeepCopy()
	plain.SecurityContext = nil
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{*plain}
	if err := applier.Apply(pod, c.Name, pod); err != nil {
		t.Fatal(err)
	}
	return &pod.Spec.EphemeralContainers[0]
}

// A profile is kubectl's, field by field. What it allows beyond the target is a warning.
func TestProfiles(t *testing.T) {
	asRoot := func(w *workload.Workload) {
		user := w.Pod.Status.ContainerStatuses[0].User.Linux
		user.UID, user.GID = 0, 0
	}
	seccomp := func(w *workload.Workload) {
		w.Template.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	}
	const more, useless = "more rights than the target: ", "capabilities without effect: "
	for _, tt := range []struct {
		profile profile.Profile
		target  *workload.Workload
		want    string
	}{
		{profile.Auto, deployment(running, asRoot), ""},
		{profile.General, deployment(running, asRoot), more + "capabilities SYS_PTRACE"},
		{profile.General, deployment(running), more + "capabilities SYS_PTRACE, " + useless + "SYS_PTRACE"},
		{profile.General, deployment(strict, running), more + "privilege escalation; capabilities SYS_PTRACE; " +
			"capabilities that its target has dropped: ALL; a root filesystem that is not read-only, " + useless + "SYS_PTRACE"},
		{profile.Baseline, deployment(running, asRoot), ""},
		{profile.Baseline, deployment(seccomp, running, asRoot), more + "no seccomp profile"},
		{profile.Restricted, deployment(strict, running), more + "a root filesystem that is not read-only"},
		{profile.Netadmin, deployment(running, asRoot), more + "capabilities NET_ADMIN, NET_RAW"},
		{profile.Sysadmin, deployment(running, asRoot), more + "privileged"},
		{profile.Sysadmin, deployment(seccomp, running, asRoot), more + "privileged; no seccomp profile"},
	} {
		p, warned := planDebug(t, tt.target, func(o *Options) { o.Debug.Profile = tt.profile })
		want := p.Ephemeral
		if tt.profile != profile.Auto {
			want = withKubectl(t, tt.profile, tt.target.Pod, p.Ephemeral)
		}
		if !reflect.DeepEqual(p.Ephemeral, want) {
			t.Errorf("%s: %+v, want %+v", tt.profile, p.Ephemeral, want)
		}
		if warned != tt.want {
			t.Errorf("%s: warned %q, want %q", tt.profile, warned, tt.want)
		}
	}
	other := func(o *Options) { o.Debug.Profile, o.Image = profile.General, "tools:1" }
	want := more + "the user of its image, who may be root; capabilities SYS_PTRACE"
	if _, warned := planDebug(t, deployment(running), other); warned != want {
		t.Errorf("another image: %q", warned)
	}
}

// A partial container changes what the profile gives. What it allows beyond the target is a warning.
func TestCustom(t *testing.T) {
	custom := &corev1.Container{
		Env: []corev1.EnvVar{{Name: "A", Value: "custom"}, {Name: "C", Value: "3"}},
		SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(0)),
			Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_PTRACE"}}},
	}
	p, warned := planDebug(t, deployment(variables, running), func(o *Options) { o.Debug.Custom = custom })
	got := map[string]string{}
	for _, v := range p.Ephemeral.Env {
		got[v.Name] = v.Value
	}
	if got["A"] != "custom" || got["B"] != "$(A)" || got["C"] != "3" ||
		!is(p.Ephemeral.SecurityContext.RunAsUser, 0) || !is(p.Ephemeral.SecurityContext.RunAsGroup, 1001) ||
		p.Ephemeral.Image != "api:1" || p.Ephemeral.Name != "eshell-x7k2p" || !p.Ephemeral.Stdin {
		t.Errorf("%+v", p.Ephemeral)
	}
	if want := "more rights than the target: user 0 (root); capabilities SYS_PTRACE"; warned != want {
		t.Errorf("warned %q, want %q", warned, want)
	}
}

// An image that is known not to come is not waited for.
func TestMissingImage(t *testing.T) {
	_, err := Debug(deployment(running, scheduled, waiting), options())
	if err == nil || err.Error() != "the image of container app is not on the node: ImagePullBackOff" {
		t.Errorf("error %v", err)
	}
	p, _ := planDebug(t, deployment(running, scheduled, waiting), func(o *Options) { o.Image = "tools:1" })
	if p.Ephemeral.Image != "tools:1" {
		t.Errorf("image %s", p.Ephemeral.Image)
	}
}

// What needs a process of the target is refused where there is none.
func TestNeedsProcess(t *testing.T) {
	for flag, option := range map[string]func(*Options){
		"--chroot":           func(o *Options) { o.Debug.Chroot = true },
		"--env-from-process": func(o *Options) { o.Debug.EnvFromProcess = true },
	} {
		_, err := Debug(deployment(running, scheduled, crashing), options(option))
		if err == nil || !strings.HasPrefix(err.Error(), flag+" needs a process of container app, which does not run: ") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

// A debug container is used again only if it runs, is the user's own, and is what the new one would be.
func TestReuse(t *testing.T) {
	tty := func(o *Options) { o.TTY = true }
	first := func(change ...func(*Options)) *corev1.EphemeralContainer {
		p, _ := planDebug(t, deployment(variables, running, inRuntime, byUser), change...)
		return p.Ephemeral
	}
	nothing := func(*workload.Workload) {}
	for _, tt := range []struct {
		name   string
		has    *corev1.EphemeralContainer
		target func(*workload.Workload)
		option func(*Options)
		want   bool
	}{
		{"another terminal's", first(tty), nothing, tty, true},
		{"by a command", first(tty), nothing, func(*Options) {}, false},
		{"by a command on a terminal", first(tty), nothing,
			func(o *Options) { o.TTY, o.Command = true, []string{"id"} }, false},
		{"a command's", first(tty, func(o *Options) { o.Command = []string{"id"} }), nothing, tty, false},
		{"one by attach", first(tty, func(o *Options) { o.Via = agent.ViaAttach }), nothing, tty, false},
		{"a detached one, by a command", first(detached), nothing, func(*Options) {}, true},
		{"a detached one, of another lease", first(detached), nothing, func(o *Options) { o.HeartbeatTimeout *= 2 }, true},
		{"--new", first(tty), nothing, func(o *Options) { o.TTY, o.Debug.New = true, true }, false},
		{"by attach", first(tty), nothing, func(o *Options) { o.TTY, o.Via = true, agent.ViaAttach }, false},
		{"with a variable", first(tty), nothing, func(o *Options) { o.TTY, o.Env = true, []EnvChange{{Name: "X"}} }, false},
		{"another image", first(tty), nothing, func(o *Options) { o.TTY, o.Image = true, "tools:1" }, false},
		{"another profile", first(tty), nothing, func(o *Options) { o.TTY, o.Debug.Profile = true, profile.General }, false},
		{"another root", first(tty), nothing, func(o *Options) { o.TTY, o.Debug.Chroot = true, true }, false},
		{"another user's", first(tty), func(w *workload.Workload) { w.Access.User = "eve" }, tty, false},
		{"nobody knows whose", first(tty), func(w *workload.Workload) { w.Access.User = "" }, tty, false},
		{"without exec", first(tty), func(w *workload.Workload) { w.Access.ExecPods = false }, tty, false},
		{"ended", first(tty), func(w *workload.Workload) {
			w.Pod.Status.EphemeralContainerStatuses[0].State = corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{}}
		}, tty, false},
		{"the target started again", first(tty), func(w *workload.Workload) {
			w.Pod.Status.ContainerStatuses[0].ContainerID = "containerd://5a2d"
		}, tty, false},
		{"another process", func() *corev1.EphemeralContainer {
			c := first(tty)
			c.Command = []string{"sleep", "1d"}
			return c
		}(), nothing, tty, false},
	} {
		w := deployment(variables, running, inRuntime, byUser)
		has := tt.has.DeepCopy()
		has.Name = "eshell-other"
		w.Pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{*has}
		w.Pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: has.Name,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		tt.target(w)
		p, _ := planDebug(t, w, tt.option)
		if p.Joins != tt.want || (p.Ephemeral == nil) != tt.want || (p.Container == "eshell-other") != tt.want {
			t.Errorf("%s: joins %t, container %s", tt.name, p.Joins, p.Container)
		}
	}
}

// Entries stay for the pod's life: when they are many, a note tells so.
func TestEntries(t *testing.T) {
	for n, want := range map[int]bool{5: false, 6: true} {
		w := deployment(running)
		w.Pod.Spec.EphemeralContainers = make([]corev1.EphemeralContainer, n)
		p, _ := planDebug(t, w)
		if told := slices.ContainsFunc(p.Notes, func(note Note) bool {
			return note.What == "pod/api-7d4b9 has 6 ephemeral containers already"
		}); told != want {
			t.Errorf("%d entries: told %t", n, told)
		}
	}
}
