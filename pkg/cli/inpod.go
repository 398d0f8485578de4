package cli

import (
	"errors"
	"os"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// errNoAccount means that this is a pod in which client-go finds nothing to connect with.
var errNoAccount = hint.Wrap(
	errors.New("no cluster is configured: there is no kubeconfig, and this pod has no service account token"),
	"let the pod have one (automountServiceAccountToken), or name a kubeconfig: --kubeconfig FILE")

// inCluster reports whether this is a pod with a service account, which client-go then connects to its own
// cluster.
// https://github.com/kubernetes/client-go/blob/v0.37.2/tools/clientcmd/client_config.go (Possible)
func inCluster() bool {
	const token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	info, err := os.Stat(token)
	return os.Getenv("KUBERNETES_SERVICE_HOST") != "" && os.Getenv("KUBERNETES_SERVICE_PORT") != "" &&
		err == nil && !info.IsDir()
}

// inPod has a pod without a kubeconfig use its service account beside flags such as --as and
// --request-timeout, too. client-go does so only if no flag changes the configuration: otherwise it would try
// localhost:8080. before is what else is done to the configuration; nil: nothing.
func inPod(flags *genericclioptions.ConfigFlags, before func(*rest.Config) *rest.Config) func(
	*rest.Config) *rest.Config {
	return func(config *rest.Config) *rest.Config {
		if before != nil {
			config = before(config)
		}
		raw, err := flags.ToRawKubeConfigLoader().RawConfig()
		if err != nil || len(raw.Clusters) > 0 || *flags.APIServer != "" || !inCluster() {
			return config
		}
		own, err := rest.InClusterConfig()
		if err != nil {
			return config
		}
		own.Impersonate, own.Timeout, own.UserAgent = config.Impersonate, config.Timeout, config.UserAgent
		if *flags.BearerToken != "" {
			own.BearerToken, own.BearerTokenFile = *flags.BearerToken, ""
		}
		return own
	}
}
