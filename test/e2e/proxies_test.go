//go:build unix

package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/containers"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/accessproxy"
)

// behind starts a proxy that controls access to the API server. What runs in the environment that it returns
// reaches the API server through it.
func behind(t *testing.T, rules accessproxy.Rules, change ...func(*rest.Config)) (testEnv,
	*accessproxy.Proxy) {
	t.Helper()
	server, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(server)
	}
	proxy, err := accessproxy.New(server, rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	there := env
	there.kubeconfig = kubeconfigVia(t, proxy)
	return there, proxy
}

// piped is the plugin without a terminal.
type piped struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr string // the name of its file
}

// pipe starts the plugin without a terminal.
func (w testEnv) pipe(t *testing.T, args ...string) *piped {
	t.Helper()
	started := w.startOne()
	p := &piped{t: t, cmd: exec.Command(filepath.Join(w.bin, "kubectl-eshell"), args...),
		stderr: filepath.Join(t.TempDir(), "stderr")}
	file, err := os.Create(p.stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = w.env(), &p.stdout, file
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		started()
	})
	return p
}

func (p *piped) said() string {
	p.t.Helper()
	text, err := os.ReadFile(p.stderr)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// says waits until stderr has a text.
func (p *piped) says(text string) {
	p.t.Helper()
	if err := until(p.t.Context(), patience, func(context.Context) (bool, error) {
		return strings.Contains(p.said(), text), nil
	}); err != nil {
		p.t.Fatalf("stderr never had %q, but:\n%s", text, p.said())
	}
}

// ended asserts the exit status and stdout, and that nothing is left.
func (p *piped) ended(status int, stdout string) {
	p.t.Helper()
	_ = p.cmd.Wait() // the status is in ProcessState
	if got := exitStatus(p.cmd); got != status || p.stdout.String() != stdout {
		p.t.Errorf("exit status %d, stdout %q, want %d and %q; stderr is\n%s", got, p.stdout.String(), status,
			stdout, p.said())
	}
	for _, session := range headlines(p.said()) {
		session.gone(p.t)
	}
}

// requests of a session, as a proxy tells them apart.
func createsPod(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pods")
}

func createsLease(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs")
}

func addsContainer(r *http.Request) bool {
	return r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/ephemeralcontainers")
}

func opensStream(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/exec") || strings.HasSuffix(r.URL.Path, "/attach")
}

// approval is how long somebody takes to approve a create: longer than any other request may take (70 s), and
// than the lease of the session that waits.
const approval = 90 * time.Second

// TestApprovedLate: a create that is approved after a minute and a half becomes a session as any other, and
// the user knows meanwhile what is waited for.
func TestApprovedLate(t *testing.T) {
	t.Parallel()
	there, proxy := behind(t, accessproxy.Rules{Holds: createsPod})
	term := there.open(t, nil, "eshell", "deploy/bash", "--lease=20s")
	<-proxy.Held()
	approved := time.AfterFunc(approval, proxy.Approve)
	defer approved.Stop()
	session := started{pod: term.expect(
		`[|/\\-] waiting 0s: the server's answer to the create of pod/(bash-eshell-[a-z0-9]+)`)}
	term.expect(`\r\x1b\[Kwarning: still waiting: the server's answer to the create of pod/bash-eshell-[a-z0-9]+\r\n` +
		`  hint: a proxy might be waiting for somebody's approval; ` +
		`wait longer: --start-timeout 10m0s\r\n`)
	term.expectWithin(approval+patience, prompt)
	term.typed("echo approved-$((40+2)); exit 7\n")
	term.expect(`approved-42\r\n`)
	term.ended(7, session)
}

// TestApproved: whichever request of a session is held back, the session goes on when it is approved, and
// says until then what it waits for. No output is added.
func TestApproved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		holds func(*http.Request) bool
		args  []string
		waits string
	}{
		{"pod", createsPod, []string{"deploy/bash"}, "the create of pod/bash-eshell-"},
		{"lease", createsLease, []string{"deploy/bash"}, "the create of job/eshell-"},
		{"debug container", addsContainer, []string{"pod/target-held", "--mode=debug", "--new"},
			"the create of container eshell-"},
		{"streams", opensStream, []string{"deploy/bash"}, "the request for a stream to pod/bash-eshell-"},
		{"stream of attach", opensStream, []string{"deploy/bash", "--via=attach"},
			"the request for a stream to pod/bash-eshell-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			there, proxy := behind(t, accessproxy.Rules{Holds: tt.holds})
			p := there.pipe(t, append(tt.args, "--", "sh", "-c", "echo out; echo err >&2; exit 7")...)
			p.says("waiting: the server's answer to " + tt.waits)
			proxy.Approve()
			p.ended(7, "out\n")
			if !strings.Contains(p.said(), "\nerr\n") {
				t.Errorf("stderr is\n%s", p.said())
			}
		})
	}
}

