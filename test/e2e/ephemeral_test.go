//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apitypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
)

// ephemeralScene is what TestEphemeral needs: a pod that runs, and a user who is allowed exactly what the
// package's documentation asks for.
const ephemeralScene = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: allowed}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [pods/ephemeralcontainers], verbs: [patch, update]}
- {apiGroups: [""], resources: [pods/exec, pods/attach], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: allowed}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: allowed}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: allowed}]
`

// ephemeralUser is the package's client as one user of the scene, or as the test's own for "".
type ephemeralUser struct {
	*ephemeral.Client
	streams *ephemeral.Streams
	raw     kubernetes.Interface
}

func asEphemeralUser(t *testing.T, namespace, user string) ephemeralUser {
	t.Helper()
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: user}
	raw, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	streams, err := ephemeral.NewStreams(config, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return ephemeralUser{ephemeral.New(raw, namespace), streams, raw}
}

// runs is an ephemeral container that runs a script.
func runs(name, script string) corev1.EphemeralContainer {
	c := corev1.EphemeralContainer{TargetContainerName: "app"}
	c.Name, c.Image, c.Command = name, "localhost/eshell/busybox:1", []string{"sh", "-c", script}
	return c
}

// TestEphemeral: every call of the package, on a real server, by a user with the documented permissions.
func TestEphemeral(t *testing.T) {
	t.Parallel()
	namespace := newRealm(t, "ephemeral", ephemeralScene).namespace
	kubectl(t, "wait", "--for=condition=Ready", "pod/web", "-n", namespace, "--timeout=60s")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	user := asEphemeralUser(t, namespace, "allowed")

	t.Run("forbidden", func(t *testing.T) { asEphemeralUser(t, namespace, "nobody").isForbidden(ctx, t) })
	t.Run("add", func(t *testing.T) { user.adds(ctx, t) })
	t.Run("invalid", func(t *testing.T) { user.agrees(ctx, t, namespace) })
	// Only who is allowed to "get" pods/exec gets a WebSocket.
	t.Run("SPDY", func(t *testing.T) { user.streamsBothWays(ctx, t, "spdy") })
	t.Run("WebSocket", func(t *testing.T) {
		asEphemeralUser(t, namespace, "").streamsBothWays(ctx, t, "websocket")
	})
	t.Run("patch", func(t *testing.T) { user.patches(ctx, t) })
	t.Run("replace", func(t *testing.T) { user.replaces(ctx, t) })
}

func (u ephemeralUser) isForbidden(ctx context.Context, t *testing.T) {
	pod := named("web", "")
	patch := func() error {
		_, err := u.Patch(ctx, "web", apitypes.StrategicMergePatchType, []byte("{}"))
		return err
	}
	calls := map[string]func() error{
		"get pods":                       func() error { _, err := u.Get(ctx, "web"); return err },
		"list pods":                      func() error { _, err := u.List(ctx, metav1.ListOptions{}); return err },
		"patch pods/ephemeralcontainers": patch,
		"create pods/exec": func() error {
			_, err := u.streams.Exec(ctx, "web", "app", []string{"true"}, remotecommand.StreamOptions{Stdout: t.Output()})
			return err
		},
		"create pods/attach": func() error {
			_, err := u.streams.Attach(ctx, "web", "app", remotecommand.StreamOptions{Stdout: t.Output()})
			return err
		},
		"watch pods": func() error {
			watched := pod.DeepCopy()
			watched.ResourceVersion, watched.Spec.EphemeralContainers = "1", []corev1.EphemeralContainer{runs("x", "")}
			_, err := u.Wait(ctx, watched, "x", ephemeral.Running)
			return err
		},
	}
	for want, call := range calls {
		var lacking *ephemeral.ForbiddenError
		if err := call(); !errors.As(err, &lacking) || lacking.Verb+" "+lacking.Resource != want {
			t.Errorf("without the permission to %s: %v", want, err)
		}
	}
}

func (u ephemeralUser) adds(ctx context.Context, t *testing.T) {
	pod, err := u.Get(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	tried, err := u.Add(ctx, pod.Pod, runs("tried", "true"), ephemeral.DryRun(), ephemeral.FieldManager("test"),
		ephemeral.FieldValidation(metav1.FieldValidationStrict), ephemeral.Timeout(time.Minute))
	if err != nil || len(tried.Spec.EphemeralContainers) != 1 {
		t.Errorf("dry run: %v", err)
	}
	if _, err = u.Add(ctx, named("web", "uid-of-another"), runs("x", "true")); !errors.Is(err, ephemeral.ErrReplaced) {
		t.Errorf("another UID: %v", err)
	}
	if _, err = u.Add(ctx, named("nope", ""), runs("x", "true")); !apierrors.IsNotFound(err) ||
		errors.Is(err, ephemeral.ErrUnsupported) {
		t.Errorf("no such pod: %v", err)
	}
	for name, script := range map[string]string{"debugger": "sleep 86400", "short": "exit 3"} {
		if _, err := u.Add(ctx, pod.Pod, runs(name, script)); err != nil {
			t.Fatal(err) // the pod's version is old for the second one, which does not matter
		}
	}
	listed, err := u.List(ctx, metav1.ListOptions{})
	if err != nil || len(listed) != 1 || len(listed[0].Containers) != 2 {
		t.Errorf("list: %+v, %v; want pod/web with two containers", listed, err)
	}
	ended, err := u.Wait(ctx, listed[0].Pod, "short", ephemeral.Terminated)
	if err != nil || *ended.ExitCode != 3 || ended.Started.IsZero() || ended.Target != "app" {
		t.Errorf("short: %+v, %v; want exit code 3", ended, err)
	}
	if _, err := u.Wait(ctx, named("web", ""), "short", ephemeral.Running); !errors.Is(err, ephemeral.ErrNotRunning) {
		t.Errorf("short is not running any more: %v", err)
	}
	if _, err := u.Wait(ctx, named("web", ""), "debugger", ephemeral.Running); err != nil {
		t.Error(err)
	}
}

// agrees checks that the server refuses what Validate refuses, by the same paths.
func (u ephemeralUser) agrees(ctx context.Context, t *testing.T, namespace string) {
	pod, err := u.Get(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	always, probe := corev1.ContainerRestartPolicyAlways, &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	c := runs("app", "true")
	c.TargetContainerName, c.RestartPolicy = "nope", &always
	c.Ports = []corev1.ContainerPort{{ContainerPort: 80}}
	c.Resources.Claims = []corev1.ResourceClaim{}
	c.Resources.Limits = corev1.ResourceList{}
	c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m")}
	c.ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: "NotRequired"}}
	c.LivenessProbe, c.ReadinessProbe, c.StartupProbe = probe, probe, probe
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: probe.Exec}}
	c.VolumeMounts = []corev1.VolumeMount{{Name: pod.Spec.Volumes[0].Name, MountPath: "/a", SubPath: "a"},
		{Name: pod.Spec.Volumes[0].Name, MountPath: "/b", SubPathExpr: "b"}}
	var paths []string
	for _, e := range ephemeral.Validate(pod.Pod, c) {
		paths = append(paths, e.Field)
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"ephemeralContainers": []any{c}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.raw.CoreV1().Pods(namespace).Patch(ctx, "web", apitypes.StrategicMergePatchType, patch,
		metav1.PatchOptions{}, "ephemeralcontainers")
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) || answer.Status().Details == nil {
		t.Fatalf("the server did not refuse the container: %v", err)
	}
	var server []string
	for _, cause := range answer.Status().Details.Causes {
		server = append(server, cause.Field)
	}
	slices.Sort(paths)
	slices.Sort(server)
	if paths, server = slices.Compact(paths), slices.Compact(server); !reflect.DeepEqual(paths, server) {
		t.Errorf("refused here:\n%s\nrefused by the server:\n%s", strings.Join(paths, "\n"), strings.Join(server, "\n"))
	}
	var invalid *ephemeral.InvalidError
	if _, err := u.Add(ctx, pod.Pod, c); !errors.As(err, &invalid) || len(invalid.Fields) != len(paths) {
		t.Errorf("added: %v", err)
	}
}

func (u ephemeralUser) streamsBothWays(ctx context.Context, t *testing.T, name string) {
	var out, errs strings.Builder
	status, err := u.streams.Exec(ctx, "web", "debugger", []string{"sh", "-c", "cat; echo no >&2; exit 7"},
		remotecommand.StreamOptions{Stdin: strings.NewReader("hello\n"), Stdout: &out, Stderr: &errs})
	if status != 7 || err != nil || out.String() != "hello\n" || errs.String() != "no\n" {
		t.Errorf("exit status %d, error %v, stdout %q, stderr %q", status, err, out.String(), errs.String())
	}
	if status, err = u.streams.Exec(ctx, "web", "debugger", []string{"true"},
		remotecommand.StreamOptions{Stdout: &out}); status != 0 || err != nil {
		t.Errorf("exit status %d, error %v", status, err)
	}
	if _, err = u.streams.Exec(ctx, "web", "short", []string{"true"},
		remotecommand.StreamOptions{Stdout: &out}); !errors.Is(err, ephemeral.ErrNotRunning) {
		t.Errorf("exec in a container that has ended: %v", err)
	}
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err = u.streams.Exec(limited, "web", "debugger", []string{"sleep", "20"},
		remotecommand.StreamOptions{Stdout: &out}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("exec for a second: %v", err)
	}
	reader := runs(name, `read line; echo "got $line"; exit 5`)
	reader.Stdin, reader.StdinOnce = true, true
	pod, err := u.Add(ctx, named("web", ""), reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = u.Wait(ctx, pod, name, ephemeral.Running); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	status, err = u.streams.Attach(ctx, "web", name,
		remotecommand.StreamOptions{Stdin: strings.NewReader("it\n"), Stdout: &out})
	if status != 5 || err != nil || out.String() != "got it\n" {
		t.Errorf("exit status %d, error %v, stdout %q", status, err, out.String())
	}
}

func (u ephemeralUser) patches(ctx context.Context, t *testing.T) {
	const container = `{"name": %q, "image": "localhost/eshell/busybox:1", "command": ["true"]}`
	list := func(format string, names ...string) []byte {
		var list []string
		for _, name := range names {
			list = append(list, fmt.Sprintf(container, name))
		}
		return fmt.Appendf(nil, format, strings.Join(list, ","))
	}
	const merge, apply = `{"spec":{"ephemeralContainers":[%s]}}`,
		`{"apiVersion":"v1","kind":"Pod","spec":{"ephemeralContainers":[%s]}}`
	other := []byte(strings.Replace(string(list(apply, "applied")), "busybox:1", "bash:1", 1))
	ok := func(err error) bool { return err == nil }
	manager, dry := ephemeral.FieldManager, ephemeral.DryRun()
	for _, tt := range []struct {
		name    string
		kind    apitypes.PatchType
		patch   []byte
		options []ephemeral.Option
		is      func(error) bool
	}{
		{"strategic", apitypes.StrategicMergePatchType, list(merge, "strategic"), nil, ok},
		{"strategic, an unknown field", apitypes.StrategicMergePatchType, []byte(`{"spec":{"nope":1}}`),
			[]ephemeral.Option{ephemeral.FieldValidation(metav1.FieldValidationStrict)}, apierrors.IsInvalid},
		{"JSON", apitypes.JSONPatchType, list(`[{"op":"add","path":"/spec/ephemeralContainers/-","value":%s}]`, "json"),
			nil, ok},
		{"JSON, a test that fails", apitypes.JSONPatchType, []byte(`[{"op":"test","path":"/metadata/name","value":"x"}]`),
			nil, apierrors.IsInvalid},
		{"merge without what is there", apitypes.MergePatchType, list(merge, "merged"), nil, apierrors.IsInvalid},
		{"merge with an old version", apitypes.MergePatchType, []byte(`{"metadata":{"resourceVersion":"1"}}`), nil,
			apierrors.IsConflict},
		{"apply", apitypes.ApplyYAMLPatchType, list(apply, "applied"), []ephemeral.Option{manager("one")}, ok},
		{"apply as another manager", apitypes.ApplyYAMLPatchType, list(apply, "applied2"),
			[]ephemeral.Option{manager("two")}, ok},
		{"apply without what was applied", apitypes.ApplyYAMLPatchType, list(apply, "applied3"),
			[]ephemeral.Option{manager("one")}, apierrors.IsInvalid},
		{"apply another's field", apitypes.ApplyYAMLPatchType, other, []ephemeral.Option{manager("three"), dry},
			apierrors.IsConflict},
		{"apply another's field by force: it cannot be changed", apitypes.ApplyYAMLPatchType, other,
			[]ephemeral.Option{manager("three"), dry, ephemeral.Force()}, apierrors.IsInvalid},
		{"apply by force", apitypes.ApplyYAMLPatchType, list(apply, "applied"),
			[]ephemeral.Option{manager("three"), dry, ephemeral.Force()}, ok},
	} {
		if _, err := u.Patch(ctx, "web", tt.kind, tt.patch, tt.options...); !tt.is(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	pod, err := u.Get(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"strategic", "json", "applied", "applied2"} {
		if !slices.ContainsFunc(pod.Containers, func(c ephemeral.Container) bool { return c.Name == name }) {
			t.Errorf("container %s is not in the pod", name)
		}
	}
}

// replaces lets somebody else come first.
func (u ephemeralUser) replaces(ctx context.Context, t *testing.T) {
	calls := 0
	pod, err := u.Replace(ctx, "web", func(pod *corev1.Pod) ([]corev1.EphemeralContainer, error) {
		if calls++; calls == 1 {
			if _, err := u.Add(ctx, pod, runs("first", "true")); err != nil {
				return nil, err
			}
		}
		return append(pod.Spec.EphemeralContainers, runs("second", "true")), nil
	}, ephemeral.FieldManager("test"), ephemeral.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	names := ephemeral.Containers(pod)
	if last := names[len(names)-1].Name; calls != 2 || last != "second" || names[0].Name != "first" {
		t.Errorf("%d calls, containers %+v", calls, names)
	}
}

// named is a pod of which only this is known.
func named(name string, uid apitypes.UID) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid}}
}
