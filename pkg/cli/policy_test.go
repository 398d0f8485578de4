package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

// refusedBy returns the server's refusal by one of our policies.
func refusedBy(sentence string) error {
	name, _, _ := strings.Cut(sentence, ":")
	return fmt.Errorf("create pod/x: %w", apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x",
		errors.New("ValidatingAdmissionPolicy 'eshell-"+name+"' with binding 'b' denied request: eshell policy "+
			sentence)))
}

// TestExplainPolicy: the hint is what was typed, with what the policy asks for.
func TestExplainPolicy(t *testing.T) {
	const rights = "debug: container eshell-x7k2p has more rights than any of the profiles baseline, general (--profile)"
	tests := []struct{ typed, sentence, hint string }{
		{"deploy/api", "reason: a session needs a reason (--reason)", "kubectl eshell deploy/api --reason TICKET"},
		{"deploy/api --reason=x -- ls --reason y", "reason: a session needs a reason (--reason)",
			"kubectl eshell deploy/api --reason TICKET -- ls --reason y"},
		{"--ttl 8h deploy/api --context c", "ttl: a session lives for at most 1h30m (--ttl)",
			"kubectl eshell deploy/api --ttl 1h30m"},
		{"deploy/api", "ttl: this lease would not end in its own time",
			"for whoever manages policies: kubectl get validatingadmissionpolicy eshell-ttl -o yaml"},
		{"deploy/api --image x", "images: x is not from a.example, b.example (--image)",
			"kubectl eshell deploy/api --image a.example/IMAGE"},
		{"deploy/api --toolbox=x -- sh", "images: x is not from a.example (--image)",
			"kubectl eshell deploy/api --toolbox a.example/IMAGE -- sh"},
		{"deploy/api --image y --toolbox-image x", "images: x is not from a.example (--image)",
			"kubectl eshell deploy/api --image y --toolbox-image a.example/IMAGE"},
		{"pod/x --mode debug --inherit env", rights, "kubectl eshell pod/x --mode debug --profile baseline"},
		{"pod/x --mode debug", "debug: image x is not one of a.example/b:1 (--image)",
			"kubectl eshell pod/x --mode debug --image a.example/b:1"},
		{"pod/x --mode debug --profile general", "debug: there are no debug containers in namespace n",
			"for a clone: kubectl eshell pod/x --mode clone"},
		{"pod/x --chroot --mode=debug --inherit env -q --profile=general",
			"debug: there are no debug containers in namespace n", "for a clone: kubectl eshell pod/x -q --mode clone"},
		{"deploy/api", "identity: the lease of a session runs nothing",
			"for whoever manages policies: kubectl get validatingadmissionpolicy eshell-identity -o yaml"},
	}
	for _, tt := range tests {
		err := explainPolicy(&cobra.Command{}, strings.Fields(tt.typed), refusedBy(tt.sentence))
		if got := hint.Of(err); got != tt.hint {
			t.Errorf("%s: %s: the hint is %q, want %q", tt.typed, tt.sentence, got, tt.hint)
		}
		_, sentence, _ := strings.Cut(tt.sentence, ": ")
		name, _, _ := strings.Cut(tt.sentence, ":")
		want := "create pod/x: the policy eshell-" + name + " of this cluster refuses it: " + sentence
		if text, _ := inWords(err); text != want {
			t.Errorf("the error is %q, want %q", text, want)
		}
	}
}

func TestPolicyMistakes(t *testing.T) {
	tests := []struct{ typed, want string }{
		{"resaon", "error: \"resaon\" is not one of the policies: identity, reason, ttl, images, debug, connect, audit\n" +
			"hint: did you mean: kubectl eshell policy reason\n"},
		{"--action dney", "error: --action \"dney\" is not one of: deny, warn, audit\nhint: did you mean: --action=deny\n"},
		{"--reason-pattern (", "error: --reason-pattern \"(\" is not a regular expression: error parsing regexp: " +
			"missing closing ): `(`\n"},
		{"--max-ttl 0s", "error: --max-ttl 0s is less than 1s\n"},
		{"--registry https://a.example", "error: --registry \"https://a.example\" is not the beginning of an image's name\n" +
			"hint: for example: --registry registry.example/team\n"},
		{"--debug-image busybox:1", "error: --debug-image \"busybox:1\" does not name its registry\n" +
			"hint: in full: --debug-image docker.io/library/busybox:1\n"},
		{"--registry=", "error: --registry has no value\n"},
		{"--reason-pattern=", "error: --reason-pattern has no value\n"},
		{"--debug-image team/x", "error: --debug-image \"team/x\" does not name its registry\n" +
			"hint: in full: --debug-image docker.io/team/x\n"},
		{"--debug-profile auto", "error: --debug-profile \"auto\" is not one of: general, baseline, restricted, netadmin, sysadmin\n"},
		{"--parameter-namespace A", "error: --parameter-namespace \"A\" is not a valid name: "},
		{"--namespace-selector =", "error: --namespace-selector: "},
	}
	for _, tt := range tests {
		got := runMain(t.Context(), t, append([]string{"policy"}, strings.Fields(tt.typed)...)...)
		if got.status != 125 || got.out != "" || !strings.HasPrefix(got.errOut, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.typed, got, tt.want)
		}
	}
}

// TestPolicyAlone: a policy that goes by names says what guards them.
func TestPolicyAlone(t *testing.T) {
	got := runMain(t.Context(), t, "policy", "connect")
	if got.status != 0 || !strings.Contains(got.errOut, "warning: the policy connect ") {
		t.Errorf("%+v", got)
	}
	got = runMain(t.Context(), t, "policy", "identity", "--max-ttl", "1h", "--action", "warn")
	if got.status != 0 || got.errOut != "warning: --max-ttl is for the policy ttl, which is not printed\n" {
		t.Errorf("%+v", got)
	}
	got = runMain(t.Context(), t, "policy", "--max-ttl", "2d", "--registry", "a.example,b.example/x")
	if got.status != 0 || got.errOut != "" || !strings.Contains(got.out, "  maxTTL: 48h\n") ||
		!strings.Contains(got.out, "  registries: a.example,b.example/x\n") {
		t.Errorf("%+v", got)
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{4 * time.Hour: "4h", 90 * time.Minute: "1h30m",
		30 * time.Second: "30s", 3601 * time.Second: "1h0m1s", 10 * time.Minute: "10m"} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
