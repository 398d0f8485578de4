package workload

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

const (
	// suggestTime limits the search for what was meant: an error is waiting to be returned.
	suggestTime = 3 * time.Second
	// mostNames is how many names are compared with the one that was typed.
	mostNames = 500
)

// suggest returns the hint for a workload that is not there: the workload that was meant, the namespace that
// was meant, or how to list what there is. What cannot be read is not suggested.
func (s *search) suggest(ctx context.Context, k kind) string {
	ctx, cancel := context.WithTimeout(ctx, suggestTime)
	defer cancel()
	var asked sync.WaitGroup
	var namespace, sameName, similar string
	asked.Go(func() { namespace = s.suggestNamespace(ctx) })
	asked.Go(func() { sameName = s.suggestKind(ctx, k) })
	asked.Go(func() {
		names, _ := k.names(ctx, s.Client, s.Namespace, metav1.ListOptions{})
		var meant []string
		for _, name := range hint.Closest(s.Reference.Name, names) {
			meant = append(meant, s.typed(k, name))
		}
		similar = didYouMean(meant)
	})
	asked.Wait()
	for _, suggested := range []string{namespace, sameName, similar} {
		if suggested != "" {
			return suggested
		}
	}
	next := hint.Command("list what there is: kubectl get %s -n %s", k.types[1], s.Namespace)
	if k.name == "Pod" {
		next += "; a name without a type is a pod's"
	}
	return next
}

// suggestNamespace returns the hint if the namespace is what is not there.
func (s *search) suggestNamespace(ctx context.Context) string {
	namespaces := s.Client.CoreV1().Namespaces()
	if _, err := namespaces.Get(ctx, s.Namespace, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return ""
	}
	const others = "list those there are: kubectl get namespaces"
	next := "there is no namespace " + s.Namespace + "; "
	list, err := namespaces.List(ctx, metav1.ListOptions{Limit: mostNames})
	if err != nil {
		return next + others
	}
	var names []string
	for _, namespace := range list.Items {
		names = append(names, namespace.Name)
	}
	for _, meant := range hint.Closest(s.Namespace, names) {
		return next + hint.Command("did you mean: kubectl eshell %s -n %s", s.Reference.String(), meant)
	}
	return next + others
}

// suggestKind returns the hint if a workload of another kind has the name.
func (s *search) suggestKind(ctx context.Context, not kind) string {
	all := kinds()
	found := make([]string, len(all))
	var asked sync.WaitGroup
	for n, k := range all {
		if k.name == not.name {
			continue
		}
		asked.Go(func() {
			if _, err := k.get(ctx, s.Client, s.Namespace, s.Reference.Name); err == nil {
				found[n] = s.typed(k, s.Reference.Name)
			}
		})
	}
	asked.Wait()
	return didYouMean(slices.DeleteFunc(found, func(command string) bool { return command == "" }))
}

// typed returns the command that names a workload.
func (s *search) typed(k kind, name string) string {
	return hint.Command("kubectl eshell %s -n %s", k.short()+"/"+name, s.Namespace)
}

func didYouMean(commands []string) string {
	if len(commands) == 0 {
		return ""
	}
	return "did you mean: " + strings.Join(commands, "; ")
}
