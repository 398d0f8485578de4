package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// ran is all that a caller sees of the plugin.
type ran struct {
	status      int
	out, errOut string
}

// runMain runs the plugin with no kubeconfig and no input.
func runMain(ctx context.Context, t *testing.T, argv ...string) ran {
	t.Helper()
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	var out, errOut strings.Builder
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}
	status := Main(ctx, argv, streams, "v1.2.3")
	return ran{status, out.String(), errOut.String()}
}

// missing is a cluster without the workload, which warns of its age.
func missing(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/api/v1/namespaces/shop" {
		_, _ = w.Write([]byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop"}}`))
		return
	}
	w.Header().Set("Warning", `299 - "this cluster is old"`)
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(
		`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,` +
			`"message":"` + r.URL.Path + ` is not here","details":{"name":"api"}}`))
}

func TestMainFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(missing))
	defer server.Close()
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(Signal{syscall.SIGINT})

	// Every answer carries it; it is told once.
	const warning = "warning: this cluster is old\n"
	tests := []struct {
		name string
		ctx  context.Context
		argv []string
		want ran
	}{
		{"a mistake", t.Context(), []string{"deploy"},
			ran{125, "", "error: deploy is a type, and no name follows\n" +
				"hint: name one, as in deploy/NAME; list what there is: kubectl get deployments\n"}},
		{"no kubeconfig", t.Context(), []string{"deploy/api"}, ran{125, "",
			"error: no cluster is configured: there is no kubeconfig, or it is empty\n" +
				"hint: name one: --kubeconfig FILE, or export KUBECONFIG=FILE\n"}},
		{"no such context", t.Context(), []string{"deploy/api", "--context", "nosuch"}, ran{125, "",
			"error: the kubeconfig has no context \"nosuch\"\n" +
				"hint: list the contexts: kubectl config get-contexts\n"}},
		{"a misspelt flag", t.Context(), []string{"deploy/api", "--imgae=x"},
			ran{125, "", "error: unknown flag: --imgae\nhint: did you mean: --image\n"}},
		{"a flag of kubectl debug", t.Context(), []string{"deploy/api", "--target=app"},
			ran{125, "", "error: unknown flag: --target\nhint: -c CONTAINER --mode debug\n"}},
		{"a command without dashes", t.Context(), []string{"-n", "shop", "deploy/api", "ls", "-l", "a b"},
			ran{125, "", "error: unknown shorthand flag: 'l' in -l\n" +
				"hint: a command goes after two dashes: kubectl eshell -n shop deploy/api -- ls -l 'a b'\n"}},
		{"a flag of kubectl get", t.Context(), []string{"-A"},
			ran{125, "", "error: unknown shorthand flag: 'A' in -A\n" +
				"hint: a session is in one namespace: -n NAMESPACE\n"}},
		{"a misspelt command", t.Context(), []string{"lsit", "-n", "shop", "--server", server.URL}, ran{125, "",
			"error: pod/lsit in namespace shop: /api/v1/namespaces/shop/pods/lsit is not here\n" +
				"hint: did you mean: kubectl eshell list\n"}},
		{"an unknown flag", t.Context(), []string{"api", "--nosuch"},
			ran{125, "", "error: unknown flag: --nosuch\n" +
				"hint: list the flags: kubectl eshell --help, kubectl eshell options; a command and its own flags go after two dashes: -- ls -l\n"}},
		{"no number", t.Context(), []string{"deploy/api", "--revision", "x"},
			ran{125, "", "error: --revision \"x\" is not a number\n"}},
		{"neither true nor false", t.Context(), []string{"deploy/api", "-i=x"},
			ran{125, "", "error: --stdin \"x\" is not true or false\n"}},
		{"no such workload", t.Context(), []string{"deploy/api", "-n", "shop", "--server", server.URL},
			ran{125, "",
				"error: deployment/api in namespace shop: /apis/apps/v1/namespaces/shop/deployments/api is not here\n" +
					"hint: list what there is: kubectl get deployments -n shop\n"}},
		{"no such file", t.Context(), []string{"-f", "none.yaml", "--server", server.URL}, ran{125, "",
			"error: manifest: open none.yaml: no such file or directory\n"}},
		{"interrupted", interrupted, []string{"deploy/api", "--server", server.URL},
			ran{130, "", "error: ended by a signal: interrupt\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runMain(tt.ctx, t, tt.argv...)
			warned := strings.Count(got.errOut, warning)
			got.errOut = strings.ReplaceAll(got.errOut, warning, "")
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			answered := slices.Contains(tt.argv, server.URL) && len(tt.argv) == 5
			if answered != (warned == 1) || warned > 1 {
				t.Errorf("the server's warning was printed %d times", warned)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	if got, want := runMain(t.Context(), t, "--version"),
		(ran{out: "kubectl eshell version v1.2.3\n"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestHelp: help is what was asked for, so it is output. It lists the commands and each flag of ours, by
// task, and says where those of the connection are.
func TestHelp(t *testing.T) {
	got := runMain(t.Context(), t, "--help")
	if got.status != 0 || got.errOut != "" {
		t.Errorf("status %d, stderr %q; want 0 and nothing", got.status, got.errOut)
	}
	rest := got.out
	for _, part := range []string{
		"Open a shell next to a workload.", "Usage:\n  " + usageLine, "Examples:\n  # A shell in a clone",
		"\n\nCommands:\n  attach ", "\n  delete ", "\n  extend ", "\n  gc ", "\n  list ", "\n  options ",
		"\n\nTarget:", "--container", "--filename", "--revision",
		"\n\nWhat runs:", "--command", "--image", "--env", "--cpu", "--memory", "--stdin", "--tty", "--via",
		"--toolbox", "--overrides", "--with", "--init", "--volumes",
		"\n\nIsolation:", "--keep-labels", "--labels", "--as-user", "--node",
		"\n\nLifetime:", "--start-timeout", "--lease", "--ttl", "--idle", "--detach", "--detach-keys", "--reason",
		"\n\nDebug:", "--mode", "\n\nOutput:", "--explain", "--dry-run", "--output", "--quiet",
		"\n\nUse \"kubectl eshell COMMAND --help\"", "\nUse \"kubectl eshell options\"",
	} {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("%q is missing or out of order in:\n%s", part, got.out)
		}
		rest = after
	}
	for line := range strings.Lines(got.out) {
		if strings.HasPrefix(line, strings.Repeat(" ", 20)) {
			t.Errorf("a flag's help is longer than a line of %d characters: %q", helpWidth, line)
		}
	}
	if leaks := regexp.MustCompile(`--\S+ (strings?|stringArray|int\d*|duration)\b`).FindString(
		got.out); leaks != "" {
		t.Errorf("%q shows how a flag is parsed", leaks)
	}
	if strings.Contains(got.out, "--kubeconfig") {
		t.Errorf("the flags of the connection are in:\n%s", got.out)
	}
}

// TestConnectionFlags: they are in one place, as kubectl options prints its own.
func TestConnectionFlags(t *testing.T) {
	for _, args := range [][]string{{"options"}, {"options", "--help"}} {
		got := runMain(t.Context(), t, args...)
		for _, flag := range []string{"--namespace", "--context", "--kubeconfig", "--as"} {
			if got.status != 0 || got.errOut != "" || !strings.Contains(got.out, flag) {
				t.Errorf("%v: %s is not in %+v", args, flag, got)
			}
		}
	}
}

// TestNothingTyped: a short usage, and no error about arguments.
func TestNothingTyped(t *testing.T) {
	if got, want := runMain(t.Context(), t), (ran{failed, "", shortUsage}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
