package run

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// remembered are images that are known to have no shell.
type remembered map[string]bool

func (r remembered) Lacks(_ context.Context, image string) bool { return r[image] }
func (r remembered) Remember(_ context.Context, image string)   { r[image] = true }

// planned is a clone of an image, with what comes before it.
func planned(o agent.Options, init ...string) *plan.Plan {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "api:1"}}}}
	for _, name := range init {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: name})
	}
	return &plan.Plan{Pod: pod, Container: "app", Agent: agent.New(o)}
}

// TestLacksShell: a shell that an image is known not to have is missed before there is a pod.
func TestLacksShell(t *testing.T) {
	shell, direct := agent.Options{Via: agent.ViaExec}, agent.Options{Via: agent.ViaAttach, Direct: true,
		Command: []string{"/hello"}}
	live := func(message string) *corev1.Pod {
		ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: message}}
		return &corev1.Pod{
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "other", Image: "api:1"}}},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "other",
				State: ended}}}}
	}
	for _, tt := range []struct {
		name  string
		known remembered
		pod   *corev1.Pod
		o     agent.Options
		plan  plan.Options
		lacks bool
	}{
		{"nothing is known", remembered{}, nil, shell, plan.Options{}, false},
		{"an earlier session knows", remembered{"api:1": true}, nil, shell, plan.Options{}, true},
		{"of another image", remembered{"api:2": true}, nil, shell, plan.Options{}, false},
		{"none is needed", remembered{"api:1": true}, nil, direct, plan.Options{}, false},
		{"a toolbox brings one", remembered{"api:1": true}, nil, shell, plan.Options{Toolbox: "busybox"}, false},
		{"another container knows", nil, live(`exec: "sh": executable file not found in $PATH`), shell,
			plan.Options{}, true},
		{"another container failed otherwise", nil, live("out of memory"), shell, plan.Options{}, false},
	} {
		r := Request{Plan: tt.plan}
		if tt.known != nil {
			r.Shells = tt.known
		}
		err := r.lacksShell(t.Context(), &workload.Workload{Container: "app", Pod: tt.pod}, planned(tt.o))
		if errors.Is(err, diagnosis.ErrNoShell) != tt.lacks {
			t.Errorf("%s: %v; want the lack %t", tt.name, err, tt.lacks)
		}
	}
}

// TestInitContainersRunOnce: a second pod is not made of a workload whose init containers have run, and what
// the first has shown is remembered.
func TestInitContainersRunOnce(t *testing.T) {
	known := remembered{}
	r := Request{Plan: plan.Options{Command: []string{"/hello", "a b"}}, Shells: known,
		Session: session.Config{Reporter: &told{}}}
	noShell := fmt.Errorf("container app: %w", diagnosis.ErrNoShell)
	_, err := r.startWithoutShell(t.Context(), found(), planned(agent.Options{Via: agent.ViaExec}, "migrate"),
		noShell)
	if want := "another pod would run init container migrate once more"; err == nil ||
		!errors.Is(err, diagnosis.ErrNoShell) || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want one that ends with %q", err, want)
	}
	if want := "run the command as the container's own process: --via attach -- /hello 'a b'"; hint.Of(err) != want {
		t.Errorf("hint %q, want %q", hint.Of(err), want)
	}
	if !known["api:1"] {
		t.Error("the image is not remembered")
	}
}

// TestDefaultToolbox: it is for a session that lacks a shell, unless init containers would run twice or the
// image's entrypoint is wanted. A hint names it in any case.
func TestDefaultToolbox(t *testing.T) {
	noShell := fmt.Errorf("container app: %w", diagnosis.ErrNoShell)
	const own = "add a shell: --toolbox mirror/busybox:1; "
	for _, tt := range []struct {
		name    string
		plan    plan.Options
		init    []string
		err     error
		toolbox string
	}{
		{"a shell", plan.Options{}, nil, noShell, "mirror/busybox:1"},
		{"a command", plan.Options{Command: []string{"ls"}}, nil, noShell, "mirror/busybox:1"},
		{"a detached session", plan.Options{Detach: true}, nil, noShell, "mirror/busybox:1"},
		{"after init containers", plan.Options{}, []string{"migrate"}, noShell, ""},
		{"before init containers", plan.Options{}, []string{"migrate"}, knownError{noShell}, "mirror/busybox:1"},
		{"the image's entrypoint", plan.Options{Entrypoint: true}, nil, noShell, ""},
	} {
		tt.plan.DefaultToolbox = "mirror/busybox:1"
		r := Request{Mode: plan.ModeClone, Plan: tt.plan}
		first := planned(agent.Options{Via: agent.ViaExec}, tt.init...)
		got, err := r.withoutShell(t.Context(), first, tt.err)
		if got.Plan.Toolbox != tt.toolbox || (err == nil) != (tt.toolbox != "") ||
			err != nil && !strings.HasPrefix(hint.Of(err), own) {
			t.Errorf("%s: toolbox %q, %v, hint %q", tt.name, got.Plan.Toolbox, err, hint.Of(err))
		}
	}
}
