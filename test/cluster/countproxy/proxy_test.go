package countproxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

const (
	latency = 50 * time.Millisecond
	// patience bounds waits that succeed at once unless something is broken.
	patience = 5 * time.Second
)

// server answers with the credentials that it was sent, for as long as it is asked to with /forever, and
// takes over the connection with /upgrade.
func server(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/forever":
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/never":
		<-r.Context().Done()
	case "/upgrade":
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, both)
	default:
		_, _ = io.WriteString(w, r.Header.Get("Authorization"))
	}
}

func start(t *testing.T) (*Proxy, *http.Client) {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(server))
	t.Cleanup(backend.Close)
	proxy, err := New(&rest.Config{Host: backend.URL, BearerToken: "secret"}, latency)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return proxy, client(t, proxy)
}

// client has connections of its own.
func client(t *testing.T, proxy *Proxy) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: trusting(proxy), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func trusting(proxy *Proxy) *tls.Config {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(proxy.CA())
	return &tls.Config{RootCAs: trusted}
}

func get(ctx context.Context, c *http.Client, proxy *Proxy, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+proxy.Addr()+path, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(request)
}

// ask asks for path and reads the answer.
func ask(t *testing.T, c *http.Client, proxy *Proxy, path string) string {
	t.Helper()
	answer, err := get(t.Context(), c, proxy, path)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// want compares what was counted.
func want(t *testing.T, proxy *Proxy, requests, connections, roundTrips int) {
	t.Helper()
	if got := fmt.Sprintf("%d requests, %d connections, %d round trips", len(proxy.Requests()),
		proxy.Connections(), proxy.RoundTrips()); got != fmt.Sprintf(
		"%d requests, %d connections, %d round trips", requests, connections, roundTrips) {
		t.Errorf("counted %s: %v", got, proxy.Requests())
	}
}

func TestOneAfterTheOther(t *testing.T) {
	proxy, client := start(t)
	before := time.Now()
	for range 3 {
		if got := ask(t, client, proxy, "/api/v1/pods?limit=1"); got != "Bearer secret" {
			t.Errorf("the server was sent %q, want the proxy's credentials", got)
		}
	}
	want(t, proxy, 3, 1, 5)
	if took := time.Since(before); took < 5*latency {
		t.Errorf("5 round trips took %v", took)
	}
	if got := proxy.Requests()[2]; got.String() != "GET /api/v1/pods" ||
		got.Answered.Sub(got.Began) < latency {
		t.Errorf("the request is %v, from %v to %v", got, got.Began, got.Answered)
	}
}

// TestSideBySide: also over HTTP/2 on one connection.
func TestSideBySide(t *testing.T) {
	proxy, client := start(t)
	ask(t, client, proxy, "/first")
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { ask(t, client, proxy, "/") })
	}
	all.Wait()
	want(t, proxy, 6, 1, 4)
}

// TestConnections: one that is opened while a request is under way costs what it takes longer.
func TestConnections(t *testing.T) {
	proxy, one := start(t)
	ask(t, one, proxy, "/")
	two := client(t, proxy)
	var all sync.WaitGroup
	all.Go(func() { ask(t, one, proxy, "/") })
	all.Go(func() { ask(t, two, proxy, "/") })
	all.Wait()
	want(t, proxy, 3, 2, 6)
}

// TestWatch: what follows the header of a watch follows a round trip.
func TestWatch(t *testing.T) {
	proxy, client := start(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watch, err := get(ctx, client, proxy, "/forever?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Body.Close()
	ask(t, client, proxy, "/next")
	want(t, proxy, 2, 1, 4)
	if got := fmt.Sprint(proxy.Requests()); got != "[GET /forever?watch=true GET /next]" {
		t.Errorf("the requests are %s", got)
	}
}

// TestUnanswered: a request that nobody answers counts, and nothing follows it.
func TestUnanswered(t *testing.T) {
	proxy, client := start(t)
	ask(t, client, proxy, "/")
	ctx, stop := context.WithTimeout(t.Context(), 2*latency)
	defer stop()
	if answer, err := get(ctx, client, proxy, "/never"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("answered: %+v, %v", answer, err)
	}
	want(t, proxy, 2, 1, 4)
	ask(t, client, proxy, "/")
	want(t, proxy, 3, 1, 4)
}

// TestUpgrade: a stream passes in both directions, and ends with the proxy.
func TestUpgrade(t *testing.T) {
	proxy, _ := start(t)
	conn, err := tls.Dial("tcp", proxy.Addr(), trusting(proxy))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	stream := bufio.NewReader(conn)
	answer, err := http.ReadResponse(stream, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answered %+v, %v", answer, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if got, err := stream.ReadString('\n'); got != "hello\n" {
		t.Errorf("the echo is %q, %v", got, err)
	}
	want(t, proxy, 1, 1, 3)
	proxy.Close()
	if _, err := stream.ReadByte(); err == nil {
		t.Error("the stream has outlived the proxy")
	}
}

// TestBytes: those of TLS count, and what was there before a reset does not.
func TestBytes(t *testing.T) {
	proxy, client := start(t)
	const size = 10_000
	ask(t, client, proxy, "/"+strings.Repeat("x", size))
	if toClient, toServer := proxy.Bytes(); toServer < size || toClient < 500 || toClient > size {
		t.Errorf("%d bytes to the client, %d to the server", toClient, toServer)
	}
	proxy.Reset()
	want(t, proxy, 0, 0, 0)
	ask(t, client, proxy, "/")
	want(t, proxy, 1, 0, 1)
	if toClient, toServer := proxy.Bytes(); toClient == 0 || toServer == 0 || toServer > 500 {
		t.Errorf("after a reset, %d bytes to the client, %d to the server", toClient, toServer)
	}
}
