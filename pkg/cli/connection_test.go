package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// forgetful is an API server behind a network that forgets its connections as soon as a container is
// added to the server's one pod, which it is: nobody hears the answer, nor anything else on them.
type forgetful struct {
	*network
	url string

	mu   sync.Mutex
	pod  corev1.Pod
	from []string // the client's address and protocol, of each request
}

func newForgetful(t *testing.T) *forgetful {
	t.Helper()
	f := &forgetful{pod: corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "api", Namespace: "shop", UID: "uid-1", ResourceVersion: "5"},
	}}
	server := httptest.NewUnstartedServer(f)
	f.network = &network{Listener: server.Listener}
	server.Listener, server.EnableHTTP2 = f.network, true
	server.StartTLS()
	f.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return f
}

// network is a listener whose connections can be forgotten, as by a NAT that has lost its table: neither
// side sees them end, and nothing comes through.
type network struct {
	net.Listener

	mu    sync.Mutex
	conns []*flow
}

func (n *network) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = append(n.conns, &flow{Conn: conn})
	return n.conns[len(n.conns)-1], nil
}

// forget forgets those that are open now.
func (n *network) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.conns {
		conn.forgotten.Store(true)
	}
}

type flow struct {
	net.Conn
	forgotten atomic.Bool
}

func (f *flow) Write(p []byte) (int, error) {
	if f.forgotten.Load() {
		return len(p), nil
	}
	return f.Conn.Write(p)
}

func (f *flow) Read(p []byte) (int, error) {
	for {
		n, err := f.Conn.Read(p)
		if err != nil || !f.forgotten.Load() {
			return n, err
		}
	}
}

// ServeHTTP answers what a debug session asks.
func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if r.URL.Query().Get("watch") == "" {
		f.from = append(f.from, r.Method+" "+r.Proto+" "+r.RemoteAddr)
	}
	if r.Method == http.MethodPatch {
		f.forget()
		f.pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "eshell-x7k2p"}}}
		f.pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "eshell-x7k2p",
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	}
	answer, err := json.Marshal(f.pod)
	f.mu.Unlock()
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("watch") != "" {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	_, _ = w.Write(answer)
}

// connected is a connection by kubectl's flags.
func (f *forgetful) connected(t *testing.T) connection {
	t.Helper()
	t.Setenv("KUBECONFIG", "/dev/null")
	flags := genericclioptions.NewConfigFlags(false)
	*flags.APIServer, *flags.Insecure = f.url, true
	c, err := connect(t.Context(), flags, newPrinter(io.Discard, true))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ends is a stream.Client whose container ends when it is told to.
type ends struct{ stream.Client }

func (ends) Attach(context.Context, stream.Container, remotecommand.StreamOptions) error { return nil }

// TestForgottenConnection: a connection that is lost in silence, with a container being added on it, is
// not the one on which that is looked for.
func TestForgottenConnection(t *testing.T) {
	f := newForgetful(t)
	c := f.connected(t)
	if _, err := c.cluster.Client.CoreV1().Pods("shop").Get(t.Context(), "api",
		metav1.GetOptions{}); err != nil { // as the workload was
		t.Fatal(err)
	}
	container := &corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "eshell-x7k2p"}}
	p := &plan.Plan{Mode: plan.ModeDebug, Namespace: "shop", PodName: "api", PodUID: "uid-1",
		Container: container.Name, Ephemeral: container,
		Agent: agent.Agent{Via: agent.ViaExec, HeartbeatTimeout: time.Minute}}
	ctx, interrupt := context.WithCancelCause(t.Context())
	signal := errors.New("signal")
	interrupt(signal)
	var told strings.Builder
	began := time.Now()
	_, err := session.Run(ctx, session.Config{
		Client: c.cluster.Client, Reconnect: c.reconnect, Streams: ends{}, Reporter: newPrinter(&told, false),
		StartTimeout: time.Minute, TTL: time.Hour,
	}, p)
	if !errors.Is(err, signal) || !strings.Contains(told.String(),
		"container eshell-x7k2p in pod/api has ended") {
		t.Errorf("error %v, told %q", err, told.String())
	}
	if took := time.Since(began); took > 40*time.Second { // client-go notices after 45
		t.Errorf("it took %s", took)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var before, old, fresh string
	_, err = fmt.Sscanf(strings.Join(f.from, " "), "GET HTTP/2.0 %s PATCH HTTP/2.0 %s GET HTTP/2.0 %s",
		&before, &old, &fresh)
	if err != nil || before != old || fresh == old {
		t.Errorf("%v; want one connection until the container was added, and another one then: %q", err,
			f.from)
	}
}

// TestLimited: a request that is not answered, or whose answer stays away, ends; a watch and a stream last.
func TestLimited(t *testing.T) {
	hanging := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begins" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		if r.URL.Path == "/long" {
			_, _ = w.Write(make([]byte, 1<<20+1))
			return
		}
		select {
		case <-hanging:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hanging) })
	get := func(ctx context.Context, path string) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := limited{http.DefaultTransport, 50 * time.Millisecond, 1 << 20}.RoundTrip(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		_, err = io.ReadAll(answer.Body)
		return err
	}
	for _, path := range []string{"/api", "/begins"} {
		if err := get(t.Context(), path); err == nil || err.Error() != "no answer within 50ms" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := get(t.Context(), "/long"); err == nil || err.Error() != "the server's answer has more than 1 MiB" {
		t.Errorf("/long: %v", err)
	}
	if err := get(t.Context(), "/long?watch=true"); err != nil {
		t.Errorf("a long watch: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := get(ctx, "/pods?watch=true"); time.Since(began) < 250*time.Millisecond {
		t.Errorf("a watch ended after %s: %v", time.Since(began), err)
	}
	patient, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("not approved"))
	defer cancel()
	if err := get(patient, "/api"); err == nil || err.Error() != "not approved" {
		t.Errorf("a request that has more time: %v", err)
	}
}

