package cli

import (
	"flag"
	"io"
	"net"
	"strconv"
	"time"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
	"k8s.io/klog/v2"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
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
	cluster          workload.Cluster
	reconnect        func() // closes the connections of the cluster's requests, whatever is under way on them
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
	// This dials as client-go does by default, and remembers what it has dialed. To close the connections
	// that are idle would be chance: one on which a request was just cancelled is busy for a moment yet.
	dialer := connrotation.NewDialer(
		(&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext)
	config.Dial = dialer.DialContext
	if config.UserAgent == "" {
		config.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	web, err := rest.HTTPClientFor(config) // one for both clients: each would have connections of its own
	if err != nil {
		return connection{}, err
	}
	client, err := kubernetes.NewForConfigAndClient(config, web)
	cluster := workload.Cluster{
		Client:  client,
		Mapper:  flags.ToRESTMapper,
		Dynamic: func() (dynamic.Interface, error) { return dynamic.NewForConfigAndClient(config, web) },
	}
	return connection{config, cluster, dialer.CloseAll, namespace, enforced}, err
}

// quietLogs keeps the libraries' own log lines off the terminal, where a session is going on, unless
// the user asked for them with -v.
func quietLogs(verbosity int32) {
	settings := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(settings)
	if verbosity > 0 {
		_ = settings.Set("v", strconv.Itoa(int(verbosity)))
		return
	}
	_ = settings.Set("logtostderr", "false")
	_ = settings.Set("stderrthreshold", "FATAL")
	klog.SetOutput(io.Discard)
}
