package diagnosis

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// Refusal adds to err, the server's answer to a create, the one thing to type next, where the answer tells
// it. pod is the clone that was refused, or nil for an ephemeral container; container is the session's.
func Refusal(err error, namespace string, pod *corev1.Pod, container string) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err
	}
	r := refusal{answer.Status(), namespace, pod, container}
	if next := r.next(); next != "" {
		return hint.Wrap(err, next)
	}
	return err
}

// refusal is what the server refused, and its answer.
type refusal struct {
	answer    metav1.Status
	namespace string
	pod       *corev1.Pod
	container string
}

// reason is one reason to refuse a pod. Admission plugins share status codes and give no details: their texts
// alone tell them apart.
type reason struct {
	text *regexp.Regexp
	next func(r refusal, groups []string) string // groups: the text's
}

// The texts are those of Kubernetes' pkg/admission/plugin and plugin/pkg/admission. Policies come
// first: what they say is their authors' own, and may sound like another refusal.
func reasons() []reason {
	return []reason{
		{regexp.MustCompile(
			`ValidatingAdmissionPolicy '.+' denied request|admission webhook ".+" denied the request`),
			tryOverrides},
		{regexp.MustCompile(`failed calling webhook`), listWebhooks},
		{regexp.MustCompile(`exceeded quota: ([^ ,]+), requested: `), describeQuota},
		{regexp.MustCompile(`failed quota: ([^ :]+): must specify (.+)`), setSizes},
		{regexp.MustCompile(
			`(?:(?:minimum|maximum) \S+ usage|max limit to request ratio) per (?:Container|Pod) is .+`),
			describeLimitRange},
		{regexp.MustCompile(`violates PodSecurity "[^"]+": .+`), beStricter},
		{regexp.MustCompile(`error looking up service account`), takeDefaultAccount},
	}
}

// reviewed are the admission plugins that look at a pod again when it gets an ephemeral container.
var reviewed = regexp.MustCompile(`violates PodSecurity|ValidatingAdmissionPolicy '|admission webhook "`)

// next is what to type after the refusal, or "". Of a caller without permission to add an ephemeral container
// package ephemeral has spoken.
func (r refusal) next() string {
	if r.pod == nil {
		if reviewed.MatchString(r.answer.Message) {
			return "leave out --mode debug for a clone"
		}
		return ""
	}
	for _, reason := range reasons() {
		if groups := reason.text.FindStringSubmatch(r.answer.Message); groups != nil {
			return reason.next(r, groups)
		}
	}
	if unauthorized(r.answer) {
		return "ask for the permission, and check it: kubectl auth can-i create pods -n " + r.namespace
	}
	return ""
}

// unauthorized tells the authorizer's refusal: it comes before the name is read, admission's after.
func unauthorized(answer metav1.Status) bool {
	return answer.Reason == metav1.StatusReasonForbidden && answer.Details != nil && answer.Details.Name == ""
}

// tryOverrides knows nothing of what a policy wants but its words, which the user has read.
func tryOverrides(refusal, []string) string {
	return "change the clone with --overrides, and check it: --dry-run=server -o name"
}

func listWebhooks(refusal, []string) string {
	return "list the webhooks: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"
}

func takeDefaultAccount(refusal, []string) string {
	return "use one that exists: --service-account default"
}

func describeQuota(r refusal, groups []string) string {
	return "see its limits and use: kubectl describe quota " + groups[1] + " -n " + r.namespace
}

func describeLimitRange(r refusal, _ []string) string {
	return "see the limits: kubectl describe limitrange -n " + r.namespace
}

// setSizes gives examples of the sizes that a quota wants the session's container to state.
func setSizes(r refusal, groups []string) string {
	missing := strings.Split(groups[2], "; ")
	var flags []string
	for _, size := range smallSizes() {
		wanted := regexp.MustCompile(`^(?:(?:requests|limits)\.)?` + string(size.name) + ` for: ` +
			regexp.QuoteMeta(r.container) + `$`)
		stated := len(missing)
		missing = slices.DeleteFunc(missing, wanted.MatchString)
		if len(missing) < stated {
			flags = append(flags, size.flag())
		}
	}
	if len(missing) > 0 { // something that no flag sets, or another container's
		return describeQuota(r, groups)
	}
	return "set the sizes, for example: " + strings.Join(flags, " ")
}

var violation = regexp.MustCompile(`(?:": |\), )([^(]+) \(([^)]+)`)

// beStricter proposes a stricter clone where that takes nothing but security users. Host
// namespaces, host paths and privileges are what the workload is: then it says where the rule stands.
func beStricter(r refusal, groups []string) string {
	user := ""
	for _, v := range violation.FindAllStringSubmatch(groups[0], -1) {
		switch v[1] {
		case "allowPrivilegeEscalation != false", "unrestricted capabilities", "seccompProfile":
		case "runAsNonRoot != true":
			if !hasUser(r.pod) {
				user = "--as-user 1000 " // the image's is root, as a rule: such a container would not start
			}
		default:
			return "see what the namespace enforces: kubectl get namespace " + r.namespace + " --show-labels"
		}
	}
	return "meet the policy: " + user + "--override-type strategic --overrides '" + stricter(r.pod.Spec) + "'"
}

func hasUser(pod *corev1.Pod) bool {
	var users []*int64
	if pod.Spec.SecurityContext != nil {
		users = append(users, pod.Spec.SecurityContext.RunAsUser)
	}
	for _, c := range pod.Spec.Containers {
		if c.SecurityContext != nil {
			users = append(users, c.SecurityContext.RunAsUser)
		}
	}
	return slices.ContainsFunc(users, func(user *int64) bool { return user != nil })
}

// stricter is the patch with which containers pass "restricted":
// https://kubernetes.io/docs/concepts/security/pod-security-standards/
func stricter(spec corev1.PodSpec) string {
	patch := `{"spec":{"containers":` + stricterEach(spec.Containers)
	if len(spec.InitContainers) > 0 {
		patch += `,"initContainers":` + stricterEach(spec.InitContainers)
	}
	return patch + "}}"
}

func stricterEach(containers []corev1.Container) string {
	const context = `{"allowPrivilegeEscalation":false,"capabilities":{"add":null,"drop":["ALL"]},` +
		`"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}`
	var patches []string
	for _, c := range containers {
		patches = append(patches, `{"name":"`+c.Name+`","securityContext":`+context+`}`)
	}
	return "[" + strings.Join(patches, ",") + "]"
}
