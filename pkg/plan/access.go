package plan

import (
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/target"
)

// chooseVia follows the user's wish and the caller's permissions.
func chooseVia(t *target.Target, o Options, mode Mode) (Via, []Note, error) {
	access := t.Access
	if o.Rehearse {
		access.WatchPods, access.AttachPods = true, true
	}
	switch {
	case !access.WatchPods:
		return "", nil, missing("watch", "pods", t.Namespace, "eshell could not see the session start")
	case o.Detach && (mode == ModeClone || access.AttachPods):
		return detachedVia(o)
	case !access.AttachPods:
		return "", nil, missing("create", "pods/attach", t.Namespace, "eshell keeps a session alive by attaching to it")
	case o.Via == ViaAttach:
		return ViaAttach, nil, nil
	case o.Entrypoint:
		return ViaAttach, []Note{{Warning, "running by attach", "the image's entrypoint starts the command as the container's process; what is typed and shown goes into the container's log"}}, nil
	case access.ExecPods:
		return ViaExec, nil, nil
	case o.Via == ViaExec:
		return "", nil, missing("create", "pods/exec", t.Namespace, "--via exec needs it")
	}
	return ViaAttach, []Note{{Warning, "running by attach", "you may not create pods/exec in namespace " + t.Namespace +
		"; what is typed and shown goes into the container's log"}}, nil
}

// detachedVia: nobody runs a command beside what nobody attends.
func detachedVia(o Options) (Via, []Note, error) {
	if len(o.Command) == 0 {
		return ViaExec, nil, nil
	}
	return ViaAttach, nil, nil
}

// chooseWatch is for what runs by attach where no lease ends it. Signs of life come by exec; of a detached
// session there are none.
func chooseWatch(t *target.Target, o Options, mode Mode) watch {
	switch {
	case o.Detach && mode == ModeDebug:
		return watch{limit: o.TTL}
	case o.Detach:
		return watch{}
	case mode == ModeClone && o.NoLease == nil:
		return watch{}
	case t.Access.ExecPods:
		return watch{limit: o.Silence, relay: true}
	case mode == ModeDebug:
		return watch{limit: o.TTL}
	}
	return watch{} // the pod's own deadline
}

func missing(verb, resource, namespace, why string) error {
	return hint.Errorf("ask for it, and check with: kubectl auth can-i "+verb+" "+resource+" -n "+namespace,
		"you may not %s %s in namespace %s: %s", verb, resource, namespace, why)
}