// TestApprovedTooLate: what is approved when its client has left does not stay.
func TestApprovedTooLate(t *testing.T) {
	t.Parallel()
	t.Run("pod", func(t *testing.T) {
		t.Parallel()
		there, proxy := behind(t, accessproxy.Rules{Holds: createsPod})
		term := there.open(t, nil, "eshell", "deploy/bash")
		pod := term.expect(`the server's answer to the create of pod/(bash-eshell-[a-z0-9]+)`)
		term.typed("\x03")
		if got := term.status(); got != 130 {
			t.Errorf("exit status %d, want 130", got)
		}
		term.restored()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		pods, err := client(t).CoreV1().Pods(env.namespace).Watch(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, pod).String()})
		if err != nil {
			t.Fatal(err)
		}
		defer pods.Stop()
		proxy.Approve()
		created := false
		for event := range pods.ResultChan() {
			created = created || event.Type == watch.Added
			if event.Type == watch.Deleted {
				break
			}
		}
		if !created || ctx.Err() != nil {
			t.Errorf("pod/%s was created: %t; it is gone: %t", pod, created, ctx.Err() == nil)
		}
		started{pod: pod}.gone(t)
	})
	t.Run("debug container", func(t *testing.T) {
		t.Parallel()
		there, proxy := behind(t, accessproxy.Rules{Holds: addsContainer})
		term := there.open(t, nil, "eshell", "pod/target-held", "--mode=debug", "--new", "--lease=20s")
		session := started{"target-held", term.expect(`the server's answer to the create of container (eshell-[a-z0-9]+)`)}
		term.typed("\x03")
		term.expect(`warning: container eshell-[a-z0-9]+ is not in pod/target-held: ` +
			`if it is still added, it ends by itself within 40s`)
		if got := term.status(); got != 130 {
			t.Errorf("exit status %d, want 130", got)
		}
		proxy.Approve()
		here := namespaceFixture{env.namespace}
		here.await(t, "the container starts", func(ctx context.Context) (bool, error) {
			pod, err := client(t).CoreV1().Pods(env.namespace).Get(ctx, session.pod, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			status := containers.Status(pod, session.container)
			return status != nil && (status.State.Running != nil || status.State.Terminated != nil), nil
		})
		session.goneWithin(t, 40*time.Second+patience)
	})
	t.Run("start timeout", func(t *testing.T) {
		t.Parallel()
		there, _ := behind(t, accessproxy.Rules{Holds: createsPod})
		p := there.pipe(t, "deploy/bash", "--start-timeout=4s", "--", "true")
		p.ended(125, "")
		if said := p.said(); !strings.Contains(said, "error: the server did not answer the create of pod/bash-eshell-") ||
			!strings.Contains(said, " within 4s\nhint: wait longer: --start-timeout 20s\n") {
			t.Errorf("stderr is\n%s", said)
		}
	})
}

// TestOnlySPDY: a proxy that refuses WebSockets, with whatever status, gets SPDY.
func TestOnlySPDY(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusForbidden,
		http.StatusNotFound, http.StatusInternalServerError} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			there, _ := behind(t, accessproxy.Rules{Refusal: status})
			where := []string{"deploy/bash"}
			if status == http.StatusForbidden {
				where = []string{"pod/target-held", "--mode=debug", "--new", "--via=attach"}
			}
			p := there.pipe(t, append(where, "--", "sh", "-c", "echo out; echo err >&2; exit 7")...)
			p.ended(7, "out\n")
			if !strings.Contains(p.said(), "err\n") {
				t.Errorf("stderr is\n%s", p.said())
			}
		})
	}
	t.Run("terminal", func(t *testing.T) {
		t.Parallel()
		there, _ := behind(t, accessproxy.Rules{Refusal: http.StatusBadRequest})
		term := there.open(t, nil, "eshell", "deploy/bash")
		session := term.session()
		term.expect(prompt)
		term.typed("stty size; exit 7\n")
		term.expect(`24 80\r\n`)
		term.ended(7, session)
	})
}

