package plan

import (
	"fmt"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// chooseVia follows the user's choice and the caller's permissions.
func chooseVia(t *workload.Workload, o Options, mode Mode) (agent.Via, []Note, error) {
	access := t.Access
	if o.Preview {
		access.WatchPods, access.AttachPods = true, true
	}
	switch {
	case !access.WatchPods:
		return "", nil, missing("watch", "pods", t.Namespace, "eshell could not see the session start")
	case o.Detach && (mode == ModeClone || access.AttachPods):
		return detachedVia(o)
	case !access.AttachPods:
		return "", nil, missing("create", "pods/attach", t.Namespace,
			"eshell keeps a session alive by attaching to it")
	case o.Via == agent.ViaAttach:
		return agent.ViaAttach, nil, nil
	case o.Entrypoint:
		return agent.ViaAttach,
			[]Note{{Warning, "running by attach",
				"the image's entrypoint starts the command as the container's process; " +
					"all input and output is recorded in the container's log"}}, nil
	case access.ExecPods:
		return agent.ViaExec, nil, nil
	case o.Via == agent.ViaExec:
		return "", nil, missing("create", "pods/exec", t.Namespace, "--via exec needs it")
	}
	return agent.ViaAttach,
		[]Note{{Warning, "running by attach",
			"you are not allowed to create pods/exec in namespace " + t.Namespace +
				"; all input and output is recorded in the container's log"}}, nil
}

// detachedVia: nobody runs a command beside what nobody attends.
func detachedVia(o Options) (agent.Via, []Note, error) {
	if len(o.Command) == 0 {
		return agent.ViaExec, nil, nil
	}
	return agent.ViaAttach, nil, nil
}

// watchdog is for what runs by attach where no lease ends it. Signs of life come by exec; of a detached
// session there are none.
func watchdog(t *workload.Workload, o Options, mode Mode) agent.Watchdog {
	switch {
	case o.Detach && mode == ModeDebug:
		return agent.Watchdog{Timeout: o.TTL}
	case o.Detach:
		return agent.Watchdog{}
	case mode == ModeClone && o.NoLease == nil:
		return agent.Watchdog{}
	case t.Access.ExecPods:
		return agent.Watchdog{Timeout: o.HeartbeatTimeout, Relay: true}
	case mode == ModeDebug:
		return agent.Watchdog{Timeout: o.TTL}
	}
	return agent.Watchdog{} // the pod's own deadline
}

func missing(verb, resource, namespace, why string) error {
	return hint.Wrap(fmt.Errorf("you are not allowed to %s %s in namespace %s: %s", verb, resource, namespace,
		why), "ask for the permission, and check it: kubectl auth can-i "+verb+" "+resource+" -n "+namespace)
}
