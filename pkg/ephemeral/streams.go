package ephemeral

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // client-go's Upgrader is of its types
	wire "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"
	upgrade "k8s.io/streaming/pkg/httpstream"
)

// Streams opens streams to the ephemeral containers of the pods of one namespace. It tries a WebSocket first,
// and falls back to SPDY if the server, or a proxy on the way, does not support that (KEP-4006).
type Streams struct {
	client *Client
	config *rest.Config
}

// NewStreams returns the Streams of a namespace. They need more than a clientset: the connection's own
// configuration.
func NewStreams(config *rest.Config, namespace string) (*Streams, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Streams{New(client, namespace), config}, nil
}

// Exec runs a command in a container, with the given streams, and returns its exit status. An exit status
// other than 0 is not an error. The error is ErrNoStatus if the stream ended early, and ErrNotRunning if it
// did not open because the container does not run.
//
// Exec ends with ctx, or up to a second later, while it still writes output. The command itself goes on: a
// runtime does not end what it has started when its client is gone. A read of Stdin that has begun goes on,
// too.
func (s *Streams) Exec(ctx context.Context, pod, container string, command []string,
	streams remotecommand.StreamOptions) (exitStatus int, err error) {
	exitStatus, err = s.stream(ctx, pod, "exec", &corev1.PodExecOptions{
		Container: container, Command: command,
		Stdin: streams.Stdin != nil, Stdout: streams.Stdout != nil,
		Stderr: streams.Stderr != nil && !streams.Tty, TTY: streams.Tty,
	}, streams)
	if err != nil {
		return 0, s.failed(ctx, "run a command in", pod, container, err)
	}
	return exitStatus, nil
}

// Attach joins the given streams to a container's own process, and returns the container's exit status when
// it has ended. For that, it reads and watches the pod once the stream has ended. The errors are those of
// Exec.
func (s *Streams) Attach(ctx context.Context, pod, container string,
	streams remotecommand.StreamOptions) (exitStatus int, err error) {
	_, err = s.stream(ctx, pod, "attach", &corev1.PodAttachOptions{
		Container: container,
		Stdin:     streams.Stdin != nil, Stdout: streams.Stdout != nil,
		Stderr: streams.Stderr != nil && !streams.Tty, TTY: streams.Tty,
	}, streams)
	if err != nil {
		return 0, s.failed(ctx, "attach to", pod, container, err)
	}
	named := &corev1.Pod{}
	named.Name = pod
	ended, err := s.client.Wait(ctx, named, container, Terminated)
	if err != nil {
		return 0, err
	}
	return int(*ended.ExitCode), nil
}

// failed returns the error of a stream, and looks whether it is that the container does not run.
func (s *Streams) failed(ctx context.Context, tried, pod, container string, err error) error {
	tried = fmt.Sprintf("%s container %s of pod/%s", tried, container, pod)
	// The connection has the deadline of ctx too, and may be the first to notice it.
	if deadline, has := ctx.Deadline(); has && ctx.Err() == nil && !time.Now().Before(deadline) {
		return fmt.Errorf("%s: %w: %w", tried, context.DeadlineExceeded, err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", tried, context.Cause(ctx))
	}
	if !errors.Is(err, ErrNoStatus) && !s.isRunning(ctx, pod, container) {
		err = fmt.Errorf("it is %w: %w", ErrNotRunning, err)
	}
	return explain(tried, err)
}

// isRunning reports false if the pod shows that the container does not run. If that cannot be found out, it
// reports true.
func (s *Streams) isRunning(ctx context.Context, pod, container string) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	read, err := s.client.Get(ctx, pod)
	return err != nil || !slices.ContainsFunc(read.Containers,
		func(c Container) bool { return c.Name == container && c.State != Running })
}

// stream carries one stream until it ends or ctx does. client-go looks at no context while it waits for the
// answer to its request, so the call is left to itself then. It ends when the answer comes.
func (s *Streams) stream(ctx context.Context, pod, subresource string, options runtime.Object,
	streams remotecommand.StreamOptions) (exitStatus int, err error) {
	address := s.client.client.CoreV1().RESTClient().Post().Namespace(s.client.namespace).Resource("pods").
		Name(pod).SubResource(subresource).VersionedParams(options, scheme.ParameterCodec).URL()
	type result struct {
		exitStatus int
		err        error
	}
	done := make(chan result, 1)
	go func() {
		status, err := s.open(ctx, address, streams)
		done <- result{status, err}
	}()
	select {
	case r := <-done:
		return r.exitStatus, r.err
	case <-ctx.Done():
		select {
		case <-done:
		case <-time.After(settleTime):
		}
		return 0, context.Cause(ctx)
	}
}

// settleTime is how long a stream that was broken off may take to write its last output.
const settleTime = time.Second

func (s *Streams) open(ctx context.Context, address *url.URL,
	streams remotecommand.StreamOptions) (exitStatus int, err error) {
	exitStatus, err = overWebSocket(ctx, s.config, address, streams)
	if upgrade.IsUpgradeFailure(err) || upgrade.IsHTTPSProxyError(err) {
		return overSPDY(ctx, s.config, address, streams)
	}
	return exitStatus, err
}

// overSPDY uses the executor of client-go, which takes a stream that was closed without a status for a
// command that has succeeded. So it notices whether one came.
func overSPDY(ctx context.Context, config *rest.Config, address *url.URL,
	streams remotecommand.StreamOptions) (int, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return 0, err
	}
	var told atomic.Bool
	executor, err := remotecommand.NewSPDYExecutorForProtocols(transport, noticing{upgrader, &told}, "POST",
		address, wire.StreamProtocolV5Name, wire.StreamProtocolV4Name)
	if err != nil {
		return 0, err
	}
	err = executor.StreamWithContext(ctx, streams)
	var exit exec.CodeExitError
	switch {
	case errors.As(err, &exit):
		return exit.Code, nil
	case err == nil && !told.Load():
		return 0, ErrNoStatus
	}
	return 0, err
}

// noticing notices whether a status comes.
type noticing struct {
	spdy.Upgrader
	told *atomic.Bool
}

// NewConnection is called with the answer to the request.
func (n noticing) NewConnection(response *http.Response) (httpstream.Connection, error) {
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, refusal(response)
	}
	connection, err := n.Upgrader.NewConnection(response)
	if err != nil {
		return nil, err
	}
	return noticingConnection{connection, n.told}, nil
}

// refusal returns the API's own error for a response that opens no stream. client-go keeps only its words.
func refusal(response *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("read the answer %s: %w", response.Status, err)
	}
	var status metav1.Status
	if err := json.Unmarshal(body, &status); err == nil && status.Status == metav1.StatusFailure {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return fmt.Errorf("no stream was opened: %s: %s", response.Status, strings.TrimSpace(string(body)))
}

type noticingConnection struct {
	httpstream.Connection
	told *atomic.Bool
}

// CreateStream is called once for each stream of the connection.
func (n noticingConnection) CreateStream(headers http.Header) (httpstream.Stream, error) {
	stream, err := n.Connection.CreateStream(headers)
	if err != nil || headers.Get(corev1.StreamType) != corev1.StreamTypeError {
		return stream, err
	}
	return noticingStream{stream, n.told}, nil
}

type noticingStream struct {
	httpstream.Stream
	told *atomic.Bool
}

// Read reads the status.
func (n noticingStream) Read(p []byte) (int, error) {
	read, err := n.Stream.Read(p)
	if read > 0 {
		n.told.Store(true)
	}
	return read, err
}
