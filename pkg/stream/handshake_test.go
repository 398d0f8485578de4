package stream

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// asked is a request for a stream that the server of a test has not answered.
type asked struct {
	w http.ResponseWriter
	r *http.Request
}

// silent returns a client of a server that accepts requests for streams and answers none; they are in asks.
func silent(t *testing.T) (client Remote, asks chan asked) {
	t.Helper()
	asks = make(chan asked, 10)
	over := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asks <- asked{w, r}
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	config := &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return NewClient(config, kube), asks
}

// unread fails the test when it is read: a stream that has not opened takes nothing of the user's.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the user's input is read")
	return 0, io.EOF
}

// request asks for a stream.
func request(ctx context.Context, t *testing.T, c Client, attach bool) (ended chan error) {
	ended = make(chan error, 1)
	streams := remotecommand.StreamOptions{Stdin: unread{t}, Stdout: io.Discard}
	go func() {
		if attach {
			ended <- c.Attach(ctx, Container{"shop", "api", "app"}, streams)
			return
		}
		ended <- c.Exec(ctx, Container{"shop", "api", "app"}, []string{"sh"}, streams)
	}()
	return ended
}

func await(t *testing.T, ended chan error, want error) {
	t.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, want) || IsAnswer(err) {
			t.Errorf("it ended with %v (an answer: %t), want %v", err, IsAnswer(err), want)
		}
	case <-time.After(10 * time.Second):
		t.Error("it still waits after 10 s")
	}
}

// TestHandshakeIsInterrupted: client-go does not look at its context while it waits for a stream to open.
func TestHandshakeIsInterrupted(t *testing.T) {
	for name, attach := range map[string]bool{"exec": false, "attach": true} {
		t.Run(name, func(t *testing.T) {
			client, asks := silent(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := request(ctx, t, client, attach)
			<-asks
			cause := fmt.Errorf("interrupted: %w", context.Canceled)
			cancel(cause)
			await(t, ended, cause)
		})
	}
}

// TestHandshakeTimeout: nor does it look at a clock.
func TestHandshakeTimeout(t *testing.T) {
	client, _ := silent(t)
	client.handshake = 100 * time.Millisecond
	await(t, request(t.Context(), t, client, false), ErrNoAnswer)
}

// TestHandshakeAnsweredLate: what is answered when nobody waits for it any more is closed, or the container
// would have one more reader that reads nothing.
func TestHandshakeAnsweredLate(t *testing.T) {
	client, asks := silent(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := request(ctx, t, client, true)
	ask := <-asks
	cause := fmt.Errorf("interrupted: %w", context.Canceled)
	cancel(cause)
	await(t, ended, cause)
	conn, buffer, err := http.NewResponseController(ask.w).Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// RFC 6455, section 4.2.2.
	key := sha1.Sum([]byte(ask.r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n",
		base64.StdEncoding.EncodeToString(key[:]))
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, buffer); err != nil {
		t.Errorf("the stream is not closed: %v", err)
	}
}

// TestErrorsDropQueries: the words of a command are in no error, whichever protocol was asked for.
func TestErrorsDropQueries(t *testing.T) {
	upgradeFails := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet { // WebSocket: the client goes on with SPDY
			http.Error(w, "no", http.StatusBadRequest)
		}
		return r.Method == http.MethodGet
	}
	for name, answered := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"WebSocket": func(http.ResponseWriter, *http.Request) bool { return false },
		"SPDY":      upgradeFails,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !answered(w, r) {
					panic(http.ErrAbortHandler)
				}
			}))
			t.Cleanup(server.Close)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			config := &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
			kube, err := kubernetes.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			err = NewClient(config, kube).Exec(t.Context(), Container{"shop", "api", "app"},
				[]string{"psql", "-c", "alter role x password 's3cret'"},
				remotecommand.StreamOptions{Stdout: io.Discard})
			if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "command=") {
				t.Errorf("the error is %v", err)
			}
			if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "EOF") || IsAnswer(err) {
				t.Errorf("the error does not say what happened: %v (an answer: %t)", err, IsAnswer(err))
			}
		})
	}
}

// TestQueriesOfOthers: an API server that cannot reach a node repeats the address that it has asked there.
// What it answers is an answer all the same.
func TestQueriesOfOthers(t *testing.T) {
	own, err := url.Parse("https://example.com/api/v1/namespaces/shop/pods/api/exec?command=psql&command=s3cret")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`error sending request: Post "https://10.0.0.1:10250/exec/shop/api/app?command=psql&command=s3cret&error=1": ` +
			`dial tcp 10.0.0.1:10250: connect: connection refused`: `error sending request: ` +
			`Post "https://10.0.0.1:10250/exec/shop/api/app": dial tcp 10.0.0.1:10250: connect: connection refused`,
		"<a href='/exec/shop/api/app?error=1&amp;command=s3cret'>moved</a>": "<a href='/exec/shop/api/app'>moved</a>",
		"is it a/b? a=b": "is it a/b? a=b",
		"no":             "no",
	} {
		if got := withoutQuery(errors.New(text), own); got.Error() != want || !IsAnswer(got) {
			t.Errorf("%v (an answer: %t), want %s", got, IsAnswer(got), want)
		}
	}
	lost := withoutQuery(fmt.Errorf("/exec?command=x: %w", io.EOF), own)
	if IsAnswer(lost) || !errors.Is(lost, io.EOF) {
		t.Errorf("%v is an answer", lost)
	}
}
