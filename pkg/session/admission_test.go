package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// refusedPlan is a clone of one container that asks for more than anybody allows here.
func refusedPlan(change ...func(*plan.Plan)) *plan.Plan {
	p := clonePlan()
	p.Container = "app"
	p.Pod.Spec.Containers = []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("200m"), "memory": resource.MustParse("16Mi")},
		Limits:   corev1.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("128Mi")},
	}}}
	for _, c := range change {
		c(p)
	}
	return p
}

func unsized(p *plan.Plan) { p.Pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }

func asUser(p *plan.Plan) {
	p.Pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(7))}
}

func withInitContainer(p *plan.Plan) {
	p.Pod.Spec.InitContainers = []corev1.Container{{Name: "config"}}
}

func inDebugMode(p *plan.Plan) {
	p.Pod, p.Ephemeral = nil, &corev1.EphemeralContainer{}
}

// no is the answer of an admission plugin that knows the pod's name, as all do.
func no(words string) metav1.Status {
	return metav1.Status{Message: `pods "p" is forbidden: ` + words, Reason: metav1.StatusReasonForbidden, Code: 403, Details: &metav1.StatusDetails{Name: "p", Kind: "pods"}}
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

func TestProposal(t *testing.T) {
	const (
		describeQuota = "what it allows and what is used: kubectl describe quota "
		describeRange = "what is allowed: kubectl describe limitrange -n shop"
		byOverrides   = "change the clone with --overrides; whether it passes then: --dry-run=server -o name"
		strict        = "--override-type strategic --overrides '" + `{"spec":{"containers":[` + strictApp + "]}}'"
		debug         = "leave out --mode debug for a clone"
	)
	noPermission := metav1.Status{Message: `pods is forbidden: User "nobody" cannot create resource "pods" in API group "" in the namespace "shop"`, Reason: metav1.StatusReasonForbidden, Code: 403, Details: &metav1.StatusDetails{Kind: "pods"}}
	invalid := metav1.Status{Message: `pods "p" is forbidden: ` + policy, Reason: metav1.StatusReasonInvalid, Code: 422, Details: &metav1.StatusDetails{Name: "p", Kind: "pods"}}
	webhook := metav1.Status{Message: `admission webhook "hook.eshell.test" denied the request: not on my watch`, Code: 400}
	lostWebhook := metav1.Status{Message: `Internal error occurred: failed calling webhook "hook.eshell.test": failed to call webhook: Post "https://127.0.0.1:9/x?timeout=2s": dial tcp 127.0.0.1:9: connect: connection refused`, Reason: metav1.StatusReasonInternalError, Code: 500}
	tests := []struct {
		name string
		plan *plan.Plan
		no   metav1.Status
		want string
	}{
		{"a quota's rest", refusedPlan(), no(exceeded), "take what quota small has left: --cpu 80m --memory 64Mi"},
		{"a quota's rest, of defaults that the server set", refusedPlan(unsized), no(exceeded), "take what quota small has left: --cpu 80m --memory 64Mi"},
		{"a quota that another container uses up", refusedPlan(unsized, withInitContainer), no(exceeded), describeQuota + "small -n shop"},
		{"a quota that is used up", refusedPlan(), no(strings.ReplaceAll(exceeded, "20m", "100m")), describeQuota + "small -n shop"},
		{"a quota of something else", refusedPlan(), no(tooMany), describeQuota + "count -n shop"},
		{"a quota that wants sizes", refusedPlan(unsized), no(unspecified), "say how much, for example: --cpu 100m --memory 128Mi"},
		{"a quota that wants one size", refusedPlan(unsized), no("failed quota: small: must specify limits.memory for: app"), "say how much, for example: --memory 128Mi"},
		{"a quota that wants sizes of another container", refusedPlan(withInitContainer), no("failed quota: small: must specify limits.memory for: config"), describeQuota + "small -n shop"},
		{"above a limit range", refusedPlan(), no(aboveMaximum), "stay within the limit range: --cpu 200m --memory 64Mi"},
		{"below a limit range", refusedPlan(), no(belowMinimum), "stay within the limit range: --cpu 300m --memory 32Mi"},
		{"above a limit range beside another container", refusedPlan(withInitContainer), no(aboveMaximum), "stay within the limit range: --cpu 200m --memory 64Mi"},
		{"another container above a limit range", refusedPlan(unsized, withInitContainer), no(aboveMaximum), describeRange},
		{"a limit range's ratio", refusedPlan(), no(badRatio), describeRange},
		{"Pod Security restricted", refusedPlan(), no(lax), "be as strict as it asks: --as-user 1000 " + strict},
		{"Pod Security restricted, with a user", refusedPlan(asUser), no(lax), "be as strict as it asks: " + strict},
		{"Pod Security baseline", refusedPlan(), no(onTheHost), "what the namespace enforces: kubectl get namespace shop --show-labels"},
		{"a policy", refusedPlan(), invalid, byOverrides},
		{"a policy that speaks of quotas", refusedPlan(), no(policy + "; " + tooMany), byOverrides},
		{"a webhook", refusedPlan(), webhook, byOverrides},
		{"a webhook that does not answer", refusedPlan(), lostWebhook, "who is asked: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"},
		{"no service account", refusedPlan(), no(noAccount), "take one that is there: --service-account default"},
		{"no permission", refusedPlan(), noPermission, "ask for it, and check with: kubectl auth can-i create pods -n shop"},
		{"anything else", refusedPlan(), no(noClass), ""},
		{"debug: Pod Security", refusedPlan(inDebugMode), no(lax), debug},
		{"debug: a policy", refusedPlan(inDebugMode), invalid, debug},
		{"debug: a webhook", refusedPlan(inDebugMode), webhook, debug},
		{"debug: no permission", refusedPlan(inDebugMode), no(`User "nobody" cannot patch resource "pods/ephemeralcontainers"`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refusal := fmt.Errorf("create pod/p: %w", &apierrors.StatusError{ErrStatus: tt.no})
			err := withProposal(tt.plan, refusal)
			if got := hint.Of(err); got != tt.want {
				t.Errorf("proposes %q\nwant %q", got, tt.want)
			}
			if err.Error() != refusal.Error() || !errors.Is(err, refusal) {
				t.Errorf("the error became %q, was %q", err, refusal)
			}
		})
	}
}

// TestNoProposal: without an answer of the server there is nothing to go by.
func TestNoProposal(t *testing.T) {
	for _, err := range []error{nil, context.Canceled} {
		if got := withProposal(refusedPlan(), err); !errors.Is(got, err) || hint.Of(got) != "" {
			t.Errorf("%v became %v", err, got)
		}
	}
}

// TestStricter: the patch makes the containers strict and leaves the rest of them alone.
func TestStricter(t *testing.T) {
	p := refusedPlan(withInitContainer)
	p.Pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		ReadOnlyRootFilesystem: new(true), Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_TIME"}}}
	before, err := json.Marshal(p.Pod)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := strategicpatch.StrategicMergePatch(before, []byte(stricter(p.Pod.Spec)), corev1.Pod{})
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
	want := p.Pod.DeepCopy()
	want.Spec.InitContainers[0].SecurityContext = context.DeepCopy()
	context.ReadOnlyRootFilesystem = new(true)
	want.Spec.Containers[0].SecurityContext = &context
	if !equality.Semantic.DeepEqual(&pod, want) {
		t.Errorf("patched to\n%+v\nwant\n%+v", pod.Spec, want.Spec)
	}
}
