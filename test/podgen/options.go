package podgen

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/isolation"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/owned"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// options are often none: what a clone is by default matters most.
func (g *generator) options(t *workload.Workload) plan.Options {
	o := plan.Options{Session: "abcde", HeartbeatTimeout: 2 * time.Minute, TTL: 8 * time.Hour}
	if g.maybe(0.3) {
		return o
	}
	g.process(&o)
	o.Image = pick(g, "", "", "registry.example.com/debug:1")
	o.Pin = o.Image == "" && g.maybe(0.2)
	o.Env = g.changes()
	o.CPU, o.Memory = pick(g, resource.Quantity{}, resource.MustParse("3")),
		pick(g, resource.Quantity{}, resource.MustParse("2Gi"))
	o.Labels = g.wish(t)
	o.Components = g.parts(t)
	o.Identity = some(g, 0.3, g.identity)
	o.Node = pick(g, "", "", Node)
	o.Overrides = some(g, 0.2, g.overrides)
	o.Preview = g.maybe(0.1)
	return o
}

// process is how the command runs. Without a shell it runs by attach.
func (g *generator) process(o *plan.Options) {
	o.TTY, o.Term = g.maybe(0.5), "xterm"
	o.Command = some(g, 0.5, func() []string { return []string{"echo", "$(HOME)", "$$", ""} })
	switch g.between(0, 4) {
	case 0:
		o.Via = agent.ViaAttach
		o.Direct = len(o.Command) > 0 && g.maybe(0.5)
	case 1:
		o.Entrypoint = len(o.Command) > 0
	case 2:
		o.Toolbox = "registry.example.com/busybox:1"
	}
}

func (g *generator) changes() []plan.EnvChange {
	return list(g, 0, 2, func(int) plan.EnvChange {
		return pick(g, plan.EnvChange{Name: "NAME_0", Value: "new $(x)"},
			plan.EnvChange{Name: "NAME_1", Remove: true}, plan.EnvChange{Name: "NEW", Value: "1"})
	})
}

// wish does not contradict itself, and leaves eshell's own labels alone.
func (g *generator) wish(t *workload.Workload) isolation.LabelOptions {
	w := isolation.LabelOptions{Keep: g.maybe(0.15),
		Set: some(g, 0.2, func() map[string]string { return g.equalities(2) })}
	if g.maybe(0.2) {
		w.Drop = slices.DeleteFunc(subset(g, 0.3, sortedKeys(t.Template.Labels)...), func(key string) bool {
			_, own := owned.Labels("")[key]
			_, set := w.Set[key]
			return own || set
		})
	}
	return w
}

// parts are those that go together: an ordinal is a StatefulSet's, and its claims are shared by one.
func (g *generator) parts(t *workload.Workload) plan.Components {
	names, sidecars, inits := namesOf(t.Template.Spec.Containers), []string{}, []string{}
	for _, c := range t.Template.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars = append(sidecars, c.Name)
		} else {
			inits = append(inits, c.Name)
		}
	}
	p := plan.Components{
		With: subset(g, 0.3, append(names, sidecars...)...), WithAll: g.maybe(0.2), NoDevices: g.maybe(0.2),
		Init:    pick(g, "", plan.InitAuto, plan.InitAll, plan.InitNone),
		Volumes: pick(g, "", plan.VolumesShared, plan.VolumesReadOnly, plan.VolumesFresh),
	}
	if len(inits) > 0 && g.maybe(0.2) {
		p.Init, p.InitNames = plan.InitNamed, subset(g, 0.6, inits...)
	}
	shares := p.Volumes == plan.VolumesShared || p.Volumes == plan.VolumesReadOnly
	if len(t.ClaimTemplates) > 0 && shares {
		p.Ordinal = new(0)
	}
	return p
}

func namesOf(containers []corev1.Container) []string {
	var names []string
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names
}

func (g *generator) identity() plan.Identity {
	i := plan.Identity{ServiceAccount: pick(g, "", ServiceAccount), NoToken: g.maybe(0.3),
		PullSecrets: subset(g, 0.5, "pull", "other")}
	i.UID = optional[int64](g, 1234)
	if i.UID != nil {
		i.GID = optional[int64](g, 5678)
	}
	return i
}

func (g *generator) overrides() plan.Overrides {
	return pick(g,
		plan.Overrides{Type: "merge", Patch: `{"metadata":{"annotations":{"example.com/x":"y"}}}`},
		plan.Overrides{Type: "strategic",
			Patch: `{"spec":{"hostAliases":[{"ip":"10.9.9.9","hostnames":["x"]}]}}`},
		plan.Overrides{Type: "json", Patch: `[{"op":"add","path":"/spec/schedulerName","value":"mine"}]`},
		plan.Overrides{Type: "merge", Patch: `{"metadata":{"labels":{"app":"api"}}}`},
	)
}
