// Package stream opens the streams of a container, and joins them to the user's: a terminal with its size and
// modes, or files and pipes. It knows nothing about what runs in the container.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
)

// Container is one container of one pod.
type Container struct{ Namespace, Pod, Name string }

// Client opens the streams of a container. Both calls last as long as the stream, and end with ctx. Exec
// returns the exit status of its command in its error, as a CodeExitError of client-go's util/exec.
type Client interface {
	Exec(ctx context.Context, c Container, command []string, streams remotecommand.StreamOptions) error
	Attach(ctx context.Context, c Container, streams remotecommand.StreamOptions) error
}

// IsAnswer reports whether a stream failed because the server reported an error. Such an error is bare text.
// If the connection has ended, the error wraps what ended it.
func IsAnswer(err error) bool {
	return err != nil && errors.Unwrap(err) == nil && !errors.Is(err, io.EOF) && !errors.Is(err,
		io.ErrUnexpectedEOF)
}

// NewClient returns the Client of a real cluster. It tries WebSocket first, as kubectl does, and falls back
// to SPDY if the server or a proxy in between does not support WebSocket (KEP-4006).
func NewClient(config *rest.Config, client kubernetes.Interface) Client {
	return remote{config, client.CoreV1().RESTClient()}
}

type remote struct {
	config *rest.Config
	client rest.Interface
}

func (r remote) Exec(ctx context.Context, c Container, command []string,
	streams remotecommand.StreamOptions) error {
	return r.stream(ctx, c, "exec", &corev1.PodExecOptions{
		Container: c.Name, Command: command,
		Stdin: streams.Stdin != nil, Stdout: streams.Stdout != nil, Stderr: streams.Stderr != nil,
		TTY: streams.Tty,
	}, streams)
}

func (r remote) Attach(ctx context.Context, c Container, streams remotecommand.StreamOptions) error {
	return r.stream(ctx, c, "attach", &corev1.PodAttachOptions{
		Container: c.Name,
		Stdin:     streams.Stdin != nil, Stdout: streams.Stdout != nil, Stderr: streams.Stderr != nil,
		TTY: streams.Tty,
	}, streams)
}

func (r remote) stream(ctx context.Context, c Container, subresource string, options runtime.Object,
	streams remotecommand.StreamOptions) error {
	address := r.client.Post().Namespace(c.Namespace).Resource("pods").Name(c.Pod).
		SubResource(subresource).VersionedParams(options, scheme.ParameterCodec).URL()
	spdy, err := remotecommand.NewSPDYExecutor(r.config, "POST", address)
	if err != nil {
		return err
	}
	socket, err := remotecommand.NewWebSocketExecutor(r.config, "GET", address.String())
	if err != nil {
		return err
	}
	either, err := remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	return either.StreamWithContext(ctx, streams)
}

// OutputError means that the command's output could not be written locally: the disk is full, or a reader
// like head has gone.
type OutputError struct{ Err error }

func (e *OutputError) Error() string { return fmt.Sprintf("write the output: %v", e.Err) }

func (e *OutputError) Unwrap() error { return e.Err }

// output ends the session when it cannot be written to.
type output struct {
	io.Writer
	stop context.CancelCauseFunc
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil {
		o.stop(&OutputError{err})
	}
	return n, err
}
