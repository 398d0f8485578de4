package cli

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// addTo has the values of a command's flags completed. A flag without an answer here has no values to offer,
// nor do files complete it.
func (a answerer) addTo(command *cobra.Command) {
	command.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	answers := a.clusterValues()
	maps.Copy(answers, a.kubeconfigValues())
	for flag, words := range values() {
		answers[flag] = fixed(words...)
	}
	if command.Name() == "list" {
		answers["output"] = fixed([2]string{"wide"}, [2]string{"json"}, [2]string{"yaml"}, [2]string{"name"})
	}
	if command.Name() == "rbac" || command.Name() == "check" {
		maps.Copy(answers, a.scopeValues())
	}
	for _, flag := range []string{"filename", "env-file", "custom", "kubeconfig", "client-certificate",
		"client-key", "certificate-authority", "record"} {
		answers[flag] = cobra.FixedCompletions(nil, askForFiles)
	}
	answers["cache-dir"] = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		if a := answers[flag.Name]; a != nil {
			_ = command.RegisterFlagCompletionFunc(flag.Name, a) // fails only if it has one already
		}
	})
}

// values are those of the flags that take one of a few words, with their descriptions.
func values() map[string][][2]string {
	all := map[string][][2]string{
		"mode":          {{"clone", "a new pod without traffic"}, {"debug", "a container in a live pod"}},
		"via":           {{"exec", "nothing is logged"}, {"attach", "the container's main process"}},
		"volumes":       {{"shared", "the workload's"}, {"readonly"}, {"fresh", "new and empty"}},
		"pull":          {{"always"}, {"missing"}, {"never"}},
		"override-type": {{"merge"}, {"strategic"}, {"json"}},
		"dry-run":       {{"client", "nothing is sent"}, {"server", "the server validates it"}, {"none"}},
		"output":        {{"yaml"}, {"json"}, {"name"}},
		"validate":      {{"strict"}, {"warn"}, {"ignore"}},
		"record-format": {{"v3"}, {"v2", "for asciinema 2"}},
		"escape":        {{"none", "no keys end or leave the session"}},
		"detach-keys":   {{"ctrl-p,ctrl-q", "as in docker"}, {"none"}},
		"pod-selection": {{"newest"}, {"oldest"}, {"unready"}, {"crashing"}},
	}
	for _, name := range profiles() {
		all["profile"] = append(all["profile"], [2]string{name})
	}
	return all
}

// scopeValues are those of the flags of the commands about permissions.
func (a answerer) scopeValues() map[string]answer {
	return map[string]answer{
		"mode":      fixed(append(values()["mode"], [2]string{modeAll, "both"})...),
		"output":    fixed([2]string{"yaml"}, [2]string{"json"}),
		"aggregate": fixed([2]string{"edit"}, [2]string{"admin"}),
		"service-account": a.request(func(ctx context.Context, c connection, q question) []string {
			namespace, name, has := strings.Cut(q.typed, ":")
			if !has {
				namespace, name = c.namespace, ""
			}
			found, err := c.cluster.ServiceAccounts(ctx, namespace, name)
			if err != nil {
				return nil
			}
			return offer(q.typed, inLines(namespace+":", found)...)
		}),
	}
}

func fixed(words ...[2]string) answer {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return offer(typed, words...), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// clusterValues are the answers that the cluster knows.
func (a answerer) clusterValues() map[string]answer {
	type found = []workload.Choice
	names := func(list func(ctx context.Context, c connection, typed string) (found, error)) answer {
		return a.request(func(ctx context.Context, c connection, q question) []string {
			found, err := list(ctx, c, q.typed)
			if err != nil {
				return nil
			}
			return offer(q.typed, inLines("", found)...)
		})
	}
	return map[string]answer{
		"container": a.ofTemplate(containersToOpen),
		"with":      a.ofTemplate(containersToAdd),
		"init":      a.ofTemplate(initContainers),
		"inherit": func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			parts := [][2]string{{"env"}, {"volumes"}, {"security"}}
			if !strings.Contains(typed, ",") {
				parts = append(parts, [2]string{"none"})
			}
			return offerList(typed, parts),
				cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		},
		"drop-labels": a.ofTemplate(labelKeys),
		"revision":    a.request(revisions),
		"namespace":   a.namespaces(),
		"service-account": names(func(ctx context.Context, c connection, typed string) (found, error) {
			return c.cluster.ServiceAccounts(ctx, c.namespace, typed)
		}),
		"image-pull-secret": names(func(ctx context.Context, c connection, typed string) (found, error) {
			return c.cluster.PullSecrets(ctx, c.namespace, typed)
		}),
		"node": names(func(ctx context.Context, c connection, typed string) (found, error) {
			return c.cluster.Nodes(ctx, typed)
		}),
	}
}

// offerList completes the last of several words with commas between them, none of which is offered twice.
func offerList(typed string, words [][2]string) []string {
	before := typed[:strings.LastIndex(typed, ",")+1]
	given := strings.Split(before, ",")
	var lists [][2]string
	for _, word := range words {
		if !slices.Contains(given, word[0]) {
			lists = append(lists, [2]string{before + word[0], word[1]})
		}
	}
	return offer(typed, lists...)
}

