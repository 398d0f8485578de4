package accessproxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// TestHolds: what is held passes when it is approved, though its client has gone; others pass at once.
func TestHolds(t *testing.T) {
	seen := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- r.Method + " " + string(body)
	}))
	t.Cleanup(server.Close)
	proxy, err := New(&rest.Config{Host: server.URL},
		Rules{Holds: func(r *http.Request) bool { return r.Method == http.MethodPost }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(proxy.CA())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted},
		ForceAttemptHTTP2: true}}
	ask := func(ctx context.Context, method string) error {
		request, err := http.NewRequestWithContext(ctx, method, "https://"+proxy.Addr()+"/",
			strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	ctx, leave := context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() { answered <- ask(ctx, http.MethodPost) }()
	<-proxy.Held()
	if err := ask(t.Context(), http.MethodPut); err != nil {
		t.Error(err)
	}
	leave()
	if err := <-answered; err == nil {
		t.Error("the client has an answer to a request that is held")
	}
	proxy.Approve()
	if got := []string{<-seen, <-seen}; !slices.Equal(got, []string{"PUT x", "POST x"}) {
		t.Errorf("the server saw %q", got)
	}
}

// TestFrames: only data frames count, however the bytes come.
func TestFrames(t *testing.T) {
	long := append([]byte{0x82, 126, 1, 0}, make([]byte, 256)...)
	masked := []byte{0x82, 0x80 | 3, 1, 2, 3, 4, 0x89, 0x89, 0x89}
	all := slices.Concat([]byte{0x89, 2, 0x82, 0x82}, long, masked, []byte{0x8a, 0}, textFrame("a word"))
	for _, piece := range []int{1, 7, len(all)} {
		data := 0
		f := frames{data: func() { data++ }}
		for part := range slices.Chunk(all, piece) {
			f.pass(part)
		}
		if data != 3 || f.left != 0 || len(f.header) != 0 {
			t.Errorf("in pieces of %d bytes: %d data frames, %d and %d bytes left; want 3", piece, data, f.left,
				len(f.header))
		}
	}
}

// TestIdle: a WebSocket without data frames is closed.
func TestIdle(t *testing.T) {
	client, server := io.Pipe()
	t.Cleanup(func() { server.Close() })
	p := &Proxy{rules: Rules{Idle: 50 * time.Millisecond}}
	both := p.watch(struct {
		io.Reader
		io.Writer
		io.Closer
	}{client, io.Discard, client})
	if _, err := both.Read(make([]byte, 1)); err == nil {
		t.Error("it is open")
	}
}
