package workload

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// readManifest finds the workload and its namespace in the manifest, if there is one.
func (s *search) readManifest() error {
	if s.Manifest == nil {
		return nil
	}
	objects, err := readObjects(s.Manifest)
	if err != nil {
		return err
	}
	object, err := s.choose(objects)
	if err != nil {
		return err
	}
	if namespace := object.GetNamespace(); namespace != "" && namespace != s.Namespace { // as kubectl does
		if problems := validation.ValidateNamespaceName(namespace, false); len(problems) > 0 {
			return fmt.Errorf("%s of the manifest: its namespace is not valid: %s", describe(object),
				rule(problems))
		}
		if s.EnforceNamespace { // the same text as kubectl's
			return hint.Wrap(fmt.Errorf(
				"the namespace from the provided object %q does not match the namespace %q", namespace,
				s.Namespace), "You must pass '--namespace="+namespace+"' to perform this operation.")
		}
		s.Namespace = namespace
	}
	w, err := decode(object)
	if err != nil {
		return fmt.Errorf("%s of the manifest: %w", describe(object), err)
	}
	w.meta.Name = cmp.Or(nameOf(object), strings.ToLower(w.kind))
	if problems := validation.NameIsDNSSubdomain(w.meta.Name, false); len(problems) > 0 {
		return fmt.Errorf("a %s of the manifest: its name is not valid: %s", strings.ToLower(w.kind),
			rule(problems))
	}
	if w.selector != nil {
		if _, err := metav1.LabelSelectorAsSelector(w.selector); err != nil { // it repeats values
			return fmt.Errorf("%s of the manifest: its selector is not valid", describe(object))
		}
	}
	w.pod = nil     // the pod need not exist
	w.meta.UID = "" // it belongs to the object that the manifest was exported from
	s.manifest = &w
	return nil
}

// readObjects reads YAML or JSON documents, and the items of those that are lists. Errors repeat nothing from
// the documents, because they may contain secrets.
func readObjects(manifest []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	var objects []*unstructured.Unstructured
	for number := 1; ; number++ {
		var document runtime.RawExtension
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("document %d of the manifest: %s", number, syntaxProblem(err))
		}
		if raw := bytes.TrimSpace(document.Raw); len(raw) == 0 || string(raw) == "null" {
			continue
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(document.Raw, &object.Object); err != nil {
			return nil, fmt.Errorf("document %d of the manifest is not an object", number)
		}
		for _, item := range items(object) {
			if item.GetKind() == "" || item.GetAPIVersion() == "" {
				return nil, fmt.Errorf("document %d of the manifest has no apiVersion and kind", number)
			}
			objects = append(objects, item)
		}
	}
}

// items returns the items of a list, or else the object itself. The items of a DeploymentList need not state
// that they are Deployments.
func items(object *unstructured.Unstructured) []*unstructured.Unstructured {
	items, ok := object.Object["items"].([]any)
	kind, list := strings.CutSuffix(object.GetKind(), "List")
	if !ok || !list {
		return []*unstructured.Unstructured{object}
	}
	var all []*unstructured.Unstructured
	for _, content := range items {
		item := &unstructured.Unstructured{}
		item.Object, _ = content.(map[string]any)
		if item.GetKind() == "" && kind != "" && item.Object != nil {
			item.SetAPIVersion(object.GetAPIVersion())
			item.SetKind(kind)
		}
		all = append(all, item)
	}
	return all
}

// choose returns the object that was named or, if none was named, the only workload. If -n was given, it
// chooses between objects in several namespaces.
func (s *search) choose(objects []*unstructured.Unstructured) (*unstructured.Unstructured, error) {
	meant, isNamed := isWorkload, s.Reference != (Reference{})
	if isNamed {
		meant = s.Reference.names
	}
	found := with(objects, meant)
	if here := with(found, s.isHere); s.EnforceNamespace && len(found) > 1 && len(here) > 0 {
		found = here
	}
	workloads := with(objects, isWorkload)
	switch {
	case len(found) == 1:
		return found[0], nil
	case isNamed && len(found) == 0:
		return nil, hint.Wrap(fmt.Errorf("the manifest has no %s", s.Reference),
			"it has: "+describeAll(workloads))
	case len(found) > 1 && len(with(found, func(o *unstructured.Unstructured) bool {
		return describe(o) == describe(found[0])
	})) == len(found):
		return nil, s.notUnique(found)
	case len(found) == 0:
		return nil, hint.Wrap(fmt.Errorf("no workload is in the manifest: it has %s", describeAll(objects)),
			typesHint())
	}
	return nil, hint.Wrap(fmt.Errorf("several workloads are in the manifest: %s", describeAll(found)),
		hint.Command("name one beside -f, as in: %s", describe(found[0])))
}

