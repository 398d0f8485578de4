package ephemeral

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
)

const (
	succeeded = `{"metadata":{},"status":"Success"}`
	exited7   = `{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code",` +
		`"reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}`
	noProgram = `{"metadata":{},"status":"Failure","message":"no such program","reason":"InternalError"}`
)

// node is a server whose containers run one command: it returns its input, says something on stderr, and
// ends.
type node struct {
	status string // what comes at the end, or ""
	cut    bool   // the connection ends without a goodbye
	spdy   bool   // no WebSocket
	pod    string // in JSON, for those who ask
	asked  []string
}

// ServeHTTP serves one stream.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.asked = append(n.asked, r.Method+" "+r.URL.RequestURI())
	switch {
	case strings.HasSuffix(r.URL.Path, "/web"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, n.pod)
	case n.spdy && r.Method == http.MethodGet:
		w.WriteHeader(http.StatusBadRequest)
	case n.spdy:
		n.overSPDY(w, r)
	default:
		n.overWebSocket(w, r)
	}
}

func (n *node) overWebSocket(w http.ResponseWriter, r *http.Request) {
	upgrader := gorilla.Upgrader{Subprotocols: []string{"v5.channel.k8s.io"}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	send := func(channel byte, text string) {
		_ = conn.WriteMessage(gorilla.BinaryMessage, append([]byte{channel}, text...))
	}
	send(fromStdout, "")
	for r.URL.Query().Get("stdin") == "true" {
		_, message, err := conn.ReadMessage()
		if err != nil || message[0] == toClose {
			break
		}
		if message[0] == toResize {
			send(fromStdout, string(message[1:])+"\n")
		} else {
			send(fromStdout, string(message[1:]))
		}
	}
	if r.URL.Query().Get("stderr") == "true" {
		send(fromStderr, "done\n")
	}
	if n.status != "" {
		send(fromStatus, n.status)
	}
	if !n.cut {
		_ = conn.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, ""))
	}
}

func (n *node) overSPDY(w http.ResponseWriter, r *http.Request) {
	_, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io"})
	if err != nil {
		return
	}
	opened := make(chan httpstream.Stream, 4)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r,
		func(s httpstream.Stream, _ <-chan struct{}) error {
			opened <- s
			return nil
		})
	if conn == nil {
		return
	}
	defer conn.Close()
	streams := map[string]httpstream.Stream{}
	for len(streams) < 4 {
		s := <-opened
		streams[s.Headers().Get(corev1.StreamType)] = s
	}
	_, _ = io.Copy(streams["stdout"], streams["stdin"])
	_, _ = io.WriteString(streams["stderr"], "done\n")
	_, _ = io.WriteString(streams["error"], n.status)
	for _, s := range streams {
		_ = s.Close()
	}
	if !n.cut {
		<-conn.CloseChan()
	}
}

func (n *node) start(t *testing.T) *Streams {
	t.Helper()
	listening := httptest.NewServer(n)
	t.Cleanup(listening.Close)
	streams, err := NewStreams(&rest.Config{Host: listening.URL}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return streams
}

const podPath = "/api/v1/namespaces/shop/pods/web"

func TestExec(t *testing.T) {
	ended := `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web"},"spec":{"ephemeralContainers":[{"name":"d"}]},` +
		`"status":{"ephemeralContainerStatuses":[{"name":"d","state":{"terminated":{"exitCode":3}}}]}}`
	runs := strings.Replace(ended, `"terminated":{"exitCode":3}`, `"running":{}`, 1)
	const tried = "run a command in container d of pod/web: "
	tests := []struct {
		name   string
		node   node
		status int
		err    string
		is     error
	}{
		{"success", node{status: succeeded}, 0, "", nil},
		{"an exit status", node{status: exited7}, 7, "", nil},
		{"an exit status, then a broken connection", node{status: exited7, cut: true}, 7, "", nil},
		{"closed without a status", node{pod: runs}, 0, tried + ErrNoStatus.Error(), ErrNoStatus},
		{"broken without a status", node{cut: true, pod: runs}, 0, tried + ErrNoStatus.Error(), ErrNoStatus},
		{"no such program", node{status: noProgram, pod: runs}, 0, tried + "no such program", nil},
		{"in a container that has ended", node{status: noProgram, pod: ended}, 0,
			tried + "it is not running: no such program", ErrNotRunning},
		{"not a status", node{status: "?", pod: runs}, 0, tried + ErrNoStatus.Error(), ErrNoStatus},
		{"SPDY, success", node{spdy: true, status: succeeded}, 0, "", nil},
		{"SPDY, an exit status", node{spdy: true, status: exited7}, 7, "", nil},
		{"SPDY, closed without a status", node{spdy: true, pod: runs}, 0, tried + ErrNoStatus.Error(), ErrNoStatus},
		{"SPDY, broken without a status", node{spdy: true, cut: true, pod: runs}, 0, tried + ErrNoStatus.Error(),
			ErrNoStatus},
		{"SPDY, no such program", node{spdy: true, status: noProgram, pod: runs}, 0, tried + "no such program", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			input := strings.Repeat("hello\n", 20000) // more than one message
			var out, errs bytes.Buffer
			got, err := tt.node.start(t).Exec(t.Context(), "web", "d", []string{"cat"},
				remotecommand.StreamOptions{Stdin: strings.NewReader(input), Stdout: &out, Stderr: &errs})
			if got != tt.status || (err != nil) != (tt.err != "") || err != nil && (!strings.HasPrefix(err.Error(), tt.err) ||
				tt.is != nil && !errors.Is(err, tt.is)) {
				t.Errorf("exit status %d, error %v; want %d, %s", got, err, tt.status, tt.err)
			}
			if out.String() != input || errs.String() != "done\n" {
				t.Errorf("%d bytes of stdout, stderr %q", out.Len(), errs.String())
			}
			if want := "GET " + podPath + "/exec?command=cat&container=d&stderr=true&stdin=true&stdout=true"; tt.node.asked[0] != want {
				t.Errorf("asked for %s, want %s", tt.node.asked[0], want)
			}
		})
	}
}

