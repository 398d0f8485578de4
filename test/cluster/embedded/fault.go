package embedded

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// restartTimeout bounds how long Restart waits for a component to be ready.
const restartTimeout = time.Minute

// Component is a handle on one of the cluster's processes: "etcd", "apiserver",
// "containerd", "controller-manager", "scheduler" or "kubelet". Pods are not touched by
// what happens to it. It works in any process on this machine that may open the state folder.
type Component struct {
	cluster *Cluster
	name    string
}

// Component makes the handle; an unknown name is an error of the first method called.
func (c *Cluster) Component(name string) Component { return Component{c, name} }

// Stop freezes the process (SIGSTOP): its connections stay open and nothing is answered.
func (p Component) Stop() error { return p.tell(context.Background(), "stop") }

// Continue ends a Stop (SIGCONT).
func (p Component) Continue() error { return p.tell(context.Background(), "continue") }

// Kill ends the process (SIGKILL) and returns when it is gone. Nothing starts it again but Restart.
func (p Component) Kill() error { return p.tell(context.Background(), "kill") }

// Restart kills the process if there is one, starts it with the same arguments and
// returns when it is ready.
func (p Component) Restart(ctx context.Context) error {
	spec, known := p.cluster.spec(p.name)
	if !known {
		return p.unknown()
	}
	state, err := p.State(ctx)
	if err != nil {
		return err
	}
	if state != Exited {
		if err := p.tell(ctx, "kill"); err != nil {
			return err
		}
	}
	if err := p.tell(ctx, "start"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	return await(ctx, p.name, spec.ready, p.alive)
}

// State asks what the process does.
func (p Component) State(ctx context.Context) (State, error) {
	if _, known := p.cluster.spec(p.name); !known {
		return "", p.unknown()
	}
	status, err := p.cluster.Status(ctx)
	return status.state(p.name), err
}

// alive is a probe that fails once the process has exited.
func (p Component) alive(ctx context.Context) error {
	state, err := p.State(ctx)
	if err == nil && state == Exited {
		err = &exitError{component: p.name, log: p.cluster.log(p.name)}
	}
	return err
}

func (p Component) tell(ctx context.Context, action string) error {
	if _, known := p.cluster.spec(p.name); !known {
		return p.unknown()
	}
	if _, err := p.cluster.control(ctx, http.MethodPost, "/components/"+p.name+"/"+action); err != nil {
		return fmt.Errorf("%s %s: %w", action, p.name, err)
	}
	return nil
}

func (p Component) unknown() error {
	return fmt.Errorf("no component %q; there are %s", p.name, p.cluster.names())
}
