package plan

import (
	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
)

// Place is where a session's shell is.
type Place struct {
	Mode                      Mode
	Namespace, Pod, Container string
}

// Join plans one more command in a session that runs. Of o it takes the session, the command, the terminal,
// the toolbox and the heartbeat timeout after which the command ends: the session, which is somebody else's
// to keep, does not end with its client.
func Join(at Place, o Options) *Plan {
	return &Plan{
		Mode: at.Mode,
		Headline: "pod/" + at.Pod + ": one more shell in container " + at.Container + ", in namespace " +
			at.Namespace,
		Namespace: at.Namespace, PodName: at.Pod, Container: at.Container,
		Agent: agent.Join(o.agent(agent.ViaExec, agent.Watchdog{})),
	}
}
