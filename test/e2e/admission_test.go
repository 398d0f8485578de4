//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// refused is a session that the server will not have.
type refused struct {
	name  string
	rules func(*testing.T, namespaceFixture)
	typed string // after kubectl eshell
	says  string // a pattern of the server's words
	hint  string // what follows "hint: "
	// also is what has to be typed beside the hint's flags: what a policy asks for is its author's own.
	also string
}

// TestRefused: the server's own words, one proposal, and nothing left; what is proposed is typed as it
// stands, and helps.
func TestRefused(t *testing.T) {
	t.Parallel()
	const labelled = `--overrides '{"metadata":{"labels":{"team":"shop"}}}'`
	tests := []refused{
		{name: "quota exceeded", rules: quota, typed: "deploy/app --cpu 1 --memory 1Gi",
			says: `exceeded quota: small, requested: limits.memory=1Gi,requests.cpu=1, used: limits.memory=0,requests.cpu=0, limited: limits.memory=128Mi,requests.cpu=200m`,
			hint: `see its limits and use: kubectl describe quota small -n NAMESPACE`},
		{name: "quota without sizes", rules: quota, typed: "deploy/app",
			says: `failed quota: small: must specify limits.memory for: app; requests.cpu for: app`,
			hint: `set the sizes, for example: --cpu 100m --memory 128Mi`},
		{name: "quota of pods", rules: noPods, typed: "deploy/app",
			says: `exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0`,
			hint: `see its limits and use: kubectl describe quota none -n NAMESPACE`},
		{name: "limit range", rules: limitRange, typed: "deploy/app --cpu 10m --memory 1Gi",
			says: `\[minimum cpu usage per Container is 50m, but request is 10m, maximum memory usage per Container is 64Mi, but limit is 1Gi\]`,
			hint: `see the limits: kubectl describe limitrange -n NAMESPACE`},
		{name: "pod security", rules: restricted, typed: "deploy/app",
			says: `violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false .*, seccompProfile .*`,
			hint: `meet the policy: --as-user 1000 --override-type strategic --overrides '{"spec":{"containers":[{"name":"app","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"add":null,"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}}]}}'`},
		{name: "policy", rules: policy, typed: "deploy/app",
			says: `ValidatingAdmissionPolicy 'NAMESPACE' with binding 'NAMESPACE' denied request: pods need the label team`,
			hint: `change the clone with --overrides, and check it: --dry-run=server -o name`,
			also: labelled},
		{name: "policy, debug mode", rules: policy, typed: "pod/old --mode debug",
			says: `ValidatingAdmissionPolicy 'NAMESPACE' with binding 'NAMESPACE' denied request: pods need the label team`,
			hint: `leave out --mode debug for a clone`, also: labelled},
		{name: "webhook", rules: webhook, typed: "deploy/app",
			says: `admission webhook "hook.eshell.test" denied the request: pods need the label team`,
			hint: `change the clone with --overrides, and check it: --dry-run=server -o name`,
			also: labelled},
		{name: "service account", rules: noAccount, typed: "deploy/app",
			says: `error looking up service account NAMESPACE/none: serviceaccount "none" not found`,
			hint: `use one that exists: --service-account default`},
		{name: "permission", rules: noCreate, typed: "deploy/app --as reader",
			says: `pods is forbidden: User "reader" cannot create resource "pods" in API group "" in the namespace "NAMESPACE"`,
			hint: `ask for the permission, and check it: kubectl auth can-i create pods -n NAMESPACE`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			here := newRealm(t, strings.NewReplacer(" ", "-", ",", "").Replace(tt.name), application)
			tt.rules(t, here)
			before := here.pods(t)
			end := here.run(t, "kubectl-eshell "+tt.typed+" -- true")
			says := strings.ReplaceAll(tt.says, "NAMESPACE", here.namespace)
			want := `(?m)^error: (.+: )?` + says + `\nhint: ` +
				regexp.QuoteMeta(strings.ReplaceAll(tt.hint, "NAMESPACE", here.namespace)) + `\n\z`
			if end.status != 125 || !regexp.MustCompile(want).MatchString(end.stderr) {
				t.Errorf("exit status %d, want 125; stderr is\n%swant\n%s", end.status, end.stderr, want)
			}
			here.left(t, before)
			here.follow(t, tt, end.stderr)
			here.left(t, before)
		})
	}
}

