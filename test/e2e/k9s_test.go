//go:build unix

package e2e

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestK9s presses each key of docs/k9s/eshell.yaml in each view that it is for: it runs the command as k9s
// does, on a terminal and with k9s' variables filled in.
func TestK9s(t *testing.T) {
	t.Parallel()
	var file struct {
		Plugins map[string]struct {
			Command      string
			Scopes, Args []string
		}
	}
	content, err := os.ReadFile("../../docs/k9s/eshell.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "apply", "-f", "testdata/k9s.yaml")
	kubectl(t, "wait", "cronjob/k9s", "--for=jsonpath={.status.active[0].name}", "--timeout=120s")
	kubectl(t, "wait", "pods", "-l", "runs=k9s", "--for=condition=Ready", inTime)
	context := strings.TrimSpace(kubectl(t, "config", "current-context"))
	for name, says := range map[string]string{"eshell-clone": "a clone of", "eshell-debug": "debug container"} {
		plugin := file.Plugins[name]
		if plugin.Command != "kubectl" || len(plugin.Scopes) == 0 {
			t.Errorf("%s is %+v, want kubectl in some views", name, plugin)
		}
		for _, view := range plugin.Scopes {
			t.Run(name+"/"+view, func(t *testing.T) {
				t.Parallel()
				variables := strings.NewReplacer("$RESOURCE_NAME", view, "$NAMESPACE", env.namespace,
					"$NAME", "k9s", "$CONTEXT", context)
				args := make([]string, len(plugin.Args))
				for i, arg := range plugin.Args {
					args[i] = variables.Replace(arg)
				}
				term := open(t, args...)
				session := term.session()
				term.expect(prompt)
				if screen, _ := term.shown(); !strings.Contains(screen, says) {
					t.Errorf("the terminal shows no %q:\n%s", says, screen)
				}
				term.typed("exit\n")
				term.ended(0, session)
			})
		}
	}
}
