package session

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// withProposal returns err with the one thing to type next, where the server's refusal tells it.
func withProposal(p *plan.Plan, err error) error {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return err
	}
	if next := proposal(p, answer.Status()); next != "" {
		return hint.Errorf(next, "%w", err)
	}
	return err
}

// refusal is one way of the server to say no to a pod, and what is to be typed then. Admission
// plugins share status codes and give no details: their texts alone tell them apart.
type refusal struct {
	text    *regexp.Regexp
	propose func(p *plan.Plan, said []string) string // said: the text's groups
}

// The texts are those of Kubernetes' pkg/admission/plugin and plugin/pkg/admission. Policies come
// first: what they say is their authors' own, and may sound like another refusal.
func refusals() []refusal {
	return []refusal{
		{regexp.MustCompile(`ValidatingAdmissionPolicy '.+' denied request|admission webhook ".+" denied the request`), underPolicy},
		{regexp.MustCompile(`failed calling webhook`), underNoWebhook},
		{regexp.MustCompile(`exceeded quota: ([^ ,]+), requested: ([^ ]+), used: ([^ ]+), limited: ([^ ]+)`), withinQuota},
		{regexp.MustCompile(`failed quota: ([^ :]+): must specify (.+)`), underQuota},
		{regexp.MustCompile(`(?:(?:minimum|maximum) \S+ usage|max limit to request ratio) per (?:Container|Pod) is .+`), withinLimitRange},
		{regexp.MustCompile(`violates PodSecurity "[^"]+": .+`), underPodSecurity},
		{regexp.MustCompile(`error looking up service account`), underNoServiceAccount},
	}
}

// judged are the admission plugins that look at a pod again when it gets an ephemeral container.
var judged = regexp.MustCompile(`violates PodSecurity|ValidatingAdmissionPolicy '|admission webhook "`)

// proposal is what to type after the server's no, or "". Of a caller without permission to add an
// ephemeral container package ephemeral has spoken.
func proposal(p *plan.Plan, no metav1.Status) string {
	if p.Ephemeral != nil {
		if judged.MatchString(no.Message) {
			return "leave out --mode debug for a clone"
		}
		return ""
	}
	for _, r := range refusals() {
		if said := r.text.FindStringSubmatch(no.Message); said != nil {
			return r.propose(p, said)
		}
	}
	if unauthorized(no) {
		return "ask for it, and check with: kubectl auth can-i create pods -n " + p.Namespace
	}
	return ""
}

// unauthorized tells the authorizer's refusal: it comes before the name is read, admission's after.
func unauthorized(no metav1.Status) bool {
	return no.Reason == metav1.StatusReasonForbidden && no.Details != nil && no.Details.Name == ""
}

// underPolicy knows nothing of what a policy wants but its words, which the user has read.
func underPolicy(*plan.Plan, []string) string {
	return "change the clone with --overrides; whether it passes then: --dry-run=server -o name"
}

func underNoWebhook(*plan.Plan, []string) string {
	return "who is asked: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"
}

func underNoServiceAccount(*plan.Plan, []string) string {
	return "take one that is there: --service-account default"
}

// withinQuota proposes what a quota has left, if that is processor time or memory.
func withinQuota(p *plan.Plan, said []string) string {
	describe := describeQuota(p, said[1])
	used, limited, fits := amounts(said[3]), amounts(said[4]), sizes{}
	for counted, asked := range amounts(said[2]) {
		name, sized := sizeOf(counted)
		left := limited[counted]
		left.Sub(used[counted])
		left.Sub(othersShare(p, counted, asked))
		if !sized || left.Sign() <= 0 {
			return describe
		}
		fits.keep(name, left, -1)
	}
	return "take what quota " + said[1] + " has left: " + fits.flags()
}

// othersShare is what a pod asks for beside the container that --cpu and --memory size. Of a lone
// container nothing is said: the server may have given it a default that the plan does not know.
func othersShare(p *plan.Plan, counted string, asked resource.Quantity) resource.Quantity {
	if alone(p) {
		return resource.Quantity{}
	}
	name, _ := sizeOf(counted)
	own, set := chosen(p).Requests[name]
	if !set || strings.HasPrefix(counted, "limits.") {
		own = chosen(p).Limits[name]
	}
	asked.Sub(own)
	return asked
}

