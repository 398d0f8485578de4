// Package embedded runs a real one-node Kubernetes on a plain Linux machine: etcd, the
// API server, the controller manager, the scheduler, the kubelet, containerd and runc,
// built from the Go module proxy, without any registry and apart from whatever else
// runs there.
//
// All processes live in one process and one mount namespace below a supervisor, so its
// end is the end of everything. Every address is on loopback or on the cluster's own
// bridge. Images are made on the spot; a name that isn't among them fails to pull at
// once with "connection refused", and any image of the registry notfound.test with
// "not found".
package embedded

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// DefaultVersion is the Kubernetes that is run when nobody asks for another.
const DefaultVersion = "1.37.2"

// containerdVersion is the same for each Kubernetes. It rarely matters to a test.
const containerdVersion = "2.2.3"

// ErrUnsupported says that this machine can't run the cluster, and what to do instead.
var ErrUnsupported = errors.New("the embedded cluster needs Linux with root; " +
	"set ESHELL_E2E_CONTEXT=<context> to use an existing cluster")

// Cluster is one embedded cluster, known by its state folder. The value holds no
// connection: any process may make one for a cluster that another process started.
type Cluster struct {
	Dir     string // everything the running cluster writes
	Cache   string // binaries and images, kept between runs
	Version string // of Kubernetes, without "v"
	Client  string // a kubectl to use, where it works with that version, so that none is built
}

// Default is the machine's cluster. ESHELL_CLUSTER_DIR names another state folder,
// ESHELL_K8S_VERSION another Kubernetes, and ESHELL_KUBECTL a kubectl.
func Default() *Cluster {
	return &Cluster{
		Dir:     orElse(os.Getenv("ESHELL_CLUSTER_DIR"), "/var/lib/eshell-cluster"),
		Cache:   cacheDir(),
		Version: orElse(os.Getenv("ESHELL_K8S_VERSION"), DefaultVersion),
		Client:  os.Getenv("ESHELL_KUBECTL"),
	}
}

// Kubeconfig is the path of a cluster-admin's kubeconfig; its context is named "eshell".
func (c *Cluster) Kubeconfig() string { return c.run("admin.kubeconfig") }

// Kubectl is the path of the kubectl of the cluster's own version, or of Client.
func (c *Cluster) Kubectl() string { return c.bin("kubectl") }

// BinDir holds kubectl, ctr and the components; add it to PATH to use them.
func (c *Cluster) BinDir() string { return filepath.Join(c.Dir, "bin") }

// APIServerAddr is the API server's host:port.
func (c *Cluster) APIServerAddr() string { return loopback(apiserverPort) }

// StaticPods is the folder whose manifests the kubelet runs without asking the API server, which
// shows them as mirror pods, named after the node too.
func (c *Cluster) StaticPods() string { return filepath.Join(c.Dir, "static") }

// AuditLog is the path of the API server's audit log: one JSON event a line, level
// Metadata, written before the response is sent.
func (c *Cluster) AuditLog() string { return c.log("audit") }

// Logs opens the log of one component, or of the "supervisor".
func (c *Cluster) Logs(component string) (io.ReadCloser, error) {
	if _, known := c.spec(component); !known && component != supervisorName {
		return nil, fmt.Errorf("no component %q; there are %s", component, c.names())
	}
	return os.Open(c.log(component))
}

// LogTail is the end of a component's log, for a report of what went wrong.
func (c *Cluster) LogTail(component string) string { return string(tail(c.log(component), tailLines)) }

// LogNames are the components that keep a log.
func (c *Cluster) LogNames() []string {
	names := []string{supervisorName}
	for _, s := range c.specs() {
		names = append(names, s.name)
	}
	return names
}

func (c *Cluster) bin(name string) string { return filepath.Join(c.Dir, "bin", name) }
func (c *Cluster) run(name string) string { return filepath.Join(c.Dir, "run", name) }
func (c *Cluster) pki(name string) string { return filepath.Join(c.Dir, "pki", name) }
func (c *Cluster) etc(name string) string { return filepath.Join(c.Dir, "etc", name) }
func (c *Cluster) log(name string) string { return filepath.Join(c.Dir, "log", name+".log") }

// data is where a component keeps what it stores.
func (c *Cluster) data(name string) string { return filepath.Join(c.Dir, "data", name) }

// cacheDir falls back to the machine's cache: a service or a bare sudo has no home.
func cacheDir() string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = "/var/cache"
	}
	return filepath.Join(base, "kubectl-eshell")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func orElse(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