// sizes is a terminal that has one size.
type sizes chan *remotecommand.TerminalSize

// Next returns it, and then nothing.
func (s sizes) Next() *remotecommand.TerminalSize { return <-s }

// A terminal has its size, and no stderr.
func TestExecTerminal(t *testing.T) {
	n := &node{status: succeeded}
	size := make(sizes, 1)
	size <- &remotecommand.TerminalSize{Width: 80, Height: 24}
	close(size)
	var out bytes.Buffer
	shown, typed := io.Pipe()
	_, err := n.start(t).Exec(t.Context(), "web", "d", []string{"sh"}, remotecommand.StreamOptions{
		Stdin: shown, Stdout: io.MultiWriter(&out, closing{typed}), Stderr: &out,
		Tty: true, TerminalSizeQueue: size})
	if err != nil || out.String() != `{"Width":80,"Height":24}`+"\n" {
		t.Errorf("error %v, output %q", err, out.String())
	}
	if want := "GET " + podPath + "/exec?command=sh&container=d&stdin=true&stdout=true&tty=true"; n.asked[0] != want {
		t.Errorf("asked for %s, want %s", n.asked[0], want)
	}
}

// closing ends the input at the first output.
type closing struct{ *io.PipeWriter }

// Write ends the input.
func (c closing) Write(p []byte) (int, error) { return len(p), c.Close() }

// A refusal is the API's own error, whatever the transport.
func TestExecRefused(t *testing.T) {
	const words = `pods "web" is forbidden: User "dev" cannot create resource "pods/exec" in API group ""`
	s := &server{answers: []answer{status(403, "Forbidden", words, `{"name":"web"}`)}}
	listening := httptest.NewServer(s)
	defer listening.Close()
	streams, err := NewStreams(&rest.Config{Host: listening.URL}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	_, err = streams.Exec(t.Context(), "web", "d", []string{"true"}, remotecommand.StreamOptions{Stdout: io.Discard})
	var lacking *ForbiddenError
	if !errors.As(err, &lacking) || lacking.Verb != "create" || lacking.Resource != "pods/exec" ||
		!apierrors.IsForbidden(err) || hint.Of(err) != `ask for "create" on pods/exec` {
		t.Errorf("error %v, hint %s", err, hint.Of(err))
	}
}

// A server that never answers holds nobody: the context ends the wait.
func TestExecUnanswered(t *testing.T) {
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	defer silent.Close()
	defer close(over)
	streams, err := NewStreams(&rest.Config{Host: silent.URL}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = streams.Exec(ctx, "web", "d", []string{"true"}, remotecommand.StreamOptions{Stdout: io.Discard})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// The exit status of an attached container is the one that the pod shows.
func TestAttach(t *testing.T) {
	n := &node{status: succeeded, pod: `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","resourceVersion":"1"},` +
		`"spec":{"ephemeralContainers":[{"name":"d"}]},` +
		`"status":{"ephemeralContainerStatuses":[{"name":"d","state":{"terminated":{"exitCode":5}}}]}}`}
	var out bytes.Buffer
	got, err := n.start(t).Attach(t.Context(), "web", "d", remotecommand.StreamOptions{Stdin: strings.NewReader("hi"), Stdout: &out})
	if got != 5 || err != nil || out.String() != "hi" {
		t.Errorf("exit status %d, error %v, output %q", got, err, out.String())
	}
	if want := "GET " + podPath + "/attach?container=d&stdin=true&stdout=true"; n.asked[0] != want {
		t.Errorf("asked for %s, want %s", n.asked[0], want)
	}
}