// TestStreamRefused: a stream that a policy refuses is no lost connection. The user reads the policy's words,
// and nothing is left.
func TestStreamRefused(t *testing.T) {
	t.Parallel()
	here := newRealm(t, "no-streams", application)
	t.Cleanup(func() {
		kubectl(t, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", here.namespace)
	})
	here.apply(t, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAMESPACE}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CONNECT], resources: [pods/exec, pods/attach]}
  validations: [{expression: "false", message: "no shells here"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAMESPACE}
spec:
  policyName: NAMESPACE
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}
`)
	here.await(t, "the policy refuses no stream", func(context.Context) (bool, error) {
		end := here.run(t, "kubectl get --raw /api/v1/namespaces/"+here.namespace+"/pods/none/attach")
		return strings.Contains(end.stderr, "no shells here"), nil
	})
	before := here.pods(t)
	want := `error: no command could be started in pod/app-eshell-[a-z0-9]+: .*` +
		`ValidatingAdmissionPolicy '` + here.namespace + `' .* denied request: no shells here\r?\n`
	end := here.run(t, "kubectl eshell deploy/app --wait -- true")
	if end.status != 125 || !regexp.MustCompile(want).MatchString(end.stderr) {
		t.Errorf("exit status %d, stderr is\n%s", end.status, end.stderr)
	}
	for _, via := range []string{"exec", "attach"} {
		term := open(t, "eshell", "-n", here.namespace, "deploy/app", "--wait", "--via", via)
		term.expect(want)
		if got := term.status(); got != 125 {
			t.Errorf("by %s: exit status %d", via, got)
		}
	}
	here.left(t, before)
}

// TestRestricted: what Pod Security lets pass as a workload passes as its clone.
func TestRestricted(t *testing.T) {
	t.Parallel()
	const strict = "{name: app, securityContext: {runAsUser: 1000, runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}, image:"
	here := newRealm(t, "restricted", strings.Replace(application, "{name: app, image:", strict, 1))
	restricted(t, here)
	kubectl(t, "label", "namespace", here.namespace, "pod-security.kubernetes.io/warn=restricted")
	end := here.run(t, "kubectl eshell deploy/app -- true")
	if end.status != 0 || strings.Contains(end.stderr, "warning") || strings.Contains(end.stderr,
		"no lease") {
		t.Errorf("exit status %d, stderr is\n%s", end.status, end.stderr)
	}
}

// namespaceFixture is a namespace of a test's own.
type namespaceFixture struct{ namespace string }

// application has no pods yet.
const application = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 0
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      serviceAccountName: default
      terminationGracePeriodSeconds: 0
      containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]
`

func newRealm(t *testing.T, name, manifest string) namespaceFixture {
	t.Helper()
	r := namespaceFixture{env.namespace + "-" + name}
	core := client(t).CoreV1()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace}}
	if _, err := core.Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := core.Namespaces().Delete(context.Background(), r.namespace,
			metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	r.await(t, "the service account default", func(ctx context.Context) (bool, error) {
		_, err := core.ServiceAccounts(r.namespace).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	r.apply(t, manifest)
	return r
}

// await waits until something is so, and asks for itself: nothing could be watched, or not for the price.
func (r namespaceFixture) await(t *testing.T, what string, is wait.ConditionWithContextFunc) {
	t.Helper()
	if err := until(t.Context(), patience, is); err != nil {
		t.Fatalf("namespace %s: %s: %v", r.namespace, what, err)
	}
}

// apply applies a manifest, in which NAMESPACE is the realm's name.
func (r namespaceFixture) apply(t *testing.T, manifest string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(env.bin, "kubectl"), "apply", "-n", r.namespace, "-f", "-")
	cmd.Env, cmd.Stdin = env.env(), strings.NewReader(strings.ReplaceAll(manifest, "NAMESPACE", r.namespace))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s", err, out)
	}
}

