package cli

import (
	"bytes"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/kubectl/pkg/kuberc"
)

// limitPlugins has client-go run only those credential plugins that the user's kuberc allows. kubectl applies
// its kuberc to itself, not to its plugins. The file is found as kubectl finds it, but for its flag --kuberc:
// KUBERC names it, or switches it off, as KUBECTL_KUBERC=false does.
// https://kubernetes.io/docs/reference/kubectl/kuberc/#credential-plugin-policy
func limitPlugins(config *rest.Config, out *printer) error {
	if config.ExecProvider == nil || strings.EqualFold(os.Getenv("KUBECTL_KUBERC"), "false") {
		return nil
	}
	var told bytes.Buffer
	preference, err := kuberc.DefaultGetPreferences("", &told)
	if err != nil {
		return err // it names the file
	}
	if text := strings.TrimSpace(told.String()); text != "" {
		out.Warn("%s", text)
	}
	if preference == nil {
		return nil
	}
	policy := &config.ExecProvider.PluginPolicy
	policy.PolicyType = clientcmdapi.PolicyType(preference.CredentialPluginPolicy)
	for _, entry := range preference.CredentialPluginAllowlist {
		policy.Allowlist = append(policy.Allowlist, clientcmdapi.AllowlistEntry(entry))
	}
	return nil
}
