package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// shop is a cluster with one deployment, api, and its pod, whose user may do everything.
func shop() *fake.Clientset {
	labels := map[string]string{"app": "api"}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "api:1"}}}
	client := fake.NewClientset(
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop"},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
			},
		},
		&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "api-0", Namespace: "shop", UID: "uid-1", Labels: labels},
			Spec:       spec,
			Status: corev1.PodStatus{
				Phase:      corev1.PodRunning,
				Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			},
		})
	client.PrependReactor("create", "selfsubjectaccessreviews",
		func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, &authorizationv1.SelfSubjectAccessReview{
				Status: authorizationv1.SubjectAccessReviewStatus{Allowed: true}}, nil
		})
	return client
}

// previewing is a run of "kubectl eshell deploy/api -n shop" with changes.
type previewing struct {
	client *fake.Clientset
	Options
	stdout      io.Writer // nil: out
	out, errOut strings.Builder
}

func newPreview(client *fake.Clientset, changes ...func(*Options)) *previewing {
	return &previewing{client: client, Options: asked(changes...)}
}

func (p *previewing) run(ctx context.Context) (int, error) {
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &p.out, ErrOut: &p.errOut}
	if p.stdout != nil {
		streams.Out = p.stdout
	}
	c := connection{cluster: workload.Cluster{Client: p.client}, namespace: "shop"}
	return p.execute(ctx, c, streams, newPrinter(streams.ErrOut, p.Quiet))
}

// session is the id that was drawn for it.
func (p *previewing) session() string {
	for _, found := range regexp.MustCompile(`eshell-([a-z0-9]{5})\b`).FindAllStringSubmatch(p.out.String(),
		-1) {
		if !slices.Contains([]string{"drain", "idler", "relay"}, found[1]) { // the scripts' names
			return found[1]
		}
	}
	return "none0"
}

func dryRunBy(by DryRun, output string) func(*Options) {
	return func(o *Options) { o.DryRun, o.Output = by, output }
}

// writes are what the server was asked to change.
func writes(client *fake.Clientset) []string {
	var found []string
	for _, action := range client.Actions() {
		if r := action.GetResource().Resource; !strings.HasPrefix(r, "selfsubject") &&
			action.GetVerb() != "get" && action.GetVerb() != "list" {
			found = append(found, action.GetVerb()+" "+strings.TrimSuffix(r+"/"+action.GetSubresource(), "/"))
		}
	}
	return found
}

// printedPod reads a pod as strictly as a server does.
func printedPod(t *testing.T, out fmt.Stringer) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	if _, _, err := strict.Decode([]byte(out.String()), nil, pod); err != nil {
		t.Fatalf("%v in:\n%s", err, out)
	}
	return pod
}

// The pod is on stdout, as a document that kubectl create takes; nothing was sent.
func TestDryRunByTheClient(t *testing.T) {
	client := shop()
	p := newPreview(client, dryRunBy(DryRunClient, "yaml"))
	if status, err := p.run(t.Context()); status != 0 || err != nil {
		t.Fatalf("status %d, error %v", status, err)
	}
	pod := printedPod(t, &p.out)
	if name := "api-eshell-" + p.session(); pod.Kind != "Pod" || pod.APIVersion != "v1" || pod.Name != name ||
		pod.Namespace != "shop" {
		t.Errorf("%s %s, pod/%s in %s; want pod/%s", pod.APIVersion, pod.Kind, pod.Name, pod.Namespace, name)
	}
	if c := pod.Spec.Containers[0]; c.Name != "app" || c.Image != "api:1" || c.TTY {
		t.Errorf("container %+v, want app of api:1 without a terminal", c)
	}
	for _, noise := range []string{"\nstatus:", "creationTimestamp", "managedFields"} {
		if strings.Contains(p.out.String(), noise) {
			t.Errorf("%s is in:\n%s", noise, &p.out)
		}
	}
	if !strings.HasPrefix(p.errOut.String(), "pod/"+pod.Name+": a clone of deployment/api") {
		t.Errorf("on stderr:\n%s", &p.errOut)
	}
	if sent := writes(client); sent != nil {
		t.Errorf("sent: %q", sent)
	}
}

// Who is asked, and what is printed of the answer.
func TestDryRun(t *testing.T) {
	debug := func(o *Options) { o.Mode = plan.ModeDebug }
	tests := []struct {
		name    string
		changes []func(*Options)
		out     string // ID: the session's
		sent    []string
	}{
		{"one line", []func(*Options){dryRunBy(DryRunClient, "")}, "pod/api-eshell-ID created (dry run)\n",
			nil},
		{"the server's line", []func(*Options){dryRunBy(DryRunServer, "")},
			"pod/api-eshell-ID created (server dry run)\n", []string{"create pods"}},
		{"a name", []func(*Options){dryRunBy(DryRunServer, "name")}, "pod/api-eshell-ID\n",
			[]string{"create pods"}},
		{"a running pod", []func(*Options){debug, dryRunBy(DryRunClient, "")},
			"pod/api-0 patched (dry run)\n", nil},
		{"a running pod by the server", []func(*Options){debug, dryRunBy(DryRunServer, "")},
			"pod/api-0 patched (server dry run)\n", []string{"patch pods/ephemeralcontainers"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := shop()
			quiet := func(o *Options) { o.Quiet = true }
			p := newPreview(client, append(tt.changes, quiet)...)
			status, err := p.run(t.Context())
			if want := strings.ReplaceAll(tt.out, "ID", p.session()); status != 0 || err != nil ||
				p.out.String() != want {
				t.Errorf("status %d, error %v, printed %q, want %q", status, err, &p.out, want)
			}
			if sent := writes(client); !slices.Equal(sent, tt.sent) || p.errOut.String() != "" {
				t.Errorf("sent %q, want %q; on stderr: %q", sent, tt.sent, &p.errOut)
			}
			if kept := notDry(client); kept != nil {
				t.Errorf("sent as no dry run, or not strictly: %+v", kept)
			}
		})
	}
}

