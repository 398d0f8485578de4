package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/policy"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// errNoCluster means that no kubeconfig was found. client-go would then try localhost:8080.
var errNoCluster = hint.Wrap(errors.New("no cluster is configured: there is no kubeconfig, or it is empty"),
	"name one: --kubeconfig FILE, or export KUBECONFIG=FILE")

// checkConfig returns why the flags and the kubeconfig name no cluster, or nil.
func checkConfig(flags *genericclioptions.ConfigFlags, err error) error {
	config, readErr := flags.ToRawKubeConfigLoader().RawConfig()
	if readErr != nil {
		return err
	}
	missing := cmp.Or(
		absent("context", *flags.Context, config.Contexts, "list the contexts: kubectl config get-contexts"),
		absent("cluster", *flags.ClusterName, config.Clusters,
			"list the clusters: kubectl config get-clusters"),
		absent("user", *flags.AuthInfoName, config.AuthInfos, "list the users: kubectl config get-users"))
	switch {
	case missing != nil:
		return missing
	case err != nil || len(config.Clusters) > 0 || *flags.APIServer != "" || inCluster():
		return err
	case os.Getenv("KUBERNETES_SERVICE_HOST") != "":
		return errNoAccount
	}
	return errNoCluster
}

// absent returns an error if a flag names an entry that the kubeconfig does not have, with the entry that was
// meant or, without a similar one, the command that lists them.
func absent[T any](flag, name string, entries map[string]T, list string) error {
	if _, is := entries[name]; is || name == "" {
		return nil
	}
	err := fmt.Errorf("the kubeconfig has no %s %q", flag, name)
	for _, meant := range hint.Closest(name, slices.Sorted(maps.Keys(entries))) {
		return hint.Wrap(err, hint.Command("did you mean: --"+flag+" %s", meant))
	}
	return hint.Wrap(err, list)
}

// inWords returns an error's text, in which a request that reached no server, or that one of our policies has
// refused, is told in a sentence, and what to type next if the error itself does not say.
func inWords(err error) (text, next string) {
	text = err.Error()
	if apierrors.IsUnauthorized(err) {
		return text, "the server does not accept your credentials, which may have expired: log in again; " +
			"see which are used: kubectl config view --minify"
	}
	if refused := policy.Refusal(err); refused != nil {
		return strings.ReplaceAll(text, refused.Err.Error(), refused.Error()), ""
	}
	failed, is := errors.AsType[*url.Error](err)
	if !is {
		return text, ""
	}
	sentence, next := unreachable(failed)
	return strings.ReplaceAll(text, failed.Error(), sentence), next
}

// unauthorized matches an API server's words for a request in a namespace that its authorizer refuses. A verb
// with a colon is about impersonation.
var unauthorized = regexp.MustCompile(
	`cannot [a-z]+ resource "[^"]+" in API group "[^"]*" in the namespace "([^"]+)"`)

// lacking returns what to type if a permission is missing.
func lacking(err error) string {
	found := unauthorized.FindStringSubmatch(err.Error())
	if !apierrors.IsForbidden(err) || found == nil {
		return ""
	}
	return hint.Command("see what you are allowed to do: kubectl eshell check -n %s", found[1])
}

func unreachable(failed *url.Error) (sentence, next string) {
	const check = "check whether the cluster answers: kubectl cluster-info"
	server := failed.URL
	if u, err := url.Parse(failed.URL); err == nil {
		server = u.Scheme + "://" + u.Host
	}
	cluster := "the cluster at " + server
	expired, isInvalid := errors.AsType[x509.CertificateInvalidError](failed)
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](failed)
	dns, isDNS := errors.AsType[*net.DNSError](failed)
	network, isNetwork := errors.AsType[net.Error](failed.Err)
	switch {
	case isInvalid && expired.Reason == x509.Expired:
		return cluster + " has a certificate that has expired, or is not valid yet: " + failed.Err.Error(),
			"check the time here, and ask who runs the cluster for a new certificate"
	case isUnknown:
		return cluster + " has a certificate that the kubeconfig does not trust: " + failed.Err.Error(),
			"check the cluster's certificate-authority: kubectl config view --minify"
	case isDNS:
		return cluster + " has a name that cannot be resolved: " + dns.Error(),
			"check your network or VPN, and the server: kubectl config view --minify"
	case strings.Contains(failed.Err.Error(), "getting credentials: plugin "):
		return cluster + " was not asked: " + failed.Err.Error(),
			"your kuberc decides which credential plugins run: kubectl kuberc view"
	case strings.Contains(failed.Err.Error(), pluginHangs):
		return cluster + " was not asked: " + failed.Err.Error(),
			"if your credential plugin waits for you, give it more time: --request-timeout 5m; " +
				"see which it is: kubectl config view --minify"
	case isOfPlugin(failed.Err):
		return cluster + " was not asked: " + failed.Err.Error(),
			"your credential plugin has failed: log in again; see which it is: kubectl config view --minify"
	case errors.Is(failed, stream.ErrRedirected):
		return failed.Err.Error(), "see which server the kubeconfig has: kubectl config view --minify"
	case errors.Is(failed, syscall.ECONNREFUSED):
		return cluster + " refuses connections: " + failed.Err.Error(), check
	case errors.Is(failed, context.DeadlineExceeded), isNetwork && network.Timeout():
		return cluster + " did not answer in time: " + failed.Err.Error(),
			check + "; check your network or VPN"
	}
	return cluster + " cannot be reached: " + failed.Err.Error(), check
}