// TestClientCertificate: every connection has the user's certificate, also those that are opened before a
// stream needs them, and whether the kubeconfig has it or a plugin gets it.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	if !env.embedded {
		t.Skip("the certificates of an existing cluster's users need not be from its own CA")
	}
	server, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	cas := x509.NewCertPool()
	if !cas.AppendCertsFromPEM(server.CAData) {
		t.Fatal("the kubeconfig has no CA")
	}
	for _, tt := range []struct {
		name   string
		change func(*testing.T, *clientcmdapi.AuthInfo)
		args   []string
		status int
	}{
		{"in the kubeconfig", nil, []string{"deploy/bash"}, 7},
		{"in the kubeconfig, by attach", nil, []string{"pod/target-held", "--mode=debug", "--new", "--via=attach"}, 7},
		{"from a plugin", fromPlugin, []string{"deploy/bash"}, 7},
		{"none", func(_ *testing.T, user *clientcmdapi.AuthInfo) {
			*user = clientcmdapi.AuthInfo{Token: "none"}
		}, []string{"deploy/bash"}, 125},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			there, _ := behind(t, accessproxy.Rules{ClientCAs: cas})
			if tt.change != nil {
				config, err := clientcmd.LoadFromFile(there.kubeconfig)
				if err != nil {
					t.Fatal(err)
				}
				tt.change(t, config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo])
				if err := clientcmd.WriteToFile(*config, there.kubeconfig); err != nil {
					t.Fatal(err)
				}
			}
			p := there.pipe(t, append(tt.args, "--", "sh", "-c", "echo out; exit 7")...)
			p.ended(tt.status, pick(tt.status == 7, "out\n", ""))
		})
	}
}

// fromPlugin moves a user's certificate into a plugin for credentials.
func fromPlugin(t *testing.T, user *clientcmdapi.AuthInfo) {
	t.Helper()
	credential, err := json.Marshal(map[string]any{
		"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
		"status": map[string]string{"clientCertificateData": string(user.ClientCertificateData),
			"clientKeyData": string(user.ClientKeyData)},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(file, credential, 0o600); err != nil {
		t.Fatal(err)
	}
	*user = clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{Command: "cat", Args: []string{file},
		APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: clientcmdapi.NeverExecInteractiveMode}}
}

// TestRewrittenUser: a session belongs to whom the API server sees, whatever the kubeconfig says, and its
// user finds it through the same proxy.
func TestRewrittenUser(t *testing.T) {
	t.Parallel()
	there, _ := behind(t, accessproxy.Rules{}, func(server *rest.Config) {
		server.Impersonate = rest.ImpersonationConfig{UserName: "ann@example.com",
			Groups: []string{"system:masters"}}
	})
	term := there.open(t, nil, "eshell", "deploy/bash")
	session := term.session()
	term.expect(prompt)
	if got := kubectl(t, "get", "pod", session.pod, "-o",
		`jsonpath={.metadata.annotations.kubectl-eshell\.github\.io/user}`); got != "ann@example.com" {
		t.Errorf("the session belongs to %q", got)
	}
	list := there.pipe(t, "list", "-o", "name")
	list.ended(0, session.pod+"\n")
	there.pipe(t, "attach", session.pod, "--", "echo", "joined").ended(0, "joined\n")
	others := env.pipe(t, "attach", session.pod, "--", "true")
	others.ended(125, "")
	if !strings.Contains(others.said(), " belongs to ann@example.com, and you are ") {
		t.Errorf("stderr is\n%s", others.said())
	}
	there.pipe(t, "delete", session.pod).ended(0, session.pod+" deleted\n")
	term.expect(`ann@example\.com has deleted the session`)
	term.ended(125, session)
}

// TestProxysWords: what a proxy prints into the command's stream while it waits is shown, and is no part of
// the command's output; nothing is shown of what the command's terminal echoes.
func TestProxysWords(t *testing.T) {
	t.Parallel()
	rules := accessproxy.Rules{Words: "Creating session with ID: 42\r\nWaiting for required participants\r\n"}
	const said = "the server says: Waiting for required participants"
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"by exec", []string{"deploy/bash"}},
		{"by exec, with a variable", []string{"deploy/bash", "-e", "WORD=hidden"}},
		{"by attach", []string{"deploy/bash", "--via=attach"}},
		{"debug", []string{"pod/target-held", "--mode=debug", "--new"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			there, proxy := behind(t, rules)
			p := there.pipe(t, append(tt.args, "--", "sh", "-c", "echo out; echo err >&2; exit 7")...)
			p.says(said)
			proxy.Approve()
			p.ended(7, "out\n")
			if strings.Count(p.said(), said) != 1 || !strings.Contains(p.said(), "err\n") {
				t.Errorf("stderr is\n%s", p.said())
			}
		})
	}
	t.Run("terminal", func(t *testing.T) {
		t.Parallel()
		there, proxy := behind(t, rules)
		term := there.open(t, nil, "eshell", "pod/target-held", "--mode=debug", "--new", "-e", "WORD=hid den")
		session := term.session()
		term.expect(said + `\r\n`)
		proxy.Approve()
		term.expect(prompt)
		if screen, _ := term.shown(); strings.Contains(screen, "hid") || strings.Contains(screen, "WORD") {
			t.Errorf("the terminal shows what eshell has sent:\n%s", screen)
		}
		term.typed("exit 7\n")
		term.ended(7, session)
	})
}