// pods are the names of the pods that are there, each with its ephemeral containers.
func (r namespaceFixture) pods(t *testing.T) string {
	t.Helper()
	list, err := client(t).CoreV1().Pods(r.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, pod := range list.Items {
		ephemeral, err := json.Marshal(pod.Spec.EphemeralContainers)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %s\n", pod.Name, ephemeral)
	}
	return text.String()
}

func (r namespaceFixture) left(t *testing.T, before string) {
	t.Helper()
	if left := r.pods(t); left != before {
		t.Errorf("the pods are\n%s, were\n%s", left, before)
	}
}

// run runs what a user types, with the realm as the current namespace. Where kubectl is not what is
// tested, kubectl-eshell is typed: the plugin itself.
func (r namespaceFixture) run(t *testing.T, line string) ending {
	t.Helper()
	var stdout, stderr bytes.Buffer
	for _, eshell := range []string{"kubectl eshell ", "kubectl-eshell "} {
		line = strings.Replace(line, eshell, eshell+"-n "+r.namespace+" ", 1)
	}
	if strings.Contains(line, "eshell ") {
		defer env.startOne()()
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Env, cmd.Stdout, cmd.Stderr = env.env(), &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ending{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// follow types what the hint on stderr says: a command, or flags for the same session.
func (r namespaceFixture) follow(t *testing.T, was refused, stderr string) {
	t.Helper()
	_, next, _ := strings.Cut(stderr, "\nhint: ")
	_, flags, _ := strings.Cut(strings.TrimSpace(next), ": ")
	workload, _, _ := strings.Cut(was.typed, " ")
	line := "kubectl eshell " + workload + " " + flags + " " + was.also + " -- true"
	if strings.HasPrefix(flags, "kubectl ") {
		line = flags
	}
	end := r.run(t, line)
	if end.status != 0 {
		t.Errorf("%s: exit status %d, stderr is\n%s", line, end.status, end.stderr)
	}
	for _, clone := range headlines(end.stderr) {
		r.without(t, clone)
	}
}

// without waits until nothing of the session is left in the realm.
func (r namespaceFixture) without(t *testing.T, session started) {
	t.Helper()
	if err := session.leaves(t.Context(), r.namespace, patience); err != nil {
		t.Fatal(err)
	}
}

// quota has room for a small clone that says how small it is.
func quota(t *testing.T, r namespaceFixture) {
	kubectl(t, "create", "quota", "small", "-n", r.namespace, "--hard=requests.cpu=200m,limits.memory=128Mi")
	r.counted(t, "small")
}

func noPods(t *testing.T, r namespaceFixture) {
	kubectl(t, "create", "quota", "none", "-n", r.namespace, "--hard=pods=0")
	r.counted(t, "none")
}

// counted waits until a quota knows what is used: before that it lets nothing pass, for that reason.
func (r namespaceFixture) counted(t *testing.T, quota string) {
	kubectl(t, "wait", "-n", r.namespace, "--for=jsonpath={.status.used}", "quota/"+quota, "--timeout=60s")
}

func limitRange(t *testing.T, r namespaceFixture) {
	r.apply(t, `
apiVersion: v1
kind: LimitRange
metadata: {name: bounds}
spec: {limits: [{type: Container, min: {cpu: 50m, memory: 16Mi}, max: {cpu: 200m, memory: 64Mi}}]}
`)
}

func restricted(t *testing.T, r namespaceFixture) {
	kubectl(t, "label", "namespace", r.namespace, "pod-security.kubernetes.io/enforce=restricted")
	r.refuses(t, "violates PodSecurity")
}

func noAccount(t *testing.T, r namespaceFixture) {
	r.apply(t, strings.Replace(application, "serviceAccountName: default", "serviceAccountName: none", 1))
}

func noCreate(t *testing.T, r namespaceFixture) {
	r.apply(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [get]}
- {apiGroups: [""], resources: [pods], verbs: [watch, delete]}
- {apiGroups: [""], resources: [pods/exec, pods/attach], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
`)
}

// policy wants a label that the pod which is there does not have either.
func policy(t *testing.T, r namespaceFixture) {
	r.apply(t, `{apiVersion: v1, kind: Pod, metadata: {name: old}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: app, image: "localhost/eshell/busybox:1", command: [sleep, "86400"]}]}}`)
	kubectl(t, "wait", "--for=condition=Ready", "-n", r.namespace, "pod/old", "--timeout=60s")
	t.Cleanup(func() {
		kubectl(t, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", r.namespace)
	})
	r.apply(t, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAMESPACE}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
    - {apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [pods/ephemeralcontainers]}
  validations: [{expression: "has(object.metadata.labels) && 'team' in object.metadata.labels", message: "pods need the label team"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAMESPACE}
spec:
  policyName: NAMESPACE
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}
`)
	r.refuses(t, "ValidatingAdmissionPolicy")
}

// webhook wants the same. It is the test's own, within the API server's reach on this machine only.
func webhook(t *testing.T, r namespaceFixture) {
	if !env.embedded {
		t.Skip("the API server of an existing cluster does not reach a webhook here")
	}
	server := httptest.NewTLSServer(http.HandlerFunc(review))
	t.Cleanup(server.Close)
	t.Cleanup(func() { kubectl(t, "delete", "validatingwebhookconfiguration", r.namespace) })
	configuration, err := json.Marshal(map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
		"metadata": map[string]any{"name": r.namespace},
		"webhooks": []any{map[string]any{
			"name": "hook.eshell.test", "sideEffects": "None", "admissionReviewVersions": []string{"v1"},
			"clientConfig": map[string]any{"url": server.URL,
				"caBundle": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
					Bytes: server.Certificate().Raw})},
			"namespaceSelector": map[string]any{
				"matchLabels": map[string]any{"kubernetes.io/metadata.name": r.namespace}},
			"rules": []any{map[string]any{"apiGroups": []string{""},
				"apiVersions": []string{"v1"}, "operations": []string{"CREATE"},
				"resources": []string{"pods"}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.apply(t, string(configuration))
	r.refuses(t, "admission webhook")
}

// review lets pods pass that have the label team.
func review(w http.ResponseWriter, req *http.Request) {
	var asked struct {
		Request struct {
			UID    string
			Object struct {
				Metadata struct{ Labels map[string]string }
			}
		}
	}
	if err := json.NewDecoder(req.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, allowed := asked.Request.Object.Metadata.Labels["team"]
	answer := map[string]any{"uid": asked.Request.UID, "allowed": allowed,
		"status": map[string]any{"message": "pods need the label team"}}
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1",
		"kind": "AdmissionReview", "response": answer})
}

// refuses waits until the server has taken a rule to heart: nothing that could be watched says so.
func (r namespaceFixture) refuses(t *testing.T, words string) {
	t.Helper()
	probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "probe", Image: "probe",
			SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}},
	}}
	r.await(t, "the server refuses no pod with: "+words, func(ctx context.Context) (bool, error) {
		dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		_, err := client(t).CoreV1().Pods(r.namespace).Create(ctx, probe, dry)
		return err != nil && strings.Contains(err.Error(), words), nil
	})
}
