package diagnosis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// refusedClone is a clone of one container; a test states its deviations. nil: an ephemeral container.
func refusedClone(change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
	for _, c := range change {
		c(pod)
	}
	return pod
}

func asUser(pod *corev1.Pod) {
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(7))}
}

func withInitContainer(pod *corev1.Pod) {
	pod.Spec.InitContainers = []corev1.Container{{Name: "config"}}
}

// no is the answer of an admission plugin that knows the pod's name, as all do.
func no(words string) metav1.Status {
	return metav1.Status{Message: `pods "p" is forbidden: ` + words, Reason: metav1.StatusReasonForbidden,
		Code: 403, Details: &metav1.StatusDetails{Name: "p", Kind: "pods"}}
}

// What Kubernetes 1.36.3 answered.
const (
	exceeded     = "exceeded quota: small, requested: limits.memory=128Mi,requests.cpu=200m, used: limits.memory=0,requests.cpu=20m, limited: limits.memory=64Mi,requests.cpu=100m"
	tooMany      = "exceeded quota: count, requested: pods=1, used: pods=0, limited: pods=0"
	unspecified  = "failed quota: small: must specify limits.memory for: app; requests.cpu for: app"
	aboveMaximum = "[maximum cpu usage per Container is 200m, but limit is 500m, maximum memory usage per Container is 64Mi, but limit is 128Mi, maximum cpu usage per Pod is 300m, but limit is 500m]"
	belowMinimum = "[minimum cpu usage per Container is 300m, but request is 200m, minimum memory usage per Container is 32Mi, but request is 16Mi, cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000]"
	badRatio     = "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000"
	lax          = `violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "app" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "app" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "app" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`
	onTheHost    = `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true), hostPath volumes (volume "root"), privileged (container "app" must not set securityContext.privileged=true)`
	noAccount    = `error looking up service account shop/none: serviceaccount "none" not found`
	noClass      = "no PriorityClass with name none was found"
	policy       = "ValidatingAdmissionPolicy 'owner' with binding 'owner-here' denied request: pods need the label team"
)

const strictApp = `{"name":"app","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"add":null,"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}}`

