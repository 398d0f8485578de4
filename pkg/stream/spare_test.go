package stream

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	client "k8s.io/client-go/tools/remotecommand"
)

// door is a server that counts its connections and what is asked for on each.
type door struct {
	*httptest.Server
	mu    sync.Mutex
	conns []net.Conn
	asked map[string]int // by the client's address
	enter func(w http.ResponseWriter, r *http.Request)
}

// newDoor opens a server, and returns a client of it.
func newDoor(t *testing.T, enter func(w http.ResponseWriter, r *http.Request)) (*door, *rest.Config, Remote) {
	t.Helper()
	d := &door{asked: map[string]int{}, enter: enter}
	d.Server = httptest.NewUnstartedServer(d)
	d.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if state == http.StateNew {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.conns = append(d.conns, conn)
		}
	}
	d.StartTLS()
	t.Cleanup(d.Close)
	config := &rest.Config{Host: d.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return d, config, NewClient(config, kube)
}

// ServeHTTP counts a request.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked[r.RemoteAddr]++
	d.mu.Unlock()
	d.enter(w, r)
}

func (d *door) count() (conns, requests int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.asked {
		requests += n
	}
	return len(d.conns), requests
}

// succeed runs a command whose output is "done".
func succeed(w http.ResponseWriter, r *http.Request) {
	upgrader := gorilla.Upgrader{Subprotocols: []string{remotecommand.StreamProtocolV5Name}}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer socket.Close()
	_ = socket.WriteMessage(gorilla.BinaryMessage, []byte("\x01done"))
	_ = socket.WriteMessage(gorilla.BinaryMessage, []byte("\x03"+`{"status":"Success"}`))
	_ = socket.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, ""),
		time.Now().Add(time.Second))
}

func refuse(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":403,`+
		`"reason":"Forbidden","message":"pods \"api\" is forbidden: not today"}`)
}

// breakOff takes a request and closes its connection.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		conn.Close()
	}
}

// unaccepted answers the first n requests with 401, and has next answer the others.
func unaccepted(n int32, next http.HandlerFunc) http.HandlerFunc {
	var asked atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > n {
			next(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":401,`+
			`"reason":"Unauthorized","message":"Unauthorized"}`)
	}
}

// TestSpare: a stream opens on a connection that is already there, and nothing else changes by it.
func TestSpare(t *testing.T) {
	closeAll := func(d *door) {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, conn := range d.conns {
			conn.Close()
		}
	}
	tests := []struct {
		name     string
		enter    func(w http.ResponseWriter, r *http.Request)
		before   func(d *door) // the stream is asked for
		output   string
		err      string
		conns    int // with the two that were prepared
		requests int
	}{
		{"used", succeed, nil, "done", "", 2, 1},
		{"closed meanwhile", succeed, closeAll, "done", "", 3, 1},
		{"refused: SPDY is tried", refuse, nil, "", `pods "api" is forbidden: not today`, 3, 2},
		{"its certificate has expired", unaccepted(1, succeed), nil, "done", "", 3, 2},
		{"the token has expired", unaccepted(3, succeed), nil, "done", "", 4, 4},
		{"not accepted", unaccepted(99, succeed), nil, "", "Unauthorized", 6, 6},
		{"broken off: nothing is asked twice", breakOff, nil, "", "EOF", 2, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, remote := newDoor(t, tt.enter)
			remote.Prepare(t.Context(), 2)
			for _, s := range remote.spares.made {
				<-s.opened
			}
			if conns, requests := d.count(); conns != 2 || requests != 0 {
				t.Fatalf("%d connections, %d requests are prepared", conns, requests)
			}
			if tt.before != nil {
				tt.before(d)
			}
			var output strings.Builder
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := remote.Exec(ctx, Container{"shop", "api", "app"}, []string{"true"},
				client.StreamOptions{Stdout: &output})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			conns, requests := d.count()
			if output.String() != tt.output || conns != tt.conns || requests != tt.requests {
				t.Errorf("output %q, %d connections, %d requests; want %q, %d, %d", output.String(), conns,
					requests, tt.output, tt.conns, tt.requests)
			}
		})
	}
}

// TestNoSpare: behind a proxy, and without TLS, nothing is prepared.
func TestNoSpare(t *testing.T) {
	d, config, _ := newDoor(t, succeed)
	through := rest.CopyConfig(config)
	through.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.example:3128") }
	plain := rest.CopyConfig(config)
	plain.Host = "http://" + d.Listener.Addr().String()
	for name, config := range map[string]*rest.Config{"a proxy": through, "no TLS": plain} {
		if dialer(config) != nil {
			t.Errorf("%s: there would be a spare", name)
		}
	}
	if dialer(config) == nil {
		t.Error("there would be none at all")
	}
}

// TestSpareExpires: a connection that no stream uses is closed.
func TestSpareExpires(t *testing.T) {
	d, _, remote := newDoor(t, succeed)
	remote.Prepare(t.Context(), 1)
	s := remote.spares.made[0]
	<-s.opened
	s.expiry.Reset(0)
	if _, err := s.conn.Read(make([]byte, 1)); err == nil {
		t.Error("it says something")
	}
	if remote.spares.take(t.Context()) != nil {
		t.Error("a closed connection is used")
	}
	if conns, _ := d.count(); conns != 1 {
		t.Errorf("%d connections", conns)
	}
	for name, lose := range map[string]func(s *spare){
		"of before a suspension": func(s *spare) { s.since = s.since.Add(-spareTime) },
		"forgotten":              func(*spare) { remote.Forget() },
	} {
		remote.Prepare(t.Context(), 1)
		s := remote.spares.made[0]
		<-s.opened
		lose(s)
		if remote.spares.take(t.Context()) != nil {
			t.Errorf("a connection that is %s is used", name)
		}
	}
}
