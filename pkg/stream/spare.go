package stream

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// Each stream has a connection to itself. To open one takes two round trips, one for TCP and one for TLS. A
// spare is a connection that is open before its stream is asked for: both are made while a pod starts.

const (
	// spareTime is how long a spare is kept. An API server closes a connection on which no request has come
	// for 32 s.
	spareTime = 15 * time.Second
	// dialTime is how long a spare may take to open. A stream waits for that, and then opens one itself.
	dialTime = 5 * time.Second
)

// spares opens connections to a server and keeps them until they are used.
type spares struct {
	config *rest.Config
	mu     sync.Mutex
	made   []*spare
}

// spare is one connection, or the attempt to open it.
type spare struct {
	opened chan struct{} // closed when conn is set, or when it has failed
	conn   net.Conn
	since  time.Time // by the clock on the wall: a computer that was suspended has lost its connections
	expiry *time.Timer
}

// dialer returns what opens a connection as client-go does, or nil if there cannot be a spare: behind a
// proxy, without TLS, or with a configuration that has an error, which the stream itself will report.
func dialer(config *rest.Config) func(context.Context) (net.Conn, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil || server.Scheme != "https" || config.Transport != nil {
		return nil
	}
	proxier := config.Proxy
	if proxier == nil {
		proxier = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	if proxy, err := proxier(&http.Request{URL: server}); err != nil || proxy != nil {
		return nil
	}
	verified, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil
	}
	secure := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: 30 * time.Second}, Config: verified}
	address := net.JoinHostPort(server.Hostname(), cmp.Or(server.Port(), "443"))
	return func(ctx context.Context) (net.Conn, error) { return secure.DialContext(ctx, "tcp", address) }
}

// prepare begins to open n connections, and waits for nothing, nor for the files with the certificates.
func (s *spares) prepare(ctx context.Context, n int) {
	dial := sync.OnceValue(func() func(context.Context) (net.Conn, error) { return dialer(s.config) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		next := &spare{opened: make(chan struct{})}
		s.made = append(s.made, next)
		go func() {
			defer close(next.opened)
			if dial() == nil {
				return
			}
			ctx, cancel := context.WithTimeout(ctx, dialTime)
			defer cancel()
			if conn, err := dial()(ctx); err == nil {
				next.conn, next.since = conn, time.Now().Round(0)
				next.expiry = time.AfterFunc(spareTime, func() { conn.Close() })
			}
		}()
	}
}

// take returns a connection that is open and that nothing else uses, or nil. It waits for one that is about
// to open.
func (s *spares) take(ctx context.Context) net.Conn {
	for {
		next := s.next()
		if next == nil {
			return nil
		}
		select {
		case <-next.opened:
		case <-ctx.Done():
			return nil
		}
		if next.conn == nil || !next.expiry.Stop() {
			continue
		}
		if time.Now().Round(0).Sub(next.since) < spareTime && isOpen(next.conn) {
			return next.conn
		}
		next.conn.Close()
	}
}

func (s *spares) next() *spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.made) == 0 {
		return nil
	}
	next := s.made[0]
	s.made = s.made[1:]
	return next
}

// forget leaves the connections to their end.
func (s *spares) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = nil
}

// isOpen reports whether a connection on which nothing is expected is still open, as far as this computer
// knows: a server that has restarted has closed it.
func isOpen(conn net.Conn) bool {
	if conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	_, err := conn.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded) && conn.SetReadDeadline(time.Time{}) == nil
}

// overSpare is a WebSocket's round tripper that uses spares. client-go's own has no place for a connection
// that is already open, but one for the WebSocket that was made of it.
type overSpare struct {
	*websocket.RoundTripper
	spares *spares
}

// RoundTrip opens a WebSocket on a spare. A connection that breaks after the request has been sent is an
// error, and the request is not sent again: nothing runs twice.
func (o overSpare) RoundTrip(request *http.Request) (*http.Response, error) {
	conn := o.spares.take(request.Context())
	if conn == nil {
		return o.RoundTripper.RoundTrip(request)
	}
	header := request.Header.Clone()
	protocols := header[wsstream.WebSocketProtocolHeader]
	delete(header, wsstream.WebSocketProtocolHeader)
	dialer := gorilla.Dialer{
		Subprotocols:   protocols,
		ReadBufferSize: o.DataBufferSize() + 1024, WriteBufferSize: o.DataBufferSize() + 1024,
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	address := *request.URL
	address.Scheme = "wss"
	socket, answer, err := dialer.DialContext(request.Context(), address.String(), header)
	switch {
	case errors.Is(err, gorilla.ErrBadHandshake) && answer.StatusCode == http.StatusUnauthorized:
		answer.Body.Close() // the client certificate of the connection may have expired since
		return o.RoundTripper.RoundTrip(request)
	case errors.Is(err, gorilla.ErrBadHandshake):
		return nil, refusal(answer, err)
	case err != nil:
		return nil, err
	case !slices.Contains(protocols, socket.Subprotocol()):
		socket.Close()
		return nil, &httpstream.UpgradeFailureError{
			Cause: fmt.Errorf("invalid protocol %q, expected one of %q", socket.Subprotocol(), protocols)}
	}
	o.Conn = socket
	return answer, nil
}

// refusal returns the error for an answer that opens no WebSocket, as client-go does: with the server's own
// words, and such that SPDY is tried next.
func refusal(answer *http.Response, err error) error {
	cause := fmt.Errorf("%w (%s)", err, answer.Status)
	defer answer.Body.Close()
	body, readErr := io.ReadAll(answer.Body)
	var status metav1.Status
	switch text := strings.TrimSpace(string(body)); {
	case readErr != nil:
		cause = fmt.Errorf("%w: the rest of the answer could not be read: %w", cause, readErr)
	case json.Unmarshal(body, &status) == nil && status.Kind == "Status":
		cause = &apierrors.StatusError{ErrStatus: status}
	case text != "":
		cause = fmt.Errorf("%w: %s", cause, text)
	}
	return &httpstream.UpgradeFailureError{Cause: cause}
}