// notDry are the writes to pods that the server would keep, or would not judge strictly.
func notDry(client *fake.Clientset) []clienttesting.Action {
	var found []clienttesting.Action
	for _, action := range client.Actions() {
		var dryRun []string
		var validation string
		switch a := action.(type) {
		case clienttesting.CreateActionImpl:
			dryRun, validation = a.CreateOptions.DryRun, a.CreateOptions.FieldValidation
		case clienttesting.PatchActionImpl:
			dryRun, validation = a.PatchOptions.DryRun, a.PatchOptions.FieldValidation
		}
		writes := action.Matches("create", "pods") || action.GetVerb() == "patch"
		if writes && !(slices.Equal(dryRun, []string{metav1.DryRunAll}) &&
			validation == metav1.FieldValidationStrict) {
			found = append(found, action)
		}
	}
	return found
}

// What would be sent is printed: the container, or in JSON the patch that adds it, as it stands.
func TestDryRunOfDebugContainer(t *testing.T) {
	for _, strategy := range []DryRun{DryRunClient, DryRunServer} {
		p := newPreview(shop(), dryRunBy(strategy, "yaml"), func(o *Options) { o.Mode = plan.ModeDebug })
		if _, err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var container corev1.EphemeralContainer
		if err := yaml.UnmarshalStrict([]byte(p.out.String()), &container); err != nil ||
			container.Name != "eshell-"+p.session() || container.Image != "api:1" {
			t.Errorf("%s, %v: printed\n%s", strategy, err, &p.out)
		}
		p = newPreview(shop(), dryRunBy(strategy, "json"), func(o *Options) { o.Mode = plan.ModeDebug })
		if _, err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		patched, err := strategicpatch.StrategicMergePatch([]byte(`{"metadata":{"name":"api-0","uid":"uid-1"}}`),
			[]byte(p.out.String()), corev1.Pod{})
		var pod corev1.Pod
		if err := cmp.Or(err, json.Unmarshal(patched, &pod)); err != nil || pod.UID != "uid-1" ||
			len(pod.Spec.EphemeralContainers) != 1 ||
			pod.Spec.EphemeralContainers[0].Name != "eshell-"+p.session() {
			t.Errorf("%s, %v: printed\n%s", strategy, err, &p.out)
		}
	}
}

// What the user says of the request is said to the server, in both modes.
func TestWrite(t *testing.T) {
	for _, mode := range []plan.Mode{plan.ModeClone, plan.ModeDebug} {
		client := shop()
		p := newPreview(client, dryRunBy(DryRunServer, "name"), func(o *Options) {
			o.Mode, o.FieldManager, o.FieldValidation = mode, "ops", metav1.FieldValidationIgnore
		})
		if _, err := p.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		var sent []string
		for _, action := range client.Actions() {
			switch a := action.(type) {
			case clienttesting.CreateActionImpl:
				if a.Resource.Resource == "pods" {
					sent = append(sent, a.CreateOptions.FieldManager, a.CreateOptions.FieldValidation)
				}
			case clienttesting.PatchActionImpl:
				sent = append(sent, a.PatchOptions.FieldManager, a.PatchOptions.FieldValidation)
			}
		}
		if !slices.Equal(sent, []string{"ops", "Ignore"}) {
			t.Errorf("%s: sent %q", mode, sent)
		}
	}
}

// What the server refuses is an error in its own words, and nothing is printed.
func TestDryRunRefused(t *testing.T) {
	client := shop()
	client.PrependReactor("create", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("pods"), "api",
			errors.New("exceeded quota: compute"))
	})
	p := newPreview(client, dryRunBy(DryRunServer, "yaml"))
	status, err := p.run(t.Context())
	if status != 0 || !apierrors.IsForbidden(err) || !strings.HasSuffix(err.Error(),
		"exceeded quota: compute") {
		t.Errorf("status %d, error %v", status, err)
	}
	if p.out.String()+p.errOut.String() != "" {
		t.Errorf("printed %q, and on stderr %q", &p.out, &p.errOut)
	}
}

// --explain is the product: on stdout, also with -q, and nothing is created.
func TestExplainRun(t *testing.T) {
	client := shop()
	p := newPreview(client, func(o *Options) { o.Explain, o.Quiet = true, true })
	if status, err := p.run(t.Context()); status != 0 || err != nil {
		t.Fatalf("status %d, error %v", status, err)
	}
	if !strings.HasPrefix(p.out.String(), "pod/api-eshell-"+p.session()+": a clone of deployment/api") ||
		p.errOut.String() != "" {
		t.Errorf("printed %q, and on stderr %q", &p.out, &p.errOut)
	}
	if sent := writes(client); sent != nil {
		t.Errorf("sent: %q", sent)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// An output that cannot be written is a failure of the output, as in a session.
func TestPreviewsOutputFails(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"explain": func(o *Options) { o.Explain = true },
		"dry run": dryRunBy(DryRunClient, "yaml"),
	} {
		p := newPreview(shop(), change)
		p.stdout = fullDisk{}
		_, err := p.run(t.Context())
		if output := new(stream.OutputError); !errors.As(err, &output) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