func with(objects []*unstructured.Unstructured,
	is func(*unstructured.Unstructured) bool) (found []*unstructured.Unstructured) {
	for _, object := range objects {
		if is(object) {
			found = append(found, object)
		}
	}
	return found
}

func (s *search) isHere(object *unstructured.Unstructured) bool {
	return s.namespaceOf(object) == s.Namespace
}

// namespaceOf returns an object's namespace, which is the current one if the object states none.
func (s *search) namespaceOf(object *unstructured.Unstructured) string {
	return cmp.Or(object.GetNamespace(), s.Namespace)
}

// notUnique returns the error for objects that have the same name.
func (s *search) notUnique(objects []*unstructured.Unstructured) error {
	var namespaces []string
	for _, object := range objects {
		namespaces = append(namespaces, s.namespaceOf(object))
	}
	slices.Sort(namespaces)
	if len(slices.Compact(slices.Clone(namespaces))) < len(objects) {
		return fmt.Errorf("the manifest has %s %d times", describe(objects[0]), len(objects))
	}
	return hint.Wrap(fmt.Errorf("the manifest has %s in namespaces %s", describe(objects[0]),
		strings.Join(namespaces, ", ")), hint.Command("choose one: -n %s", namespaces[0]))
}

// isWorkload reports whether an object has a pod template in the expected place.
func isWorkload(object *unstructured.Unstructured) bool {
	if k, ok := kindOf(object.GroupVersionKind()); ok {
		return k.name != "Service"
	}
	if _, removed := removedKind(object); removed {
		return true
	}
	_, ok, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
	return ok
}

// names reports whether the reference names an object. It recognizes custom types only by what needs no
// discovery: their kind and its regular plural, with or without group and version.
func (r Reference) names(object *unstructured.Unstructured) bool {
	if r.Name != nameOf(object) {
		return false
	}
	gvk := object.GroupVersionKind()
	if r.Kind != "" {
		k, ok := kindOf(gvk)
		if !ok {
			k, ok = removedKind(object)
		}
		return ok && k.name == r.Kind
	}
	plural, singular := meta.UnsafeGuessKindToResource(gvk)
	versioned, resource := schema.ParseResourceArg(strings.ToLower(r.Type))
	return slices.ContainsFunc([]schema.GroupVersionResource{plural, singular},
		func(known schema.GroupVersionResource) bool {
			return versioned != nil && *versioned == known || resource == known.GroupResource() ||
				resource.Group == "" && resource.Resource == known.Resource
		})
}

func decode(object *unstructured.Unstructured) (workload, error) {
	if k, removed := removedKind(object); removed {
		served := schema.GroupVersion{Group: k.group, Version: "v1"}.String()
		return workload{}, hint.Wrap(fmt.Errorf("its apiVersion %s is not served any more: %s is",
			object.GetAPIVersion(), served), hint.Command(
			"change its apiVersion, and check its fields: kubectl explain %s --api-version=%s",
			strings.ToLower(k.name), served))
	}
	k, ok := kindOf(object.GroupVersionKind())
	if !ok {
		return decodeCustom(object)
	}
	if k.name == "Service" {
		return workload{}, hint.Wrap(fmt.Errorf("the workload behind it is not looked for in a manifest"),
			"name the workload itself, or leave out the name")
	}
	return k.decode(object.Object)
}

// removedKind returns the built-in kind of an object whose version Kubernetes has removed, like the
// Deployment of extensions/v1beta1: https://kubernetes.io/docs/reference/using-api/deprecation-guide/
func removedKind(object *unstructured.Unstructured) (kind, bool) {
	gvk := object.GroupVersionKind()
	for _, k := range kinds() {
		if k.name == gvk.Kind && k.group != "" && (gvk.Group == "extensions" || gvk.Group == k.group) &&
			gvk.Version != "v1" {
			return k, true
		}
	}
	return kind{}, false
}

// nameOf returns the name of an object, or what its name will begin with.
func nameOf(object *unstructured.Unstructured) string {
	return cmp.Or(object.GetName(), strings.TrimRight(object.GetGenerateName(), "-."))
}

func describe(object *unstructured.Unstructured) string {
	return strings.ToLower(object.GetKind()) + "/" + nameOf(object)
}

// mostDescribed is how many objects an error or a hint lists.
const mostDescribed = 10

func describeAll(objects []*unstructured.Unstructured) string {
	var names []string
	for _, object := range objects[:min(len(objects), mostDescribed)] {
		names = append(names, describe(object))
	}
	if more := len(objects) - len(names); more > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names, ", "), more)
	}
	return cmp.Or(strings.Join(names, ", "), "nothing")
}
