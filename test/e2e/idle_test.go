//go:build unix

package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// idleLimit is what load balancers close an idle connection after by default: AWS's classic one and its
// ALB. The API server itself closes one after 90 s.
const idleLimit = 60 * time.Second

// TestIdle: a session in which nothing happens for longer than that goes on.
func TestIdle(t *testing.T) {
	t.Parallel()
	for _, place := range places("idle") {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			term, proxy := throughProxy(t, place.args[1:]...)
			session := term.session()
			term.expect(prompt)
			proxy.IdleTimeout(idleLimit)
			term.typed("sleep 75; echo awake-$((40+2))\n")
			term.expectWithin(patience+75*time.Second, `awake-42\r\n`)
			term.typed("echo still-$((40+2)); exit 7\n")
			term.expect(`still-42\r\n`)
			term.ended(7, session)
		})
	}
	t.Run("the proxy cuts", func(t *testing.T) {
		t.Parallel()
		cutsIdle(t)
	})
}

// cutsIdle asserts that what TestIdle's sessions go through does close a connection that is silent.
func cutsIdle(t *testing.T) {
	server, proxy := newProxy(t)
	proxy.IdleTimeout(idleLimit)
	conn, err := tls.Dial("tcp", proxy.Addr(), &tls.Config{InsecureSkipVerify: true}) // no secret is sent
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Once it has been asked something the API server closes a connection after 90 s only.
	request := http.Request{Method: "GET", URL: &url.URL{Scheme: "https", Host: server.Host, Path: "/livez"}}
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	from := bufio.NewReader(conn)
	response, err := http.ReadResponse(from, &request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.Close {
		t.Fatalf("the answer ended with %v, the connection with it: %t", err, response.Close)
	}
	before := time.Now()
	_ = conn.SetReadDeadline(before.Add(idleLimit + 20*time.Second))
	_, err = from.ReadByte()
	took := time.Since(before)
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || took < idleLimit-5*time.Second {
		t.Errorf("a silent connection ended after %v with: %v", took, err)
	}
}
