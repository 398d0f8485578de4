package cli

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/target"
)

// A clone's facts are some 15 requests at once, which client-go would hold back: by default it sends
// 10 at once, then 5 a second. The figures are those that kubectl gives its own discovery; a server
// that is busy says so itself (API priority and fairness, Kubernetes 1.29).
// https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/kubectl/pkg/cmd/cmd.go
const (
	requestsPerSecond = 50
	burst             = 300
)

// connection is how the cluster is reached.
type connection struct {
	config           *rest.Config
	cluster          target.Cluster
	namespace        string
	enforceNamespace bool // -n was given
}

func connect(flags *genericclioptions.ConfigFlags, out *printer) (connection, error) {
	namespace, enforced, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return connection{}, err
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return connection{}, err
	}
	config.WarningHandler = out
	config.QPS, config.Burst = requestsPerSecond, burst
	client, err := kubernetes.NewForConfig(config)
	cluster := target.Cluster{
		Client:  client,
		Mapper:  func() (meta.RESTMapper, error) { return flags.ToRESTMapper() },
		Dynamic: func() (dynamic.Interface, error) { return dynamic.NewForConfig(config) },
	}
	return connection{config, cluster, namespace, enforced}, err
}
