package policy

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/rand"
)

// TestFiles: each file has one policy and its bindings, which fail closed unless it refuses nothing, and each
// sentence begins with the policy's name, by which a client recognizes it.
func TestFiles(t *testing.T) {
	for _, name := range Names() {
		policy, bindings, err := read(name)
		if err != nil || len(bindings) == 0 {
			t.Errorf("%s.yaml has %d bindings: %v", name, len(bindings), err)
			continue
		}
		closed := admissionv1.Fail
		if name == Audit {
			closed = admissionv1.Ignore
		}
		if policy.Spec.FailurePolicy == nil || *policy.Spec.FailurePolicy != closed {
			t.Errorf("%s.yaml: failurePolicy is not %s", name, closed)
		}
		for _, binding := range bindings {
			if policy.Name != "eshell-"+name || !strings.HasPrefix(binding.Name, policy.Name) ||
				binding.Spec.PolicyName != policy.Name {
				t.Errorf("%s.yaml: the names are %s, %s and %s", name, policy.Name, binding.Name,
					binding.Spec.PolicyName)
			}
			if reads := policy.Spec.ParamKind != nil; reads != (binding.Spec.ParamRef != nil) || reads &&
				*binding.Spec.ParamRef.ParameterNotFoundAction != admissionv1.DenyAction {
				t.Errorf("%s.yaml: its parameters can be missing", name)
			}
		}
		for _, v := range policy.Spec.Validations {
			start := "eshell policy " + name + ": "
			if !strings.HasPrefix(v.Message, start) || v.MessageExpression != "" &&
				!strings.HasPrefix(v.MessageExpression, "'"+start) || *v.Reason != metav1.StatusReasonForbidden {
				t.Errorf("%s.yaml: %s", name, v.Message)
			}
		}
	}
}

// TestSessionIDs: the policies know each id that a session can have, and no word of the same length.
func TestSessionIDs(t *testing.T) {
	const ids = "[b-df-hj-np-tv-xz24-9]{5}"
	known := regexp.MustCompile("^" + ids + "$")
	for range 10_000 {
		if id := rand.String(5); !known.MatchString(id) {
			t.Fatalf("%s is the id of a session", id)
		}
	}
	if known.MatchString("tools") || known.MatchString("agent") {
		t.Error("a word is no id")
	}
	for _, name := range []string{Identity, Reason, TTL, Connect, Audit} {
		text, err := files.ReadFile(name + ".yaml")
		if err != nil || !bytes.Contains(text, []byte(ids)) {
			t.Errorf("%s.yaml does not know what an id is (%v)", name, err)
		}
	}
}

func TestPrint(t *testing.T) {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"env": "production"}}
	text, err := Print(Options{Names: []string{Debug, Reason}, Namespace: "platform", Selector: selector,
		Parameters: map[string]string{ReasonPattern: "^OPS"},
		Actions:    []admissionv1.ValidationAction{admissionv1.Warn, admissionv1.Audit}})
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(text), "---\n")
	if len(documents) != 6 || strings.Contains(string(text), "status:") {
		t.Fatalf("%d documents:\n%s", len(documents), text)
	}
	for n, parts := range [][]string{
		{"kind: ConfigMap", "reasonPattern: ^OPS", "maxTTL: 8h", "namespace: platform"},
		{"kind: ValidatingAdmissionPolicy\n", "name: eshell-reason"},
		{"kind: ValidatingAdmissionPolicyBinding", "policyName: eshell-reason", "- Warn\n  - Audit",
			"namespace: platform", "namespaceSelector:\n      matchLabels:\n        env: production"},
		{"name: eshell-reason-debug", "policyName: eshell-reason\n", "env: production"},
		{"name: eshell-debug"}, {"policyName: eshell-debug", "env: production"},
	} {
		for _, part := range parts {
			if !strings.Contains(documents[n], part) {
				t.Errorf("%q is missing in\n%s", part, documents[n])
			}
		}
	}
}

// TestPrintApart: the policy audit refuses nothing and reads nothing; the policy debug can have namespaces of
// its own.
func TestPrintApart(t *testing.T) {
	deny := []admissionv1.ValidationAction{admissionv1.Deny}
	text, err := Print(Options{Names: []string{Audit}, Actions: deny})
	if err != nil || strings.Contains(string(text), "Deny") || strings.Contains(string(text), "ConfigMap") {
		t.Errorf("%v:\n%s", err, text)
	}
	o := Options{Selector: &metav1.LabelSelector{}, DebugSelector: &metav1.LabelSelector{
		MatchLabels: map[string]string{"tier": "1"}}}
	for _, name := range Names() {
		_, bindings, err := read(name)
		if err != nil {
			t.Fatal(err)
		}
		want := o.Selector
		if name == Debug {
			want = o.DebugSelector
		}
		for _, binding := range bindings {
			o.bind(name, binding)
			if binding.Spec.MatchResources.NamespaceSelector != want {
				t.Errorf("%s: %+v", name, binding.Spec.MatchResources)
			}
		}
	}
}

func TestRefusal(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	answer := func(words string) error {
		return fmt.Errorf("create pod/x: %w", apierrors.NewForbidden(pods, "x", errors.New(words)))
	}
	const ours = "ValidatingAdmissionPolicy 'our-ttl' with binding 'b' denied request: eshell policy ttl: a session"
	got := Refusal(answer(ours))
	if got == nil || got.Policy != TTL || got.Object != "our-ttl" || got.Sentence != "a session" {
		t.Errorf("got %+v", got)
	}
	for _, why := range []string{"failed to configure binding: no params found",
		"expression 'variables.max' resulted in error: no params found"} {
		broken := Refusal(answer("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: " + why))
		if broken == nil || broken.Policy != "" || broken.Binding != "b" || broken.Error() !=
			"the policy p of this cluster refuses it, because it cannot be evaluated: no params found" {
			t.Errorf("got %+v", broken)
		}
	}
	for _, other := range []error{nil, errors.New(ours), answer("exceeded quota"),
		answer("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no")} {
		if got := Refusal(other); got != nil {
			t.Errorf("%v: got %+v", other, got)
		}
	}
	if !slices.Contains(Names(), got.Policy) {
		t.Error(got.Policy)
	}
}
