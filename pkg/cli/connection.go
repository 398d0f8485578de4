package cli

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
	"k8s.io/klog/v2"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Reading a clone's facts takes some 20 requests at once. client-go would hold them back: by default it
// sends 10 at once, then 5 a second. The figures are those that kubectl uses for its own discovery. A busy
// server slows its clients down itself (API priority and fairness, Kubernetes 1.29).
// https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/kubectl/pkg/cmd/cmd.go
const (
	requestsPerSecond = 50
	burst             = 300
)

// connection is how the cluster is reached.
type connection struct {
	cluster          workload.Cluster
	remote           guarded
	reconnect        func() // closes the connections to the cluster, whatever requests are in progress
	client           string // what this program calls itself there: "kubectl-eshell/v1.0.0 (linux/amd64)"
	currentContext   string
	context          string // the same if the kubeconfig has several
	namespace        string
	enforceNamespace bool // -n was given
	shells           shells
	users            users

	authenticated <-chan struct{} // closed when the first request has its credentials, or has failed
}

// connect reads the kubeconfig, which might be a pipe or on a disk that does not answer, until ctx ends.
func connect(ctx context.Context, flags *genericclioptions.ConfigFlags, out *printer) (connection, error) {
	return bounded.Call(ctx, func() (connection, error) { return readConnection(flags, out) })
}

func readConnection(flags *genericclioptions.ConfigFlags, out *printer) (connection, error) {
	namespace, enforced, err := flags.ToRawKubeConfigLoader().Namespace()
	if err = checkConfig(flags, err); err != nil {
		return connection{}, err
	}
	config, dialer, err := restConfig(flags, out)
	if err != nil {
		return connection{}, err
	}
	web, err := rest.HTTPClientFor(config) // shared, so that both clients use the same connections
	if err != nil {
		return connection{}, err
	}
	login := &plugin{}
	shared := newSharing(renew(web.Transport, config, login, dialer.CloseAll))
	web.Transport = limited{stream.Direct(shared), answerTime, mostAnswer} // around all others
	client, err := kubernetes.NewForConfigAndClient(config, web)
	if err != nil {
		return connection{}, err
	}
	cluster := workload.Cluster{
		Client:  client,
		Tables:  client.CoreV1().RESTClient(),
		Mapper:  flags.ToRESTMapper,
		Dynamic: func() (dynamic.Interface, error) { return dynamic.NewForConfigAndClient(config, web) },
	}
	remote := guarded{stream.NewClient(config, client), login}
	flags.WithWrapConfigFn(directly(flags.WrapConfigFn)) // for discovery, which has a connection of its own
	reconnect := func() {
		dialer.CloseAll()
		remote.Forget()
	}
	remembered := cache{*flags.CacheDir, config.Host}
	c := connection{cluster: cluster, remote: remote, authenticated: shared.authenticated,
		reconnect: reconnect, client: config.UserAgent,
		namespace: namespace, enforceNamespace: enforced, shells: shells{remembered}}
	var kubeUser string
	var several bool
	if c.currentContext, kubeUser, several, err = current(flags); err != nil {
		return connection{}, err
	}
	if several {
		c.context = c.currentContext
	}
	c.users = users{remembered, kubeUser, config.Impersonate.UserName}
	return c, nil
}

// restConfig returns the configuration of the cluster's clients, and what dials for them.
func restConfig(flags *genericclioptions.ConfigFlags, out *printer) (*rest.Config, *connrotation.Dialer,
	error) {
	flags.WithWrapConfigFn(inPod(flags, flags.WrapConfigFn))
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, nil, err
	}
	if err := limitPlugins(config, out); err != nil {
		return nil, nil, err
	}
	config.WarningHandler = out
	config.QPS, config.Burst = requestsPerSecond, burst
	// Without these, client-go reads and writes Protobuf. A server cannot tell which fields of a Protobuf
	// body it does not know: it drops them silently, whatever the field validation. So bodies are JSON. What
	// is read is smaller and faster as Protobuf; an API that does not have it answers with JSON. (The dynamic
	// client sets its own.)
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.ContentType = runtime.ContentTypeJSON
	// This dials as client-go does by default, and remembers what it has dialed. Closing only the idle
	// connections would be a matter of chance: one on which a request was just cancelled is still busy for a
	// moment.
	dialer := connrotation.NewDialer(
		(&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext)
	config.Dial = dialer.DialContext
	if config.UserAgent == "" {
		config.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	return config, dialer, nil
}

// directly has requests lead to no other address. before is what else is done to the configuration.
func directly(before func(*rest.Config) *rest.Config) func(*rest.Config) *rest.Config {
	return func(config *rest.Config) *rest.Config {
		config = before(config)
		config.Wrap(stream.Direct)
		return config
	}
}

// current returns the names of the context and of the user that flags and the kubeconfig choose, as far as
// they choose any, and whether there are several contexts.
func current(flags *genericclioptions.ConfigFlags) (name, user string, several bool, err error) {
	kubeconfig, err := flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return "", "", false, err
	}
	name, user = cmp.Or(*flags.Context, kubeconfig.CurrentContext), *flags.AuthInfoName
	if context := kubeconfig.Contexts[name]; context != nil {
		user = cmp.Or(user, context.AuthInfo)
	}
	return name, user, len(kubeconfig.Contexts) > 1, nil
}

