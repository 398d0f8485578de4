package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

const deployments = `{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":[{"name":"Name"},` +
	`{"name":"Ready"},{"name":"Age"},{"name":"Images"}],"rows":[` +
	`{"cells":["api","2/2","3d","registry/app:v1"]},{"cells":["$(reboot)","1/1","3d","x"]},` +
	`{"cells":["web","0/1","\u001b[31m5m\t\n","registry/web:v1,registry/web:v1"]}]}`

const deployment = `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"api","namespace":"shop"},` +
	`"spec":{"template":{"metadata":{"labels":{"app":"api","tier":"front"}},"spec":{` +
	`"initContainers":[{"name":"migrate","image":"m:1"},` +
	`{"name":"mesh","image":"mesh:1","restartPolicy":"Always"}],` +
	`"containers":[{"name":"app","image":"a:1"},{"name":"proxy","image":"p:1"}]}}}}`

// shopServer answers what completion asks for.
func shopServer(t *testing.T) (kubeconfig string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Warning", `299 - "a warning"`)
		answer, known := map[string]string{
			"/apis/apps/v1/namespaces/shop/deployments":     deployments,
			"/apis/apps/v1/namespaces/shop/deployments/api": deployment,
			"/api/v1/namespaces/shop/pods": `{"kind":"Table","columnDefinitions":[{"name":"Name"},{"name":"Status"},` +
				`{"name":"Ready"},{"name":"Age"}],"rows":[{"cells":["web-0","Running","1/1","3d"]}]}`,
			"/api": `{"kind":"APIVersions","versions":["v1"]}`,
			"/apis": `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"argoproj.io","versions":` +
				`[{"groupVersion":"argoproj.io/v1alpha1","version":"v1alpha1"}]}]}`,
			"/api/v1": `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps",` +
				`"singularName":"configmap","shortNames":["cm"],"namespaced":true,"kind":"ConfigMap","verbs":["list"]}]}`,
			"/apis/argoproj.io/v1alpha1": `{"kind":"APIResourceList","groupVersion":"argoproj.io/v1alpha1",` +
				`"resources":[{"name":"rollouts","singularName":"rollout","shortNames":["ro"],"namespaced":true,` +
				`"kind":"Rollout","verbs":["list"]}]}`,
			"/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts": `{"kind":"Table","columnDefinitions":` +
				`[{"name":"Name"},{"name":"Desired"}],"rows":[{"cells":["web",2]},{"cells":["api",1]}]}`,
			"/apis/batch/v1/namespaces/shop/jobs": `{"kind":"JobList","apiVersion":"batch/v1","items":[]}`,
			"/api/v1/namespaces/shop/secrets": `{"kind":"Table","columnDefinitions":[{"name":"Name"},{"name":"Type"},` +
				`{"name":"Age"}],"rows":[{"cells":["db","Opaque","1d"]},` +
				`{"cells":["hub","kubernetes.io/dockerconfigjson","1d"]}]}`,
		}[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusForbidden)
			answer = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"shop","clusters":[{"name":"here","cluster":` +
		`{"server":"` + server.URL + `"}}],"users":[{"name":"ann","user":{}}],"contexts":[{"name":"shop",` +
		`"context":{"cluster":"here","user":"ann","namespace":"shop"}},{"name":"arn:aws:eks/x",` +
		`"context":{"cluster":"here","user":"ann"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, asked
}

func TestComplete(t *testing.T) {
	kubeconfig, asked := shopServer(t)
	const nothing, ordered = ":4\n", ":36\n"
	tests := []struct{ line, want, requests string }{
		{"dep", "deploy/\tDeployment\n:38\n", ""},
		{"d", "deploy/\tDeployment\nds/\tDaemonSet\ndelete\tEnd sessions\n:38\n", ""},
		{"statefulset", "statefulset/\tStatefulSet\n:38\n", ""},
		{"web-", "web-0\tRunning 1/1, 3d\n:36\n", "GET /api/v1/namespaces/shop/pods"},
		{"zzz", ordered, "GET /api/v1/namespaces/shop/pods"},
		{"deploy/a", "deploy/api\t2/2 ready, registry/app:v1, 3d\n:36\n",
			"GET /apis/apps/v1/namespaces/shop/deployments"},
		{"deploy ", "api\t2/2 ready, registry/app:v1, 3d\nweb\t0/1 ready, registry/web:v1, [31m5m\n:36\n",
			"GET /apis/apps/v1/namespaces/shop/deployments"},
		{"deploy/api ", nothing, ""},
		{"deploy/api -c ", "app\ta:1\nproxy\tp:1\nmesh\tmesh:1\n:36\n",
			"GET /apis/apps/v1/namespaces/shop/deployments/api"},
		{"deploy api --mode debug -c m", "migrate\tm:1\nmesh\tmesh:1\n:36\n",
			"GET /apis/apps/v1/namespaces/shop/deployments/api"},
		{"deploy/api --with mesh,", "mesh,proxy\tp:1\n:36\n",
			"GET /apis/apps/v1/namespaces/shop/deployments/api"},
		{"deploy/api --init ", "migrate\tm:1\nauto\tthose that prepare a volume\nall\nnone\n:36\n",
			"GET /apis/apps/v1/namespaces/shop/deployments/api"},
		{"deploy/api --drop-labels app,", "app,tier\tfront\n:36\n",
			"GET /apis/apps/v1/namespaces/shop/deployments/api"},
		{"pod/x --revision ", ordered, ""},
		{"-c ", ordered, ""},
		{"--image-pull-secret ", "hub\t1d\n:36\n", "GET /api/v1/namespaces/shop/secrets"},
		{"-n ", "shop\tof a context\n:36\n", "GET /api/v1/namespaces"},
		{"--context ", "arn:aws:eks/x\tcluster here\nshop\tcluster here, namespace shop (current)\n:4\n", ""},
		{"--user ", "ann\n:4\n", ""},
		{"--mode=d", "debug\ta container in a live pod\n:36\n", ""},
		{"--inherit env,", "env,volumes\nenv,security\n:36\n", ""},
		{"list -o ", "wide\njson\nyaml\nname\n:36\n", ""},
		{"attach ", ordered, "GET /apis/batch/v1/namespaces/shop/jobs"},
		{"attach x ", ordered, ""},
		{"extend x ", "30m\n1h\n2h\n8h\n:36\n", ""},
		{"completion z", "zsh\tprint a script for kubectl-eshell\n:36\n", ""},
		{"policy re", "reason\n:36\n", ""},
		{"policy reason --action ", "deny\nwarn\tand record what would be refused\naudit\n:36\n", ""},
		{"gc ", nothing, ""},
		{"rbac ", nothing, ""},
		{"rbac --mode ", "clone\ta new pod without traffic\ndebug\ta container in a live pod\nall\tboth\n:36\n", ""},
		{"rbac --aggregate ", "edit\nadmin\n:36\n", ""},
		{"rbac -o ", "yaml\njson\n:36\n", ""},
		{"check -o ", "yaml\njson\n:36\n", ""},
		{"check cronj", "cronjob/\tCronJob\n:38\n", ""},
		{"--mod", "--mode\tMODE is clone (a new pod) or debug (a live one)\n:4\n", ""},
		{"--unknown ", nothing, ""},
		{"--revision x deploy/", nothing, ""},
		{"--image ", nothing, ""},
		{"-f ", ":0\n", ""},
		{"--cache-dir ", ":16\n", ""},
		{"deploy/api -- ", ":0\n", ""},
		{"deploy/api -- ls ", ":0\n", ""},
	}
	for _, tt := range tests {
		*asked = nil
		args := slices.Concat([]string{cobra.ShellCompRequestCmd, "--kubeconfig", kubeconfig},
			strings.Split(tt.line, " "))
		commands := []string{"attach", "list", "extend", "completion", "gc", "check", "rbac", "policy"}
		if slices.Contains(commands, args[3]) {
			args = slices.Concat([]string{args[0], args[3]}, args[1:3], args[4:])
		}
		if args[1] == "completion" || args[1] == "policy" {
			args = slices.Delete(args, 2, 4) // they have no flags of a connection
		}
		got, stderr := completed(t, args...)
		if got != tt.want || stderr != "" || strings.Join(*asked, ", ") != tt.requests {
			t.Errorf("%q: %q after %q, stderr %q; want %q", tt.line, got, *asked, stderr, tt.want)
		}
	}
}

// TestCompleteCustom: what a custom type is called is read from kubectl's cache, once it is there.
func TestCompleteCustom(t *testing.T) {
	kubeconfig, asked := shopServer(t)
	t.Setenv("KUBECACHEDIR", t.TempDir())
	ask := func(typed string) string {
		*asked = nil
		got, _ := completed(t, cobra.ShellCompRequestCmd, "--kubeconfig", kubeconfig, typed)
		return got
	}
	const table = "GET /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"
	for range 100 { // the first answer can be late
		if ask("ro/"); slices.Contains(*asked, table) {
			break
		}
	}
	for typed, want := range map[string]string{"ro/": "ro/web\nro/api\n:36\n", "ro/a": "ro/api\n:36\n",
		"rollouts.argoproj.io/w": "rollouts.argoproj.io/web\n:36\n"} {
		if got := ask(typed); got != want || strings.Join(*asked, ", ") != table {
			t.Errorf("%q: %q after %q, want %q", typed, got, *asked, want)
		}
	}
	if got := ask("cm/"); got != ":36\n" || len(*asked) > 0 {
		t.Errorf("a type without a pod template: %q after %q", got, *asked)
	}
}

func completed(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	keepStderr := os.Stderr
	defer func() { os.Stderr = keepStderr }()
	var out, err bytes.Buffer
	if status := Main(t.Context(), args,
		genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &err}, "dev"); status != 0 {
		t.Errorf("%q: exit status %d", args, status)
	}
	return out.String(), err.String()
}

// No flag is completed by the names of files but those that name one.
func TestFlagsWithFiles(t *testing.T) {
	kubeconfig, _ := shopServer(t)
	naming := []string{"filename", "env-file", "custom", "kubeconfig", "client-certificate", "client-key",
		"certificate-authority", "record"}
	root := newCommand(genericiooptions.NewTestIOStreamsDiscard(), "dev", new(int))
	for _, command := range append(root.Commands(), root) {
		command.Flags().VisitAll(func(flag *pflag.Flag) {
			if flag.NoOptDefVal != "" {
				return // it takes no word of its own
			}
			words := []string{cobra.ShellCompRequestCmd}
			if command != root {
				words = append(words, command.Name())
			}
			if command.Flags().Lookup("kubeconfig") != nil {
				words = append(words, "--kubeconfig", kubeconfig)
			}
			got, _ := completed(t, append(words, "--"+flag.Name, "")...)
			if files := got == offerFiles; files != slices.Contains(naming, flag.Name) ||
				!files && !strings.Contains(got, ":") {
				t.Errorf("%s --%s: %q", command.Name(), flag.Name, got)
			}
		})
	}
}

func TestArgs(t *testing.T) {
	for _, tt := range []struct{ words, want string }{
		{"kubectl-eshell deploy/api", "deploy/api"},
		{"/usr/local/bin/kubectl_complete-eshell deploy/", "__complete deploy/"},
		{"kubectl_complete-eshell.exe deploy/", "__complete deploy/"},
		{"kubectl-eshell __complete deploy/", "__complete deploy/"},
	} {
		if got := strings.Join(Args(strings.Fields(tt.words)), " "); got != tt.want {
			t.Errorf("%s: %s", tt.words, got)
		}
	}
	if got, _ := completed(t, cobra.ShellCompRequestCmd); got != offerNothing {
		t.Errorf("without a word it answers %q", got)
	}
}

// An exec credential plugin neither asks the user nor speaks to them.
func TestCompletionWithCredentialPlugin(t *testing.T) {
	kubeconfig, asked := shopServer(t)
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	plugin := filepath.Join(folder, "login")
	script := "#!/bin/sh\necho asking for a password >&2\ncase $KUBERNETES_EXEC_INFO in\n" +
		"*'\"interactive\":true'*) touch " + folder + "/interactive;; esac\n" +
		`echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t"}}'` + "\n"
	if err := os.WriteFile(plugin, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	user := `"user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":"` + plugin +
		`","interactiveMode":"IfAvailable"}}`
	text = bytes.Replace(text, []byte(`"user":{}`), []byte(user), 1)
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	keepStderr := os.Stderr
	os.Stderr = write
	got, _ := completed(t, cobra.ShellCompRequestCmd, "--kubeconfig", kubeconfig, "deploy/a")
	os.Stderr = keepStderr
	write.Close()
	var told bytes.Buffer
	if _, err := told.ReadFrom(read); err != nil {
		t.Fatal(err)
	}
	_, interactive := os.Stat(filepath.Join(folder, "interactive"))
	if !strings.HasPrefix(got, "deploy/api\t") || len(*asked) != 1 || told.Len() > 0 || interactive == nil {
		t.Errorf("%q after %q, stderr %q, interactive: %v", got, *asked, told.String(), interactive == nil)
	}
}