// underQuota proposes sizes where a quota wants the container to say some.
func underQuota(p *plan.Plan, said []string) string {
	examples, some := sizes{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")}, sizes{}
	for _, missing := range strings.Split(said[2], "; ") {
		counted, containers, _ := strings.Cut(missing, " for: ")
		name, sized := sizeOf(counted)
		if !sized || containers != p.Container {
			return describeQuota(p, said[1])
		}
		some[name] = examples[name]
	}
	return "say how much, for example: " + some.flags()
}

func describeQuota(p *plan.Plan, name string) string {
	return "what it allows and what is used: kubectl describe quota " + name + " -n " + p.Namespace
}

var bound = regexp.MustCompile(`(minimum|maximum) (\S+) usage per (?:Container|Pod) is (\w+)(?:, but (?:request|limit) is (\w+))?`)

// withinLimitRange proposes the bounds that the container broke. Which container it was is not said.
func withinLimitRange(p *plan.Plan, said []string) string {
	describe := "what is allowed: kubectl describe limitrange -n " + p.Namespace
	bounds, floor, ceiling := bound.FindAllStringSubmatch(said[0], -1), sizes{}, sizes{}
	for _, b := range bounds {
		name, known := sizeOf(b[2])
		allowed, err := resource.ParseQuantity(b[3])
		if !known || err != nil || !alone(p) && !asks(chosen(p), name, b[4]) {
			return describe
		}
		if b[1] == "minimum" {
			floor.keep(name, allowed, 1)
		} else {
			ceiling.keep(name, allowed, -1)
		}
	}
	maps.Copy(floor, ceiling) // the flags set request and limit alike: the maximum is above any minimum
	if len(floor) == 0 {
		return describe
	}
	return "stay within the limit range: " + floor.flags()
}

// asks reports whether the resources are the ones of which the server said: quantity, or none.
func asks(resources corev1.ResourceRequirements, name corev1.ResourceName, quantity string) bool {
	request, limit := resources.Requests[name], resources.Limits[name]
	if quantity == "" {
		return request.IsZero() && limit.IsZero()
	}
	return quantity == request.String() || quantity == limit.String()
}

var violation = regexp.MustCompile(`(?:": |\), )([^(]+) \(([^)]+)`)

// underPodSecurity proposes a stricter clone where that takes nothing but security users. Host
// namespaces, host paths and privileges are what the workload is: then it says where the rule stands.
func underPodSecurity(p *plan.Plan, said []string) string {
	user := ""
	for _, v := range violation.FindAllStringSubmatch(said[0], -1) {
		switch v[1] {
		case "allowPrivilegeEscalation != false", "unrestricted capabilities", "seccompProfile":
		case "runAsNonRoot != true":
			if !hasUser(p.Pod) {
				user = "--as-user 1000 " // the image's is root, as a rule: such a container would not start
			}
		default:
			return "what the namespace enforces: kubectl get namespace " + p.Namespace + " --show-labels"
		}
	}
	return "be as strict as it asks: " + user + "--override-type strategic --overrides '" + stricter(p.Pod.Spec) + "'"
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
	const context = `{"allowPrivilegeEscalation":false,"capabilities":{"add":null,"drop":["ALL"]},"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}`
	var patches []string
	for _, c := range containers {
		patches = append(patches, `{"name":"`+c.Name+`","securityContext":`+context+`}`)
	}
	return "[" + strings.Join(patches, ",") + "]"
}

// sizes are values for the flags --cpu and --memory.
type sizes map[corev1.ResourceName]resource.Quantity

// keep takes q unless there is a better one: sign says whether the better is above (1) or below (-1).
func (s sizes) keep(name corev1.ResourceName, q resource.Quantity, sign int) {
	if old, set := s[name]; !set || q.Cmp(old) == sign {
		s[name] = q
	}
}

func (s sizes) flags() string {
	var flags []string
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q, set := s[name]; set {
			flags = append(flags, fmt.Sprintf("--%s %s", name, &q))
		}
	}
	return strings.Join(flags, " ")
}

// sizeOf is the resource behind a quota's word for it, and whether a flag sizes it.
func sizeOf(counted string) (corev1.ResourceName, bool) {
	name := corev1.ResourceName(strings.TrimPrefix(strings.TrimPrefix(counted, "requests."), "limits."))
	return name, name == corev1.ResourceCPU || name == corev1.ResourceMemory
}

// amounts reads a quota's list: limits.memory=128Mi,requests.cpu=200m
func amounts(list string) map[string]resource.Quantity {
	read := map[string]resource.Quantity{}
	for _, item := range strings.Split(list, ",") {
		name, value, _ := strings.Cut(item, "=")
		if quantity, err := resource.ParseQuantity(value); err == nil {
			read[name] = quantity
		}
	}
	return read
}

// chosen are the resources of the container that the flags size.
func chosen(p *plan.Plan) corev1.ResourceRequirements {
	for _, c := range p.Pod.Spec.Containers {
		if c.Name == p.Container {
			return c.Resources
		}
	}
	return corev1.ResourceRequirements{}
}

func alone(p *plan.Plan) bool {
	return len(p.Pod.Spec.Containers) == 1 && len(p.Pod.Spec.InitContainers) == 0
}
