// Package policy holds ValidatingAdmissionPolicies about sessions, as YAML to be reviewed, and recognizes
// their refusals. The API server applies them to everybody, whatever client they use:
// https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
package policy

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	sigsyaml "sigs.k8s.io/yaml"
)

//go:embed *.yaml
var files embed.FS

// Names returns the names of the policies: those that others build on come first.
func Names() []string {
	return []string{Identity, Reason, TTL, Images, Debug, Connect, Audit}
}

// These are the policies. Each is a file of this folder, which says what it does.
const (
	Identity = "identity"
	Reason   = "reason"
	TTL      = "ttl"
	Images   = "images"
	Debug    = "debug"
	Connect  = "connect"
	Audit    = "audit"
)

// These are the keys of the ConfigMap, as parameters.yaml describes them.
const (
	ReasonPattern = "reasonPattern"
	MaxTTL        = "maxTTL"
	Registries    = "registries"
	DebugProfiles = "debugProfiles"
	DebugImages   = "debugImages"
	ConnectExempt = "connectExempt"
)

// Options is what is to be different from the files.
type Options struct {
	Names      []string          // of the policies; none: all
	Namespace  string            // of the ConfigMap
	Parameters map[string]string // by key of the ConfigMap
	// Actions are what the server does about a violation. The policy Audit, which refuses nothing, has its
	// own.
	Actions []admissionv1.ValidationAction
	// Selector selects the namespaces that the policies are about; nil: all. DebugSelector is that of the
	// policy Debug; nil: it is Selector.
	Selector, DebugSelector *metav1.LabelSelector
}

// Print returns the policies with their bindings, and the ConfigMap if one of them reads it, as YAML.
func Print(o Options) ([]byte, error) {
	if len(o.Names) == 0 {
		o.Names = Names()
	}
	var out bytes.Buffer
	var documents []any
	reads := false
	for _, name := range Names() {
		if !slices.Contains(o.Names, name) {
			continue
		}
		policy, bindings, err := read(name)
		if err != nil {
			return nil, err
		}
		reads = reads || policy.Spec.ParamKind != nil
		documents = append(documents, policy)
		for _, binding := range bindings {
			o.bind(name, binding)
			documents = append(documents, binding)
		}
	}
	if reads {
		parameters, err := o.parameters()
		if err != nil {
			return nil, err
		}
		documents = append([]any{parameters}, documents...)
	}
	for n, document := range documents {
		text, err := marshal(document)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

func (o Options) parameters() (*corev1.ConfigMap, error) {
	text, err := files.ReadFile("parameters.yaml")
	if err != nil {
		return nil, err
	}
	parameters := &corev1.ConfigMap{}
	if err := sigsyaml.UnmarshalStrict(text, parameters); err != nil {
		return nil, fmt.Errorf("parameters.yaml: %w", err)
	}
	parameters.Namespace = o.Namespace
	for key, value := range o.Parameters {
		parameters.Data[key] = value
	}
	return parameters, nil
}

// bind sets what the options say about a policy's binding.
func (o Options) bind(name string, binding *admissionv1.ValidatingAdmissionPolicyBinding) {
	if binding.Spec.ParamRef != nil {
		binding.Spec.ParamRef.Namespace = o.Namespace
	}
	if name != Audit && len(o.Actions) > 0 {
		binding.Spec.ValidationActions = o.Actions
	}
	selector := o.Selector
	if name == Debug && o.DebugSelector != nil {
		selector = o.DebugSelector
	}
	if selector == nil {
		return
	}
	if binding.Spec.MatchResources == nil {
		binding.Spec.MatchResources = &admissionv1.MatchResources{}
	}
	binding.Spec.MatchResources.NamespaceSelector = selector
}

// read returns what the file of a policy has: the policy, and its bindings.
func read(name string) (*admissionv1.ValidatingAdmissionPolicy,
	[]*admissionv1.ValidatingAdmissionPolicyBinding, error) {
	text, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, nil, err
	}
	policy := &admissionv1.ValidatingAdmissionPolicy{}
	var bindings []*admissionv1.ValidatingAdmissionPolicyBinding
	for n, document := range bytes.Split(text, []byte("\n---\n")) {
		into := any(policy)
		if n > 0 {
			bindings = append(bindings, &admissionv1.ValidatingAdmissionPolicyBinding{})
			into = bindings[n-1]
		}
		if err := sigsyaml.UnmarshalStrict(document, into); err != nil {
			return nil, nil, fmt.Errorf("%s.yaml: %w", name, err)
		}
	}
	return policy, bindings, nil
}

// marshal returns an object as YAML without what only the server sets.
func marshal(object any) ([]byte, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	delete(fields, "status")
	return sigsyaml.Marshal(fields)
}