// ofTemplate answers from the pod template of the named workload.
func (a answerer) ofTemplate(list func(t corev1.PodTemplateSpec, q question) []string) answer {
	return a.request(func(ctx context.Context, c connection, q question) []string {
		named, err := workload.ParseReference(q.args)
		if err != nil {
			return nil
		}
		template, err := c.cluster.Template(ctx, c.namespace, named)
		if err != nil {
			return nil
		}
		return list(template, q)
	})
}

// containersToOpen are those for -c. In debug mode an init container may be running.
func containersToOpen(t corev1.PodTemplateSpec, q question) []string {
	live := q.command.Flag("mode") != nil && q.command.Flag("mode").Value.String() == "debug"
	all := slices.Clone(t.Spec.Containers)
	for _, c := range t.Spec.InitContainers {
		if live || containers.IsSidecar(c) {
			all = append(all, c)
		}
	}
	return offer(q.typed, withImages(all)...)
}

// containersToAdd are those for --with: all but the chosen one, or the first.
func containersToAdd(t corev1.PodTemplateSpec, q question) []string {
	all := slices.DeleteFunc(slices.Clone(t.Spec.InitContainers),
		func(c corev1.Container) bool { return !containers.IsSidecar(c) })
	chosen := q.command.Flag("container").Value.String()
	for n, c := range t.Spec.Containers {
		if is := c.Name == chosen || chosen == "" && n == 0; !is {
			all = append(all, c)
		}
	}
	return offerList(q.typed, withImages(all))
}

// initContainers are those for --init. A keyword goes with no names.
func initContainers(t corev1.PodTemplateSpec, q question) []string {
	all := slices.DeleteFunc(slices.Clone(t.Spec.InitContainers), containers.IsSidecar)
	words := withImages(all)
	if !strings.Contains(q.typed, ",") {
		words = append(words, [2]string{"auto", "those that prepare a volume"}, [2]string{"all"},
			[2]string{"none"})
	}
	return offerList(q.typed, words)
}

func withImages(all []corev1.Container) (words [][2]string) {
	for _, c := range all {
		words = append(words, [2]string{c.Name, c.Image})
	}
	return words
}

func labelKeys(t corev1.PodTemplateSpec, q question) []string {
	var words [][2]string
	for _, key := range slices.Sorted(maps.Keys(t.Labels)) {
		words = append(words, [2]string{key, t.Labels[key]})
	}
	return offerList(q.typed, words)
}

// revisions are those of the named workload, the latest first.
func revisions(ctx context.Context, c connection, q question) []string {
	named, err := workload.ParseReference(q.args)
	if err != nil || !slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, named.Kind) {
		return nil
	}
	found, err := c.cluster.Revisions(ctx, c.namespace, named)
	if err != nil {
		return nil
	}
	var words [][2]string
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(found))) {
		r := found[n]
		var images []string
		for _, c := range r.Template.Spec.Containers {
			images = append(images, c.Image)
		}
		about := append(slices.Compact(images), age(&r.Created, time.Now()))
		words = append(words, [2]string{strconv.FormatInt(n, 10), strings.Join(about, ", ")})
	}
	return offer(q.typed, words...)
}

// namespaces are the cluster's, or those of the kubeconfig for a user who is not allowed to list them.
func (a answerer) namespaces() answer {
	return a.request(func(ctx context.Context, c connection, q question) []string {
		found, err := c.cluster.Namespaces(ctx, q.typed)
		if err == nil {
			return offer(q.typed, inLines("", found)...)
		}
		raw, err := a.config.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil
		}
		named := map[string]bool{}
		for _, known := range raw.Contexts {
			named[known.Namespace] = known.Namespace != ""
		}
		var words [][2]string
		for _, name := range slices.Sorted(maps.Keys(named)) {
			if named[name] {
				words = append(words, [2]string{name, "of a context"})
			}
		}
		return offer(q.typed, words...)
	})
}

// kubeconfigValues are the answers that the kubeconfig knows.
func (a answerer) kubeconfigValues() map[string]answer {
	of := func(list func(clientcmdapi.Config) [][2]string) answer {
		return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			raw, err := a.config.ToRawKubeConfigLoader().RawConfig()
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			words := list(raw)
			slices.SortFunc(words, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
			return offer(typed, words...), cobra.ShellCompDirectiveNoFileComp
		}
	}
	return map[string]answer{
		"context": of(func(raw clientcmdapi.Config) (words [][2]string) {
			for name, known := range raw.Contexts {
				about := "cluster " + known.Cluster
				if known.Namespace != "" {
					about += ", namespace " + known.Namespace
				}
				if name == raw.CurrentContext {
					about += " (current)"
				}
				words = append(words, [2]string{name, about})
			}
			return words
		}),
		"cluster": of(func(raw clientcmdapi.Config) (words [][2]string) {
			for name, known := range raw.Clusters {
				words = append(words, [2]string{name, known.Server})
			}
			return words
		}),
		"user": of(func(raw clientcmdapi.Config) (words [][2]string) {
			for name := range raw.AuthInfos {
				words = append(words, [2]string{name})
			}
			return words
		}),
	}
}
