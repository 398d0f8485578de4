package embedded

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// probe asks once whether something is ready; the error says why it isn't.
type probe func(context.Context) error

const (
	probeTimeout  = time.Second
	probeInterval = 50 * time.Millisecond
)

// await repeats the probe until it succeeds or ctx ends. alive, which may be nil, ends
// the waiting early when it can no longer succeed.
func await(ctx context.Context, what string, ready, alive probe) error {
	for {
		err := once(ctx, ready)
		if err == nil {
			return nil
		}
		if alive != nil {
			if dead := alive(ctx); dead != nil {
				return fmt.Errorf("wait for %s: %w", what, dead)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last answer: %w", what, ctx.Err(), err)
		case <-time.After(probeInterval):
		}
	}
}

func once(ctx context.Context, ready probe) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return ready(ctx)
}

// webProbe expects 200. The certificates are not checked: the components sign their own.
func webProbe(url string) probe {
	client := webClient(&tls.Config{InsecureSkipVerify: true})
	return func(ctx context.Context) error {
		_, err := get(ctx, client, url)
		return err
	}
}

func socketProbe(path string) probe {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// apiProbe expects 200 from the API server, asked as the cluster's admin.
func (c *Cluster) apiProbe(path string) probe {
	return func(ctx context.Context) error {
		_, err := c.api(ctx, path)
		return err
	}
}

// nodeProbe expects a node on which a pod can be scheduled and run at once.
func (c *Cluster) nodeProbe(ctx context.Context) error {
	body, err := c.api(ctx, "/api/v1/nodes/"+nodeName)
	if err != nil {
		return err
	}
	var node struct {
		Spec   struct{ Taints []struct{ Key string } }
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := json.Unmarshal(body, &node); err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" && len(node.Spec.Taints) == 0 {
			return nil
		}
		if condition.Type == "Ready" && condition.Status != "True" {
			return fmt.Errorf("node %s: %s", nodeName, condition.Message)
		}
	}
	return fmt.Errorf("node %s has taints %v or no condition yet", nodeName, node.Spec.Taints)
}

// kubeletProbe expects a kubelet that also knows its pods again: it is healthy before it
// has heard of them, and until then an exec fails with "pod does not exist".
func (c *Cluster) kubeletProbe(ctx context.Context) error {
	if err := webProbe("http://" + loopback(kubeletHealth) + "/healthz")(ctx); err != nil {
		return err
	}
	if state, err := c.Component("apiserver").State(ctx); err != nil || state != Running {
		return err // a test that stopped the API server can't want more
	}
	assigned, err := c.countPods(ctx, "/api/v1/pods?fieldSelector=spec.nodeName%3D"+nodeName)
	if err != nil {
		return err
	}
	known, err := c.countPods(ctx, "/api/v1/nodes/"+nodeName+"/proxy/pods")
	if err == nil && known < assigned {
		err = fmt.Errorf("kubelet knows %d of %d pods", known, assigned)
	}
	return err
}

func (c *Cluster) countPods(ctx context.Context, path string) (int, error) {
	body, err := c.api(ctx, path)
	if err != nil {
		return 0, err
	}
	var pods struct{ Items []struct{} }
	err = json.Unmarshal(body, &pods)
	return len(pods.Items), err
}

func (c *Cluster) api(ctx context.Context, path string) ([]byte, error) {
	ca, err := loadAuthority(filepath.Join(c.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(c.pki("admin.crt"), c.pki("admin.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	client := webClient(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}})
	return get(ctx, client, "https://"+c.APIServerAddr()+path)
}

// webClient uses a new connection each time: a kept one may belong to a process that was killed.
func webClient(config *tls.Config) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return do(client, request)
}

func do(client *http.Client, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", request.Method, request.URL.Path, response.Status, body)
	}
	return body, err
}
