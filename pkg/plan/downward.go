package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	resourcehelper "k8s.io/kubectl/pkg/util/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
)

// resolveDownwardAPI resolves variables and files that show a label or an annotation that the clone does not
// carry. They get the value from the source, because they would otherwise silently be empty.
// https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
func (c *clone) resolveDownwardAPI() error {
	for _, container := range c.containers() {
		for i := range container.Env {
			c.resolveVariable(&container.Env[i])
		}
	}
	for i := range c.spec.Volumes {
		for _, items := range downwardFiles(&c.spec.Volumes[i]) {
			for j := range items {
				c.writeInFile(&items[j])
			}
		}
	}
	return nil
}

func downwardFiles(volume *corev1.Volume) [][]corev1.DownwardAPIVolumeFile {
	var files [][]corev1.DownwardAPIVolumeFile
	if volume.DownwardAPI != nil {
		files = append(files, volume.DownwardAPI.Items)
	}
	if volume.Projected != nil {
		for _, source := range volume.Projected.Sources {
			if source.DownwardAPI != nil {
				files = append(files, source.DownwardAPI.Items)
			}
		}
	}
	return files
}

func (c *clone) resolveVariable(variable *corev1.EnvVar) {
	if variable.ValueFrom != nil && variable.ValueFrom.ResourceFieldRef != nil {
		if value, gone := c.ofDropped(variable.ValueFrom.ResourceFieldRef); gone {
			c.note(Changed, "variable "+variable.Name+" keeps its value",
				"container "+variable.ValueFrom.ResourceFieldRef.ContainerName+" does not run")
			*variable = corev1.EnvVar{Name: variable.Name, Value: value}
		}
	}
	if variable.ValueFrom == nil || variable.ValueFrom.FieldRef == nil {
		return
	}
	path := variable.ValueFrom.FieldRef.FieldPath
	value, had, lost := c.missingField(path)
	switch {
	case lost && had:
		c.note(Changed, "variable "+variable.Name+" keeps its value",
			"the clone has not the original's "+path)
		*variable = corev1.EnvVar{Name: variable.Name, Value: agent.Escape([]string{value})[0]}
	case lost:
		c.note(Warning, "variable "+variable.Name+" is empty",
			"the controller gives its pods "+path+"; "+
				hint.Command("set it with -e %s", variable.Name+"=..."))
	}
}

// writeInFile stores the value in an annotation of the clone, because a file of the downward API cannot hold
// a literal value.
func (c *clone) writeInFile(file *corev1.DownwardAPIVolumeFile) {
	switch {
	case file.ResourceFieldRef != nil:
		if value, gone := c.ofDropped(file.ResourceFieldRef); gone {
			c.annotateField(file, value, "container "+file.ResourceFieldRef.ContainerName+" does not run")
		}
	case file.FieldRef == nil:
	case file.FieldRef.FieldPath == "metadata.labels" || file.FieldRef.FieldPath == "metadata.annotations":
		c.note(Changed, "file "+file.Path+" lists the clone's own",
			file.FieldRef.FieldPath+" are not all the original's")
	default:
		if value, had, lost := c.missingField(file.FieldRef.FieldPath); lost && had {
			c.annotateField(file, value, "the clone has not the original's "+file.FieldRef.FieldPath)
		}
	}
}

func (c *clone) annotateField(file *corev1.DownwardAPIVolumeFile, value, reason string) {
	c.filled++
	key := fmt.Sprintf("%s/source-field-%d", owned.Domain, c.filled)
	c.annotations[key] = value
	c.note(Changed, "file "+file.Path+" keeps its value", reason)
	file.FieldRef, file.ResourceFieldRef = &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" +
		key + "']"}, nil
}

// ofDropped returns the value of a reference to the resources of a container that does not run. The kubelet
// would not start a pod with such a reference. If that container has no limit, the value is what the node
// has. If the chosen container has no limit either, it shows the same value, so the reference is changed to
// name it. gone reports whether the reference has to be replaced by the value.
func (c *clone) ofDropped(ref *corev1.ResourceFieldSelector) (value string, gone bool) {
	if ref.ContainerName == "" || c.runs(ref.ContainerName) {
		return "", false
	}
	spec := c.workload.Template.Spec
	source := cmp.Or(containerNamed(slices.Concat(spec.InitContainers, spec.Containers), ref.ContainerName),
		&corev1.Container{})
	limited, isLimit := strings.CutPrefix(ref.Resource, "limits.")
	if _, set := source.Resources.Limits[corev1.ResourceName(limited)]; isLimit && !set {
		if _, set := c.main().Resources.Limits[corev1.ResourceName(limited)]; !set {
			ref.ContainerName = c.workload.Container
			return "", false
		}
		c.note(Warning, "what container "+source.Name+" has of the node's "+limited+" is shown as 0",
			"it has no limit, and does not run")
	}
	value, err := resourcehelper.ExtractContainerResourceValue(ref, source)
	if err != nil {
		value = "0"
	}
	return value, true
}

// missingField reports whether the clone lacks the value that a field path shows (lost), and returns the
// source's value if it has one (had). If the source is a template, it lacks the values that controllers only
// give to pods. These count as lost too.
func (c *clone) missingField(path string) (value string, had, lost bool) {
	field, key, _ := strings.Cut(path, "['") // metadata.labels['app']
	key, ok := strings.CutSuffix(key, "']")
	if !ok || !strings.HasPrefix(field, "metadata.") {
		return "", false, false
	}
	source, clone := c.workload.Template.Labels, c.labels
	if field == "metadata.annotations" {
		source, clone = c.workload.Template.Annotations, c.annotations
	}
	if value, had = c.ofOrdinal()[key]; !had {
		value, had = source[key]
	}
	_, wished := c.options.Labels.Set[key]
	if now, has := clone[key]; has && (!had || now == value || wished) {
		return "", false, false
	}
	return value, had, had || givenByController(key)
}

// ofOrdinal returns the labels of the StatefulSet's pod whose claims were requested.
func (c *clone) ofOrdinal() map[string]string {
	if c.options.Components.Ordinal == nil {
		return nil
	}
	ordinal := fmt.Sprint(*c.options.Components.Ordinal)
	return map[string]string{"apps.kubernetes.io/pod-index": ordinal,
		"statefulset.kubernetes.io/pod-name": c.workload.Name + "-" + ordinal}
}

// givenByController reports whether controllers add a label or annotation to the pods that they make.
// https://kubernetes.io/docs/reference/labels-annotations-taints/
func givenByController(key string) bool {
	return slices.Contains([]string{
		"apps.kubernetes.io/pod-index", "statefulset.kubernetes.io/pod-name", "controller-revision-hash",
		"pod-template-hash",
		"batch.kubernetes.io/job-completion-index", "batch.kubernetes.io/job-name", "job-name",
		"batch.kubernetes.io/controller-uid", "controller-uid",
	}, key)
}