// TestHangingPlugin: a plugin for credentials that hangs keeps no request from ending with its context.
func TestHangingPlugin(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}})
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	plugin := "if [ -e " + dir + "/used ]; then exec sleep 5 2>/dev/null; fi; touch " + dir + "/used; " +
		`echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",` +
		`"status":{"token":"t","expirationTimestamp":"2020-01-01T00:00:00Z"}}'`
	kubeconfig := filepath.Join(dir, "config")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"users":[{"name":"u","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1","interactiveMode":"Never",
"command":"sh","args":["-c",%q]}}}]}`, server.URL, plugin)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig = &kubeconfig
	c, err := connect(t.Context(), flags, newPrinter(io.Discard, false))
	if err != nil {
		t.Fatal(err)
	}
	get := func(ctx context.Context) error {
		_, err := c.cluster.Client.CoreV1().Pods("shop").Get(ctx, "api", metav1.GetOptions{})
		return err
	}
	if err := get(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := get(ctx); !errors.Is(err, context.DeadlineExceeded) || !isOfPlugin(err) {
		t.Errorf("error %v, want the context's, and that the plugin hangs", err)
	}
}

// TestContentTypes: what is read is Protobuf where a server has it. What is written is JSON, so that a server
// can tell which fields it does not know.
func TestContentTypes(t *testing.T) {
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, strings.TrimSpace(fmt.Sprintln(r.Method, r.Header.Get("Accept"),
			r.Header.Get("Content-Type"))))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}})
	}))
	t.Cleanup(server.Close)
	t.Setenv("KUBECONFIG", "/dev/null")
	flags := genericclioptions.NewConfigFlags(false)
	*flags.APIServer, *flags.Insecure = server.URL, true
	c, err := connect(t.Context(), flags, newPrinter(io.Discard, true))
	if err != nil {
		t.Fatal(err)
	}
	pods := c.cluster.Client.CoreV1().Pods("shop")
	_, getErr := pods.Get(t.Context(), "api", metav1.GetOptions{})
	_, createErr := pods.Create(t.Context(), &corev1.Pod{}, metav1.CreateOptions{})
	custom, customErr := c.cluster.Dynamic()
	if err := errors.Join(getErr, createErr, customErr); err != nil {
		t.Fatal(err)
	}
	_, err = custom.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Get(t.Context(), "api",
		metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const protobuf = "application/vnd.kubernetes.protobuf,application/json"
	want := []string{"GET " + protobuf, "POST " + protobuf + " application/json", "GET application/json"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q\nwant  %q", asked, want)
	}
}

// TestCurrent: the context and its user are those of the kubeconfig, unless flags say otherwise.
func TestCurrent(t *testing.T) {
	const prod, test = `{"name":"prod","context":{"user":"ada"}}`, `{"name":"test","context":{"user":"bob"}}`
	for _, tt := range []struct {
		contexts, context, user string
		want                    []string
		several                 bool
	}{
		{prod, "", "", []string{"prod", "ada"}, false},
		{prod + "," + test, "", "", []string{"prod", "ada"}, true},
		{prod + "," + test, "test", "", []string{"test", "bob"}, true},
		{prod + "," + test, "test", "eve", []string{"test", "eve"}, true},
		{"", "", "eve", []string{"prod", "eve"}, false},
	} {
		file := filepath.Join(t.TempDir(), "config")
		config := `{"apiVersion":"v1","kind":"Config","current-context":"prod","contexts":[` + tt.contexts + `]}`
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		flags := genericclioptions.NewConfigFlags(true)
		flags.KubeConfig, flags.Context, flags.AuthInfoName = &file, &tt.context, &tt.user
		name, user, several, err := current(flags)
		if got := []string{name, user}; err != nil || !slices.Equal(got, tt.want) || several != tt.several {
			t.Errorf("%+v: %v, several: %t, %v", tt, got, several, err)
		}
	}
}

// blackhole is a network in which a connection fails after a while.
type blackhole struct{ after time.Duration }

func (b blackhole) RoundTrip(request *http.Request) (*http.Response, error) {
	if trace := httptrace.ContextClientTrace(request.Context()); trace != nil {
		trace.GetConn("api:443")
	}
	<-time.After(b.after)
	return nil, errors.New("i/o timeout")
}

// TestSharingOfNothing: a server that cannot be reached is reported about as soon as with one request.
func TestSharingOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := newSharing(blackhole{30 * time.Second})
		var asked sync.WaitGroup
		for range 3 {
			asked.Go(func() {
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api", nil)
				if _, err := s.RoundTrip(request); err == nil {
					t.Error("it is answered")
				}
			})
		}
		asked.Wait()
		if took := time.Since(begin); took > 35*time.Second {
			t.Errorf("the requests have failed after %s", took)
		}
	})
}