// prepare begins to open the connections of the next n streams, once there are credentials for them: nobody
// is asked for a password by several at once.
func (c connection) prepare(ctx context.Context, n int) {
	go func() {
		select {
		case <-c.authenticated:
			if c.remote.plugin.failed() == nil {
				c.remote.Prepare(ctx, n)
			}
		case <-ctx.Done():
		}
	}()
}

// sharing has all requests wait until the first has a connection, and share it. net/http would open one for
// each of the requests that begin before it knows that the server speaks HTTP/2, and then close all but one:
// some 15 handshakes at the beginning of a session. A credential plugin that fails would fail for each.
type sharing struct {
	http.RoundTripper
	begun         atomic.Bool   // the first request has begun
	authenticated chan struct{} // closed when it has its credentials, or has failed
	connected     chan struct{} // closed when it has a connection, or has failed
}

func newSharing(transport http.RoundTripper) *sharing {
	return &sharing{RoundTripper: transport, authenticated: make(chan struct{}),
		connected: make(chan struct{})}
}

// RoundTrip passes the request on.
func (s *sharing) RoundTrip(request *http.Request) (*http.Response, error) {
	if s.begun.CompareAndSwap(false, true) {
		dial := sync.OnceFunc(func() { close(s.authenticated) })
		open := sync.OnceFunc(func() { close(s.connected) })
		defer open()
		defer dial()
		return s.RoundTripper.RoundTrip(request.WithContext(httptrace.WithClientTrace(request.Context(),
			&httptrace.ClientTrace{
				GetConn: func(string) { dial() },
				GotConn: func(httptrace.GotConnInfo) { open() },
			})))
	}
	select {
	case <-s.authenticated:
	case <-request.Context().Done(): // the transport returns its cause, and closes the body
	}
	late := time.NewTimer(sharingTime)
	defer late.Stop()
	select {
	case <-s.connected:
	case <-late.C: // a server that is out of reach is not reported after twice the time of a dial
	case <-request.Context().Done():
	}
	return s.RoundTripper.RoundTrip(request)
}

// sharingTime is how long a request waits for the connection of the first.
const sharingTime = 3 * time.Second

// answerTime is longer than an API server itself works on a request (its own --request-timeout: 1 minute).
const answerTime = 70 * time.Second

// limited ends a request with its context, and one that is not answered in time: neither client-go nor
// kubectl's --request-timeout does by default, and a plugin that gets credentials
// (client.authentication.k8s.io) has no context. A watch lasts. A request whose context has a deadline has
// that one: a proxy may hold a create back until somebody approves it.
type limited struct {
	http.RoundTripper
	within time.Duration
	most   int64 // bytes of an answer
}

// RoundTrip passes the request on.
func (l limited) RoundTrip(request *http.Request) (*http.Response, error) {
	var authenticated atomic.Bool
	ctx := httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { authenticated.Store(true) }})
	var cancel context.CancelFunc
	most, isWatch := l.most, request.URL.Query().Get("watch") != ""
	if isWatch {
		most = math.MaxInt64
	}
	if _, has := ctx.Deadline(); has || isWatch {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeoutCause(ctx, l.within, fmt.Errorf("no answer within %s", l.within))
	}
	type result struct {
		answer *http.Response
		err    error
	}
	answered := make(chan result, 1)
	go func() {
		answer, err := l.RoundTripper.RoundTrip(request.WithContext(ctx))
		answered <- result{answer, err}
	}()
	select {
	case r := <-answered:
		if r.err != nil {
			cancel()
			return nil, r.err
		}
		r.answer.Body = &limitedBody{r.answer.Body, cancel, most, most}
		return r.answer, nil
	case <-ctx.Done():
		go func() { // left to itself
			defer cancel()
			if r := <-answered; r.err == nil {
				r.answer.Body.Close()
			}
		}()
		if !authenticated.Load() && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("%s: %w", pluginHangs, context.Cause(ctx))
		}
		return nil, context.Cause(ctx)
	}
}

// mostAnswer is how many bytes an answer may have: client-go keeps all of them in memory. A list of 10,000
// pods has some 100 MiB.
const mostAnswer = 256 << 20

// limitedBody is the rest of an answer. The limit is for it too.
type limitedBody struct {
	io.ReadCloser
	cancel     context.CancelFunc
	most, left int64
}

// Read reads what is left, up to the limit.
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the server's answer has more than %d MiB", b.most>>20)
	}
	return n, err
}

// Close ends the request.
func (b *limitedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// setLogs keeps the libraries' own log lines off the terminal, which a session is using, unless the user
// asked for them with -v. Then they go to out. klog itself would write to stderr, and a request would wait
// for a reader.
func setLogs(verbosity int32, out io.Writer) {
	settings := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(settings)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL",
		"one_output": "true", "v": strconv.Itoa(int(verbosity))} {
		_ = settings.Set(name, value)
	}
	if verbosity == 0 {
		out = io.Discard
	}
	klog.SetOutput(out)
}
