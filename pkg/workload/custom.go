package workload

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// findCustom fetches a workload of a type that is not built in.
func (s *search) findCustom(ctx context.Context) (workload, error) {
	mapping, err := bounded.Call(ctx,
		func() (*meta.RESTMapping, error) { return s.mappingOf(s.Reference.Type) })
	if err != nil {
		return workload{}, err
	}
	name := strings.ToLower(mapping.GroupVersionKind.Kind) + "/" + s.Reference.Name
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return workload{}, hint.Wrap(fmt.Errorf("%s is not in a namespace, and a pod has to be", name),
			typesHint())
	}
	object, err := s.getCustom(ctx, mapping, s.Reference.Name)
	if apierrors.IsNotFound(err) {
		return workload{}, hint.Wrap(fmt.Errorf("%s in namespace %s: %w", name, s.Namespace, err),
			hint.Command("list what there is: kubectl get %s -n %s",
				mapping.Resource.GroupResource().String(), s.Namespace))
	}
	if err == nil {
		var w workload
		if w, err = s.readCustom(ctx, object); err == nil {
			return w, nil
		}
	}
	return workload{}, fmt.Errorf("%s in namespace %s: %w", name, s.Namespace, err)
}

// UnknownTypeError is the error for a type that the server does not have, in kubectl's words.
type UnknownTypeError struct{ Type string }

func (e *UnknownTypeError) Error() string {
	return fmt.Sprintf("the server doesn't have a resource type %q", e.Type)
}

// mappingOf finds a type as kubectl does: by resource, singular, short name or kind, with or without its
// group and version.
func (s *search) mappingOf(typ string) (*meta.RESTMapping, error) {
	mapper, err := s.Mapper()
	if err != nil {
		return nil, err
	}
	kind, err := kindFor(mapper, strings.ToLower(typ))
	if meta.IsNoMatchError(err) {
		return nil, hint.Wrap(&UnknownTypeError{typ}, suggestType(typ, s.Reference.Name))
	}
	if err != nil {
		return nil, fmt.Errorf("the type %q: %w", typ, err)
	}
	return mapper.RESTMapping(kind.GroupKind(), kind.Version)
}

// kindFor reads RESOURCE, RESOURCE.GROUP or RESOURCE.VERSION.GROUP. What cannot be found costs a whole
// discovery, even where kubectl's cache has one, so that what is likely is tried first.
func kindFor(mapper meta.RESTMapper, typ string) (kind schema.GroupVersionKind, err error) {
	versioned, resource := schema.ParseResourceArg(typ)
	forms := []schema.GroupVersionResource{resource.WithVersion("")}
	if versioned != nil {
		forms = append(forms, *versioned)
		if aVersion.MatchString(versioned.Version) {
			slices.Reverse(forms)
		}
	}
	for _, form := range forms {
		if kind, err = mapper.KindFor(form); !kind.Empty() {
			break
		}
	}
	return kind, err
}

// aVersion matches a version as the API conventions have it:
// https://kubernetes.io/docs/reference/using-api/#api-versioning
var aVersion = regexp.MustCompile(`^v[0-9]+((alpha|beta)[0-9]+)?$`)

func (s *search) getCustom(ctx context.Context, mapping *meta.RESTMapping,
	name string) (*unstructured.Unstructured, error) {
	client, err := s.Dynamic()
	if err != nil {
		return nil, err
	}
	return client.Resource(mapping.Resource).Namespace(s.Namespace).Get(ctx, name, metav1.GetOptions{})
}

// readCustom reads a pod template. If the object has none, it follows a reference to another workload, as in
// Argo Rollouts: https://argo-rollouts.readthedocs.io/en/stable/migrating/
func (s *search) readCustom(ctx context.Context, object *unstructured.Unstructured) (workload, error) {
	reference, ok, _ := unstructured.NestedStringMap(object.Object, "spec", "workloadRef")
	if _, has, _ := unstructured.NestedMap(object.Object, "spec", "template", "spec"); has || !ok {
		return decodeCustom(object)
	}
	w, err := readSelector(object)
	if err != nil {
		return workload{}, err
	}
	k, ok := kindOf(schema.FromAPIVersionAndKind(reference["apiVersion"], reference["kind"]))
	if !ok || k.name == "Service" {
		return workload{}, fmt.Errorf("its workloadRef is to %s %s of %s, which eshell does not support",
			reference["kind"], reference["name"], reference["apiVersion"])
	}
	referred, err := k.get(ctx, s.Client, s.Namespace, reference["name"])
	if err != nil {
		return workload{}, fmt.Errorf("its workloadRef: %w", err)
	}
	w.template, w.claimTemplates = referred.template, referred.claimTemplates
	if w.selector == nil {
		w.selector, w.adopts = referred.selector, true
	}
	return w, nil
}

// decodeCustom reads a workload whose pod template is at .spec.template. Its claim templates, if any, are
// where a StatefulSet has them. A template may have fields that a pod template does not have, like Knative's.
// The fields that a pod template has must be of the right type.
func decodeCustom(object *unstructured.Unstructured) (workload, error) {
	w, err := readSelector(object)
	if err != nil {
		return workload{}, err
	}
	content, _, _ := unstructured.NestedMap(object.Object, "spec", "template")
	if content["spec"] == nil {
		return workload{}, hint.Wrap(fmt.Errorf("it has no pod template at .spec.template"), typesHint())
	}
	if err := decodeLeniently(content, &w.template); err != nil {
		return workload{}, fmt.Errorf(".spec.template.%w", err)
	}
	claims, _, _ := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates")
	var list corev1.PersistentVolumeClaimList
	if err := decodeStrictly(map[string]any{"items": claims}, &list); err != nil {
		return workload{}, fmt.Errorf(".spec.volumeClaimTemplates: %w", err)
	}
	w.claimTemplates = list.Items
	return w, nil
}

// readSelector reads .spec.selector, which is a LabelSelector or a plain map like a ReplicationController's.
// An empty selector or one of another type counts as none.
func readSelector(object *unstructured.Unstructured) (workload, error) {
	w := workload{kind: object.GetKind(), meta: metav1.ObjectMeta{
		Name: object.GetName(), Namespace: object.GetNamespace(), UID: object.GetUID(),
		Labels: object.GetLabels(),
	}}
	content, _, _ := unstructured.NestedMap(object.Object, "spec", "selector")
	if len(content) == 0 {
		return w, nil
	}
	w.adopts, w.selector = true, &metav1.LabelSelector{}
	if plain, _, err := unstructured.NestedStringMap(object.Object, "spec", "selector"); err == nil {
		w.selector.MatchLabels = plain
		return w, nil
	}
	if err := decodeStrictly(content, w.selector); err != nil {
		return workload{}, fmt.Errorf(".spec.selector: %w", err)
	}
	return w, nil
}

// getOwner reads the selector of a pod's custom controller.
func (s *search) getOwner(ctx context.Context, kind schema.GroupVersionKind, name string) (workload, error) {
	mapping, err := bounded.Call(ctx, func() (*meta.RESTMapping, error) {
		mapper, err := s.Mapper()
		if err != nil {
			return nil, err
		}
		return mapper.RESTMapping(kind.GroupKind(), kind.Version)
	})
	if err != nil {
		return workload{}, err
	}
	object, err := s.getCustom(ctx, mapping, name)
	if err != nil {
		return workload{}, err
	}
	return readSelector(object)
}
