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

// Refusal adds to err, the server's answer to a create, what to type next, if the answer makes that clear.
// pod is the clone that was refused, or nil for an ephemeral container. container is the session's.
func Refusal(err error, namespace string, pod *corev1.Pod, container string) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err
	}
	status, next := answer.Status(), ""
	switch {
	case pod != nil:
		next = firstHint(refusalRules(), status.Message, subject{namespace, pod, container})
		if next == "" && unauthorized(status) {
			next = hint.Command("ask for the permission, and check it: kubectl auth can-i create pods -n %s",
				namespace)
		}
	case reviewed.MatchString(status.Message): // package ephemeral gives the other hints
		next = "leave out --mode debug for a clone"
	}
	if next == "" {
		return err
	}
	return hint.Wrap(err, next)
}

// IsPodSecurity reports whether err is a refusal by Pod Security admission:
// https://kubernetes.io/docs/concepts/security/pod-security-admission/
func IsPodSecurity(err error) bool {
	var answer apierrors.APIStatus
	return errors.As(err, &answer) && strings.Contains(answer.Status().Message, "violates PodSecurity")
}

// reviewed matches the messages of admission plugins that check a pod again when it gets an ephemeral
// container.
var reviewed = regexp.MustCompile(`violates PodSecurity|ValidatingAdmissionPolicy '|admission webhook "`)

// unauthorized reports whether the authorizer refused the request. It does so before the name is read, and
// admission after that.
func unauthorized(answer metav1.Status) bool {
	return answer.Reason == metav1.StatusReasonForbidden && answer.Details != nil && answer.Details.Name == ""
}

// refusalRules returns the rules for refusals by admission plugins. The plugins share status codes and give
// no details, so only their texts distinguish them. The texts are those of Kubernetes' pkg/admission/plugin
// and plugin/pkg/admission. Policies come first, because their texts are their authors' own and may sound
// like another refusal.
func refusalRules() []rule {
	return []rule{
		{regexp.MustCompile(`ValidatingAdmissionPolicy '.+' denied request|` +
			`admission webhook ".+" denied the request`),
			fixed("change the clone with --overrides, and check it: --dry-run=server -o name")},
		{regexp.MustCompile(`failed calling webhook`), fixed("list the webhooks: " +
			"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations")},
		{regexp.MustCompile(`exceeded quota: ([^ ,]+), requested: `), describeQuota},
		{regexp.MustCompile(`failed quota: ([^ :]+): must specify (.+)`), setSizes},
		{regexp.MustCompile(
			`(?:(?:minimum|maximum) \S+ usage|max limit to request ratio) per (?:Container|Pod) is `),
			fixed("see the limits: kubectl describe limitrange -n NAMESPACE")},
		{regexp.MustCompile(`violates PodSecurity "[^"]+": .+`), beStricter},
		{regexp.MustCompile(`error looking up service account`),
			fixed("use one that exists: --service-account default")},
	}
}

func describeQuota(s subject, groups []string) string {
	return hint.Command("see its limits and use: kubectl describe quota %s -n %s", groups[1], s.namespace)
}

// setSizes gives examples of the sizes that a quota requires of the session's container.
func setSizes(s subject, groups []string) string {
	var flags []string
	for _, missing := range strings.Split(groups[2], "; ") {
		name, of, _ := strings.Cut(missing, " for: ")
		name = strings.TrimPrefix(strings.TrimPrefix(name, "requests."), "limits.")
		size, known := smallSizes()[name]
		if !known || of != s.container { // no flag sets it, or it is another container's
			return describeQuota(s, groups)
		}
		flags = append(flags, "--"+name+" "+size)
	}
	slices.Sort(flags)
	return "set the sizes, for example: " + strings.Join(slices.Compact(flags), " ")
}

var violation = regexp.MustCompile(`(?:": |\), )([^(]+) \(([^)]+)`)

// beStricter proposes a stricter clone if changes to its security contexts are enough. If the policy refuses
// host namespaces, host paths or privileges, which are part of what the workload is, it proposes to look up
// the policy.
func beStricter(s subject, groups []string) string {
	user := ""
	for _, v := range violation.FindAllStringSubmatch(groups[0], -1) {
		switch v[1] {
		case "allowPrivilegeEscalation != false", "unrestricted capabilities", "seccompProfile":
		case "runAsNonRoot != true":
			if !hasUser(s.pod) {
				user = "--as-user 1000 " // the image's is usually root, so it would not start
			}
		default:
			return hint.Command("see what the namespace enforces: kubectl get namespace %s --show-labels",
				s.namespace)
		}
	}
	return hint.Command("meet the policy: "+user+"--override-type strategic --overrides %s",
		stricter(s.pod.Spec))
}

func hasUser(pod *corev1.Pod) bool {
	if pod.Spec.SecurityContext != nil && pod.Spec.SecurityContext.RunAsUser != nil {
		return true
	}
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil
	})
}

// stricter returns the patch with which the containers comply with "restricted":
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
