// Package stream opens the streams of a container, and joins them to the user's: a terminal with its size and
// modes, or files and pipes. It knows nothing about what runs in the container.
package stream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/bounded"
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

// Remote is the Client of a real cluster. It tries WebSocket first, as kubectl does, and falls back to SPDY
// if the server or a proxy in between does not support WebSocket (KEP-4006).
type Remote struct {
	config    *rest.Config
	client    rest.Interface
	handshake time.Duration // how long a stream may take to open
	spares    *spares
}

// NewClient returns the Client of a cluster.
func NewClient(config *rest.Config, client kubernetes.Interface) Remote {
	return Remote{config, client.CoreV1().RESTClient(), nodeTimeout, &spares{config: config}}
}

// Prepare begins to open the connections of the next n streams, which then open two round trips sooner. It
// waits for nothing. A connection that no stream uses for 15 s is closed again.
func (r Remote) Prepare(ctx context.Context, n int) {
	r.spares.prepare(ctx, n)
}

// Forget has later streams open connections of their own: what was prepared may be lost without a word.
func (r Remote) Forget() { r.spares.forget() }

// Exec runs a command in a container.
func (r Remote) Exec(ctx context.Context, c Container, command []string,
	streams remotecommand.StreamOptions) error {
	return r.stream(ctx, c, "exec", &corev1.PodExecOptions{
		Container: c.Name, Command: command,
		Stdin: streams.Stdin != nil, Stdout: streams.Stdout != nil, Stderr: streams.Stderr != nil,
		TTY: streams.Tty,
	}, streams)
}

// Attach attaches to a container's process.
func (r Remote) Attach(ctx context.Context, c Container, streams remotecommand.StreamOptions) error {
	return r.stream(ctx, c, "attach", &corev1.PodAttachOptions{
		Container: c.Name,
		Stdin:     streams.Stdin != nil, Stdout: streams.Stdout != nil, Stderr: streams.Stderr != nil,
		TTY: streams.Tty,
	}, streams)
}

// nodeTimeout is longer than an API server waits for a node to answer: since Kubernetes 1.36 it does before
// it opens a stream, and until then after it had.
const nodeTimeout = 35 * time.Second

// ErrNoAnswer is a request for a stream that was not answered in time.
var ErrNoAnswer = errors.New("the request for a stream was not answered")

// Opening is how streams open.
type Opening struct {
	Within time.Duration // how long that may take, or Patience; 0: 35 s
	Opened func()        // called when one is open, before anything comes through it; may be nil
}

// Patience is for a stream that may take as long as it wants to open.
const Patience time.Duration = math.MaxInt64

// opening is the key of a context's Opening.
type opening struct{}

// WithOpening returns a context in which streams open like that.
func WithOpening(ctx context.Context, o Opening) context.Context {
	return context.WithValue(ctx, opening{}, o)
}

// Opened tells whoever has asked for the streams of ctx that one is open.
func Opened(ctx context.Context) {
	if o, _ := ctx.Value(opening{}).(Opening); o.Opened != nil {
		o.Opened()
	}
}

// stream carries one stream. Until that is open client-go looks neither at its context nor at a clock
// (gorilla/websocket and its SPDY read the answer bare): the call is left to itself then, and ends at once if
// the answer still comes.
func (r Remote) stream(ctx context.Context, c Container, subresource string, options runtime.Object,
	streams remotecommand.StreamOptions) error {
	asked, _ := ctx.Value(opening{}).(Opening)
	within := cmp.Or(asked.Within, r.handshake)
	ctx, abandon := context.WithCancelCause(ctx)
	defer abandon(nil)
	limit := time.AfterFunc(within, func() { abandon(fmt.Errorf("%w within %s", ErrNoAnswer, within)) })
	defer limit.Stop()
	address := r.client.Post().Namespace(c.Namespace).Resource("pods").Name(c.Pod).
		SubResource(subresource).VersionedParams(options, scheme.ParameterCodec).URL()
	if streams.Stdin != nil {
		streams.Stdin = &input{ctx, streams.Stdin}
	}
	handshaking := ctx
	if within != Patience {
		// The limit comes first, with its words.
		handshaking = handshake{ctx, time.Now().Add(within + time.Second)}
	}
	var refused atomic.Bool
	open := func() (struct{}, error) {
		refused.Store(false)
		executor, err := r.executor(address, func(status int) {
			refused.Store(status == http.StatusUnauthorized)
			if status == http.StatusSwitchingProtocols {
				limit.Stop()
				Opened(ctx)
			}
		})
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, executor.StreamWithContext(handshaking, streams)
	}
	_, err := bounded.Call(ctx, open)
	if refused.Load() && ctx.Err() == nil {
		// Nothing was opened, and client-go has new credentials now, if it can have them.
		_, err = bounded.Call(ctx, open)
	}
	return withoutQuery(err, address)
}

