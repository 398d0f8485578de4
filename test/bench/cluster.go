//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

// cluster is where the commands run.
type cluster struct {
	kubectl string
	raw     *clientcmdapi.Config // with one context, and without files
	config  *rest.Config
	client  kubernetes.Interface
	version string
}

// connect takes the embedded cluster, which has to be up, or the existing one that ESHELL_E2E_CONTEXT names,
// which has to be that of the current context too: see test/e2e.
func connect() (*cluster, error) {
	c, err := choose()
	if err != nil {
		return nil, err
	}
	if err := clientcmdapi.MinifyConfig(c.raw); err != nil {
		return nil, fmt.Errorf("the kubeconfig: %w", err)
	}
	if err := clientcmdapi.FlattenConfig(c.raw); err != nil {
		return nil, fmt.Errorf("the kubeconfig: %w", err)
	}
	if c.config, err = clientcmd.NewDefaultClientConfig(*c.raw, nil).ClientConfig(); err != nil {
		return nil, fmt.Errorf("the kubeconfig: %w", err)
	}
	c.config.Timeout = 30 * time.Second
	c.config.QPS = -1 // of all rooms at once
	if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
		return nil, err
	}
	version, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("is the cluster up? %s: %w", c.config.Host, err)
	}
	c.version = version.GitVersion
	return c, nil
}

func choose() (*cluster, error) {
	name := os.Getenv("ESHELL_E2E_CONTEXT")
	if name == "" {
		c := embedded.Default()
		raw, err := clientcmd.LoadFromFile(c.Kubeconfig())
		if err != nil {
			return nil, fmt.Errorf("is the cluster up? make cluster-up: %w", err)
		}
		return &cluster{kubectl: c.Kubectl(), raw: raw}, nil
	}
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		return nil, err
	}
	raw, err := clientcmd.NewDefaultPathOptions().GetStartingConfig()
	if err != nil {
		return nil, err
	}
	if raw.CurrentContext != name {
		return nil, fmt.Errorf("ESHELL_E2E_CONTEXT is %q but the current context is %q: nothing was touched",
			name, raw.CurrentContext)
	}
	return &cluster{kubectl: kubectl, raw: raw}, nil
}

// addr returns the API server's host:port.
func (c *cluster) addr() (string, error) {
	server, err := url.Parse(c.config.Host)
	if err != nil {
		return "", err
	}
	if server.Port() == "" {
		return net.JoinHostPort(server.Hostname(), "443"), nil
	}
	return server.Host, nil
}

// writeKubeconfig writes a kubeconfig whose cluster replace has changed.
func (c *cluster) writeKubeconfig(path string, replace func(*clientcmdapi.Cluster)) error {
	raw := c.raw.DeepCopy()
	replace(raw.Clusters[raw.Contexts[raw.CurrentContext].Cluster])
	return clientcmd.WriteToFile(*raw, path)
}

// via makes a kubeconfig reach its server through a TCP proxy: its certificate is still that of the server.
func via(addr string) func(*clientcmdapi.Cluster) {
	return func(cluster *clientcmdapi.Cluster) {
		if server, err := url.Parse(cluster.Server); err == nil && cluster.TLSServerName == "" {
			cluster.TLSServerName = server.Hostname()
		}
		cluster.Server = "https://" + addr
	}
}

// deleteNamespace does not wait: nothing of what is in there matters to anyone.
func (c *cluster) deleteNamespace(ctx context.Context, name string) error {
	if err := c.client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete namespace %s: %w", name, err)
	}
	return nil
}