// TestIdleWebSockets: of a proxy that takes pings for idleness, a shell by exec is lost when nothing happens,
// and nothing is left of it. By attach it goes on, on another connection. The stream of the process that
// keeps the session alive has heartbeats, and is not idle.
func TestIdleWebSockets(t *testing.T) {
	t.Parallel()
	const idle = 6 * time.Second
	rules := accessproxy.Rules{Idle: idle}
	t.Run("by exec", func(t *testing.T) {
		t.Parallel()
		there, _ := behind(t, rules)
		term := there.open(t, nil, "eshell", "deploy/bash", "--lease=20s")
		session := term.session()
		term.expect(prompt)
		for range 3 { // it is in use for longer than that
			term.typed("sleep 3; echo used-$((40+2))\n")
			term.expect(`(?s)(used-42\r\n.*){1,3}` + prompt)
		}
		term.expect(`error: the connection to pod/bash-eshell-[a-z0-9]+ was lost: [^\r]*\r\n`)
		term.ended(125, session)
	})
	t.Run("by attach", func(t *testing.T) {
		t.Parallel()
		there, _ := behind(t, rules)
		term := there.open(t, nil, "eshell", "deploy/bash", "--lease=20s", "--via=attach")
		session := term.session()
		term.expect(prompt)
		term.typed("memory=42\n")
		term.expect(`reattached to pod/bash-eshell-[a-z0-9]+: the connection was lost for `)
		term.typed("echo still-$memory; exit 7\n")
		term.expect(`still-42\r\n`)
		term.ended(7, session)
	})
}

// TestFakedContainer: a proxy may say that a debug container runs which it adds when somebody approves it.
func TestFakedContainer(t *testing.T) {
	t.Parallel()
	for _, via := range []string{"exec", "attach"} {
		t.Run(via, func(t *testing.T) {
			t.Parallel()
			there, proxy := behind(t, accessproxy.Rules{Fakes: true})
			p := there.pipe(t, "pod/target-held", "--mode=debug", "--new", "--via="+via, "--", "sh", "-c",
				"echo out; echo err >&2; exit 7")
			p.says("waiting: the server's answer to the request for a stream to container eshell-")
			container := headlines(p.said())[0].container
			if got := kubectl(t, "get", "pod", "target-held", "-o",
				"jsonpath={.spec.ephemeralContainers[*].name}"); strings.Contains(got, container) {
				t.Errorf("%s is there already: %s", container, got)
			}
			proxy.Approve()
			p.ended(7, "out\n")
			if !strings.Contains(p.said(), "err\n") {
				t.Errorf("stderr is\n%s", p.said())
			}
		})
	}
}

// TestMuteProxy: a proxy that opens the command's stream and then says nothing until somebody approves is
// told to the user, and is no end of the session.
func TestMuteProxy(t *testing.T) {
	t.Parallel()
	there, proxy := behind(t, accessproxy.Rules{Words: " "})
	p := there.pipe(t, "deploy/bash", "--", "sh", "-c", "echo out; exit 7")
	p.says("warning: still waiting: the command in pod/bash-eshell-")
	p.says("to begin\n  hint: a proxy might be waiting for somebody's approval; wait longer: --start-timeout 10m0s\n")
	proxy.Approve()
	p.ended(7, "out\n")
}

// TestRedirected: credentials go to no other address, whichever request a proxy redirects, and the user reads
// to where.
func TestRedirected(t *testing.T) {
	t.Parallel()
	reads := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/deployments/bash")
	}
	discovers := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/apis") && len(r.URL.Path) < 7 }
	for _, tt := range []struct {
		name      string
		redirects func(*http.Request) bool
		args      []string
	}{
		{"workload", reads, []string{"deploy/bash"}},
		{"create", createsPod, []string{"deploy/bash"}},
		{"container", addsContainer, []string{"pod/target-held", "--mode=debug", "--new"}},
		{"streams", opensStream, []string{"deploy/bash"}},
		{"discovery", discovers, []string{"widget.example.com/one"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Value
			login := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				seen.Store(r.Method + " " + r.URL.Path)
			}))
			t.Cleanup(login.Close)
			there, _ := behind(t, accessproxy.Rules{Redirects: func(r *http.Request) string {
				if tt.redirects(r) {
					return login.URL + "/login?for=s3cret"
				}
				return ""
			}})
			there.also = append(slices.Clone(there.also), "KUBECACHEDIR="+t.TempDir())
			p := there.pipe(t, append(tt.args, "--", "true")...)
			p.ended(125, "")
			if got := seen.Load(); got != nil {
				t.Errorf("the other address got %s", got)
			}
			if said := p.said(); strings.Contains(said, "s3cret") || !strings.Contains(said,
				"the server redirects to "+login.URL+"/login, and eshell sends your credentials nowhere else: "+
					"a proxy may want you to log in to it again\n") {
				t.Errorf("stderr is\n%s", said)
			}
		})
	}
}