// handshake is a context with a deadline that ends nothing but a handshake: gorilla/websocket gives a
// connection the deadline of its context until it is open. So one that is left to itself ends, too.
type handshake struct {
	context.Context
	deadline time.Time
}

// Deadline returns when the handshake has to be over.
func (h handshake) Deadline() (time.Time, bool) { return h.deadline, true }

// query is the query of an address in an error's text. It is not always the client's own: an API server whose
// node does not answer reports the address that it has asked.
var query = regexp.MustCompile(`(/[^\s"'<>?]*)\?[^\s"'<>]*=[^\s"'<>]*`)

// withoutQuery takes queries out of an error's text, and that of an address also as a proxy's page may repeat
// it, decoded. A query has the words of a command, and an error is copied to where these must not go.
func withoutQuery(err error, address *url.URL) error {
	if err == nil || address.RawQuery == "" {
		return err
	}
	text := query.ReplaceAllString(err.Error(), "$1")
	decoded, _ := url.QueryUnescape(address.RawQuery)
	for _, own := range []string{address.RawQuery, decoded} {
		for _, written := range []string{own, html.EscapeString(own)} {
			if written != "" {
				text = strings.NewReplacer("?"+written, "", written, "").Replace(text)
			}
		}
	}
	if text == err.Error() {
		return err
	}
	if IsAnswer(err) && !strings.Contains(err.Error(), address.String()) { // otherwise it is the client's own
		return errors.New(text)
	}
	return redacted{err, text}
}

// redacted is an error with another text.
type redacted struct {
	error
	text string
}

func (r redacted) Error() string { return r.text }

// Unwrap returns the error whose text was changed.
func (r redacted) Unwrap() error { return r.error }

// executor returns client-go's executor of a request. answered is called with the status of each answer.
func (r Remote) executor(address *url.URL, answered func(status int)) (remotecommand.Executor, error) {
	config := rest.CopyConfig(r.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		if socket, is := next.(*websocket.RoundTripper); is {
			next = overSpare{socket, r.spares}
		}
		return upgrade{Direct(next), answered}
	})
	spdy, err := remotecommand.NewSPDYExecutor(config, "POST", address)
	if err != nil {
		return nil, err
	}
	socket, err := remotecommand.NewWebSocketExecutor(config, "GET", address.String())
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// upgrade reports the answer that makes a stream of a request, or refuses it.
type upgrade struct {
	http.RoundTripper
	answered func(status int)
}

// RoundTrip passes the request on.
func (u upgrade) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := u.RoundTripper.RoundTrip(request)
	if err == nil {
		u.answered(answer.StatusCode)
	}
	return answer, err
}

// input is at its end when ctx is: a stream that is over takes nothing from its successor.
type input struct {
	ctx context.Context
	io.Reader
}

// Read reads what is left.
func (i *input) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, io.EOF
	}
	return i.Reader.Read(p)
}

// OutputError means that the command's output could not be written locally: the disk is full, or a reader
// like head has gone.
type OutputError struct{ Err error }

func (e *OutputError) Error() string { return fmt.Sprintf("write the output: %v", e.Err) }

func (e *OutputError) Unwrap() error { return e.Err }

// output ends the session when it cannot be written to.
type output struct {
	io.Writer
	ctx  context.Context
	stop context.CancelCauseFunc
}

func newOutput(ctx context.Context, w io.Writer, stop context.CancelCauseFunc) *output {
	return &output{Interruptible(ctx, w), ctx, stop}
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.ctx.Err() == nil {
		o.stop(&OutputError{err})
	}
	return n, err
}

// Interruptible returns a writer to w that waits for no write any longer than until ctx ends: a pipe that
// nobody reads takes nothing more once it is full. The error is then the cause of ctx.
func Interruptible(ctx context.Context, w io.Writer) io.Writer { return interruptible{ctx, w} }

type interruptible struct {
	ctx context.Context
	io.Writer
}

func (i interruptible) Write(p []byte) (int, error) {
	own := bytes.Clone(p) // the write may go on when this one has returned
	return bounded.Call(i.ctx, func() (int, error) { return i.Writer.Write(own) })
}