func TestRefusal(t *testing.T) {
	const (
		describeQuota = "see its limits and use: kubectl describe quota "
		describeRange = "see the limits: kubectl describe limitrange -n shop"
		byOverrides   = "change the clone with --overrides, and check it: --dry-run=server -o name"
		strict        = "--override-type strategic --overrides '" + `{"spec":{"containers":[` + strictApp +
			"]}}'"
		debug = "leave out --mode debug for a clone"
	)
	noPermission := metav1.Status{
		Message: `pods is forbidden: User "nobody" cannot create resource "pods" in API group "" in the namespace "shop"`, Reason: metav1.StatusReasonForbidden, Code: 403, Details: &metav1.StatusDetails{Kind: "pods"}}
	invalid := metav1.Status{Message: `pods "p" is forbidden: ` + policy, Reason: metav1.StatusReasonInvalid,
		Code: 422, Details: &metav1.StatusDetails{Name: "p", Kind: "pods"}}
	webhook := metav1.Status{
		Message: `admission webhook "hook.eshell.test" denied the request: not on my watch`, Code: 400}
	namelessWebhook := metav1.Status{Message: webhook.Message, Reason: metav1.StatusReasonForbidden,
		Code:    403,
		Details: &metav1.StatusDetails{Kind: "pods"}}
	lostWebhook := metav1.Status{
		Message: `Internal error occurred: failed calling webhook "hook.eshell.test": failed to call webhook: Post "https://127.0.0.1:9/x?timeout=2s": dial tcp 127.0.0.1:9: connect: connection refused`, Reason: metav1.StatusReasonInternalError, Code: 500}
	tests := []struct {
		name string
		pod  *corev1.Pod
		no   metav1.Status
		want string
	}{
		{"a quota that is used up", refusedClone(), no(exceeded), describeQuota + "small -n shop"},
		{"a quota of something else", refusedClone(), no(tooMany), describeQuota + "count -n shop"},
		{"a quota that wants sizes", refusedClone(), no(unspecified),
			"set the sizes, for example: --cpu 100m --memory 128Mi"},
		{"a quota that wants one size", refusedClone(),
			no("failed quota: small: must specify limits.memory for: app"),
			"set the sizes, for example: --memory 128Mi"},
		{"a quota that wants sizes of another container", refusedClone(withInitContainer),
			no("failed quota: small: must specify limits.memory for: config"),
			describeQuota + "small -n shop"},
		{"above a limit range", refusedClone(), no(aboveMaximum), describeRange},
		{"below a limit range", refusedClone(), no(belowMinimum), describeRange},
		{"a limit range's ratio", refusedClone(), no(badRatio), describeRange},
		{"Pod Security restricted", refusedClone(), no(lax), "meet the policy: --as-user 1000 " + strict},
		{"Pod Security restricted, with a user", refusedClone(asUser), no(lax), "meet the policy: " + strict},
		{"Pod Security baseline", refusedClone(), no(onTheHost),
			"see what the namespace enforces: kubectl get namespace shop --show-labels"},
		{"a policy", refusedClone(), invalid, byOverrides},
		{"a policy that speaks of quotas", refusedClone(), no(policy + "; " + tooMany), byOverrides},
		{"a webhook", refusedClone(), webhook, byOverrides},
		{"a webhook that knows no name", refusedClone(), namelessWebhook, byOverrides},
		{"a webhook that does not answer", refusedClone(), lostWebhook,
			"list the webhooks: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"},
		{"no service account", refusedClone(), no(noAccount),
			"use one that exists: --service-account default"},
		{"no permission", refusedClone(), noPermission,
			"ask for the permission, and check it: kubectl auth can-i create pods -n shop"},
		{"anything else", refusedClone(), no(noClass), ""},
		{"debug: Pod Security", nil, no(lax), debug},
		{"debug: a policy", nil, invalid, debug},
		{"debug: a webhook", nil, webhook, debug},
		{"debug: no permission", nil, no(`User "nobody" cannot patch resource "pods/ephemeralcontainers"`),
			""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refusal := fmt.Errorf("create pod/p: %w", &apierrors.StatusError{ErrStatus: tt.no})
			err := Refusal(refusal, "shop", tt.pod, "app")
			if got := hint.Of(err); got != tt.want {
				t.Errorf("proposes %q\nwant %q", got, tt.want)
			}
			if err.Error() != refusal.Error() || !errors.Is(err, refusal) {
				t.Errorf("the error became %q, was %q", err, refusal)
			}
		})
	}
}

// TestNoAnswer: without an answer of the server there is nothing to go by.
func TestNoAnswer(t *testing.T) {
	for _, err := range []error{nil, context.Canceled} {
		if got := Refusal(err, "shop", refusedClone(), "app"); !errors.Is(got, err) || hint.Of(got) != "" {
			t.Errorf("%v became %v", err, got)
		}
	}
}

// TestStricter: the patch makes the containers strict and leaves the rest of them alone.
func TestStricter(t *testing.T) {
	before := refusedClone(withInitContainer)
	before.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		ReadOnlyRootFilesystem: new(true),
		Capabilities:           &corev1.Capabilities{Add: []corev1.Capability{"SYS_TIME"}}}
	document, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := strategicpatch.StrategicMergePatch(document, []byte(stricter(before.Spec)), corev1.Pod{})
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	if err := json.Unmarshal(patched, &pod); err != nil {
		t.Fatal(err)
	}
	context := corev1.SecurityContext{AllowPrivilegeEscalation: new(false), RunAsNonRoot: new(true),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	want := before.DeepCopy()
	want.Spec.InitContainers[0].SecurityContext = context.DeepCopy()
	context.ReadOnlyRootFilesystem = new(true)
	want.Spec.Containers[0].SecurityContext = &context
	if !equality.Semantic.DeepEqual(&pod, want) {
		t.Errorf("patched to\n%+v\nwant\n%+v", pod.Spec, want.Spec)
	}
}
