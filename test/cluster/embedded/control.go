package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The supervisor listens on a unix socket in the state folder, because process ids
// inside its namespace mean nothing to the processes outside that use the handles:
//
//	GET  /status
//	POST /components/NAME/start|stop|continue|kill

// State is what a component's process does.
type State string

// The states of a component.
const (
	Running State = "running"
	Stopped State = "stopped" // by SIGSTOP: it holds its connections and answers nothing
	Exited  State = "exited"  // or never started
)

// ComponentStatus is one line of Status.
type ComponentStatus struct {
	Name  string
	State State
}

// Status is what the supervisor knows.
type Status struct {
	Version    string // of Kubernetes
	Components []ComponentStatus
}

// Up says whether every component runs.
func (s Status) Up() bool {
	for _, component := range s.Components {
		if component.State != Running {
			return false
		}
	}
	return len(s.Components) > 0
}

// state is the state of one component; one that isn't listed has not been started.
func (s Status) state(name string) State {
	for _, component := range s.Components {
		if component.Name == name {
			return component.State
		}
	}
	return Exited
}

// Status asks the supervisor; an error means that no cluster runs in this state folder.
func (c *Cluster) Status(ctx context.Context) (Status, error) {
	var status Status
	body, err := c.control(ctx, http.MethodGet, "/status")
	if err != nil {
		return status, fmt.Errorf("no cluster is up in %s: %w", c.Dir, err)
	}
	err = json.Unmarshal(body, &status)
	return status, err
}

func (c *Cluster) control(ctx context.Context, method, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, new(bytes.Buffer))
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.run("control.sock"))
	}
	return do(&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}, request)
}
