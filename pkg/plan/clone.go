package plan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// clone is a plan under construction.
type clone struct {
	workload *workload.Workload
	options  Options
	notes    []Note
	via      agent.Via
	passed   []agent.Variable // over the command's stream
	source   corev1.Container // the chosen container before its environment was changed

	labels, annotations map[string]string
	filled              int // number of annotations added for files of the downward API
	spec                corev1.PodSpec
}

// Clone plans a new pod from the workload's template. The pod has the chosen container with its image,
// environment, identity and volumes, and nothing that could serve requests, be adopted or outlive the
// session. Clone refuses anything that would disturb the original. It also refuses if the caller's
// permissions would leave the pod behind. Every step that departs from the source adds a note.
func Clone(t *workload.Workload, o Options) (*Plan, error) {
	via, notes, err := chooseVia(t, o, ModeClone)
	if err != nil {
		return nil, err
	}
	if !t.Access.DeletePods && !o.Preview {
		return nil, missing("delete", "pods", t.Namespace, "the clone could not be removed")
	}
	notes = append(notes, o.lacking(t, ModeClone)...)
	c := &clone{workload: t, options: o, via: via, notes: notes, spec: *t.Template.Spec.DeepCopy()}
	direct := o.startsDirectly(t)
	o.Direct = o.Direct || direct || isWindows(t.Template.Spec)
	if main := c.main(); main != nil {
		c.passed = o.passed(via, *main)
	}
	a := agent.New(o.agent(via, watchdog(t, o, ModeClone), c.passed))
	if direct {
		c.note(Changed, "the command is the container's own process",
			"Ctrl-C may do nothing; its output is recorded in the log, and what comes before eshell is "+
				"attached is read from there, with stderr on stdout")
	}
	for _, step := range []func() error{
		// Check what has to be refused before anything is decided.
		c.supported, c.notASidecar, c.checkWith, c.checkInit, c.checkOrdinal,
		// Keep the parts of the source that the clone needs.
		c.keepContainers, c.changeEnv, c.keepInitContainers, c.keepVolumes,
		c.keepLabels, c.keepAnnotations, c.resolveDownwardAPI,
		// Apply the changes that the user asked for.
		c.override, c.identify, c.place,
		// Remove what would serve requests, disturb the session or outlive it.
		c.strip, c.dropPodIdentity,
		func() error { return c.limitLifetime(a) },
		func() error { return c.setCommand(a) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	pod, err := c.patched(c.pod())
	if err != nil {
		return nil, err
	}
	c.noteRights(pod.Spec)
	return &Plan{
		Mode: ModeClone,
		Headline: fmt.Sprintf("pod/%s: a clone of %s, container %s, in namespace %s", pod.Name, t,
			t.Container, t.Namespace),
		Notes: c.notes, Namespace: t.Namespace, PodName: pod.Name, Container: t.Container,
		Pod: pod, Agent: a, Record: Record(ModeClone, t, o),
	}, nil
}

func (c *clone) note(kind NoteKind, what, reason string) {
	c.notes = append(c.notes, Note{kind, what, reason})
}

// main returns the chosen container, or nil if that is a sidecar. The pointer is valid until the list of
// containers changes.
func (c *clone) main() *corev1.Container {
	return containerNamed(c.spec.Containers, c.workload.Container)
}

func containerNamed(list []corev1.Container, name string) *corev1.Container {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// runs reports whether a container of that name will run.
func (c *clone) runs(name string) bool {
	return containerNamed(c.spec.InitContainers, name) != nil ||
		containerNamed(c.spec.Containers, name) != nil
}

// containers returns all containers that will run, init containers first.
func (c *clone) containers() []*corev1.Container {
	var all []*corev1.Container
	for _, list := range [][]corev1.Container{c.spec.InitContainers, c.spec.Containers} {
		for i := range list {
			all = append(all, &list[i])
		}
	}
	return all
}

func (c *clone) pod() *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: owned.PodName(c.workload.Name, c.options.Session), Namespace: c.workload.Namespace,
			Labels: c.labels, Annotations: c.annotations,
		},
		Spec: c.spec,
	}
	if lease := c.options.Lease; lease != nil {
		// The Job is not marked as the pod's controller. Otherwise the job controller would release or delete
		// the pod.
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: lease.Name,
			UID: lease.UID}}
	}
	return pod
}
