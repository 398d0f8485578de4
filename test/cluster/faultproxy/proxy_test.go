package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// patience bounds waits that succeed at once unless something is broken.
const patience = 5 * time.Second

// silence is how long a test looks for bytes that must not come.
const silence = 50 * time.Millisecond

func TestForwardsAndHalfCloses(t *testing.T) {
	client := dial(t, start(t))
	say(t, client, "hello")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(client)
	if string(got) != "hello" || err != nil {
		t.Errorf("echo = %q, %v", got, err)
	}
}

func TestStallIsSilentAndResumeDelivers(t *testing.T) {
	proxy := start(t)
	client := dial(t, proxy)
	say(t, client, "a")
	hear(t, client, "a")
	proxy.Stall()
	say(t, client, "b")
	if n, err := readWithin(client, silence); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read during a stall = %d bytes, %v", n, err)
	}
	proxy.Resume()
	hear(t, client, "b")
}

func TestDropResetsAlsoWhileStalled(t *testing.T) {
	for name, prepare := range map[string]func(*Proxy){"flowing": func(*Proxy) {},
		"stalled": (*Proxy).Stall} {
		t.Run(name, func(t *testing.T) {
			proxy := start(t)
			client := dial(t, proxy)
			say(t, client, "a")
			hear(t, client, "a")
			prepare(proxy)
			proxy.Drop()
			if _, err := readWithin(client, patience); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read after a drop: %v", err)
			}
		})
	}
}

func TestRefuseKeepsOpenConnections(t *testing.T) {
	proxy := start(t)
	client := dial(t, proxy)
	say(t, client, "a")
	hear(t, client, "a")
	if err := proxy.Refuse(true); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", proxy.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial while refusing: %v", err)
	}
	say(t, client, "b")
	hear(t, client, "b")
	if err := proxy.Refuse(false); err != nil {
		t.Fatal(err)
	}
	again := dial(t, proxy)
	say(t, again, "c")
	hear(t, again, "c")
}

func TestUnreachableTargetResets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	client, err := net.Dial("tcp", startTo(t, listener.Addr().String()).Addr())
	if err == nil { // else the reset came so soon that it ended the dial
		defer client.Close()
		_, err = readWithin(client, patience)
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("dial and read: %v", err)
	}
}

func TestResetIsForwarded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := dial(t, startTo(t, listener.Addr().String()))
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_ = client.SetLinger(0)
	_ = client.Close()
	if _, err := readWithin(server, patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server reads: %v", err)
	}
}

func TestDelayAddsLatencyNotMore(t *testing.T) {
	const oneWay, size = 100 * time.Millisecond, 16 << 20
	proxy := start(t)
	proxy.Delay(oneWay)
	client := dial(t, proxy)
	before := time.Now()
	say(t, client, "x")
	hear(t, client, "x")
	if took := time.Since(before); took < 2*oneWay || took > 2*oneWay+patience/2 {
		t.Errorf("one byte there and back took %v", took)
	}
	before = time.Now()
	go func() { _, _ = client.Write(bytes.Repeat([]byte("x"), size)) }()
	if _, err := io.CopyN(io.Discard, client, size); err != nil {
		t.Fatal(err)
	}
	// One delay per 32 KiB would take 100 s.
	if took := time.Since(before); took > patience {
		t.Errorf("%d bytes there and back took %v", size, took)
	}
}

// TestDelayHandshake: a new connection costs one round trip more, and only once.
func TestDelayHandshake(t *testing.T) {
	const roundTrip = 400 * time.Millisecond
	proxy := start(t)
	proxy.Delay(roundTrip / 2)
	proxy.DelayHandshake(true)
	before := time.Now()
	client := dial(t, proxy)
	for _, want := range []time.Duration{2 * roundTrip, roundTrip} {
		say(t, client, "x")
		hear(t, client, "x")
		if took := time.Since(before); took < want || took > want+roundTrip*3/4 {
			t.Errorf("an answer came after %v, want %v", took, want)
		}
		before = time.Now()
	}
}

// TestCloseEndsAHandshake: a connection that is held does not hold up the proxy's end.
func TestCloseEndsAHandshake(t *testing.T) {
	proxy := start(t)
	proxy.Delay(time.Hour)
	proxy.DelayHandshake(true)
	client := dial(t, proxy)
	say(t, client, "x")
	if err := proxy.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := readWithin(client, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after close: %v", err)
	}
}

func TestTraffic(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	proxy := startTo(t, listener.Addr().String())
	client := dial(t, proxy)
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	talk := func() {
		say(t, client, "question")
		hear(t, server, "question")
		say(t, server, "yes")
		hear(t, client, "yes")
	}
	talk()
	expect(t, proxy, Traffic{Connections: 1, ToClient: 3, ToServer: 8})
	dial(t, proxy)
	expect(t, proxy, Traffic{Connections: 2, ToClient: 3, ToServer: 8})
	proxy.ResetTraffic()
	talk()
	expect(t, proxy, Traffic{ToClient: 3, ToServer: 8})
}

// expect waits for what is counted right after it has arrived.
func expect(t *testing.T, proxy *Proxy, want Traffic) {
	t.Helper()
	for end := time.Now().Add(patience); proxy.Traffic() != want; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("counted %+v, want %+v", proxy.Traffic(), want)
		}
	}
}

func TestRate(t *testing.T) {
	const size, rate = 1 << 20, 1 << 20
	proxy := start(t)
	proxy.Rate(rate)
	client := dial(t, proxy)
	before := time.Now()
	go func() { _, _ = client.Write(bytes.Repeat([]byte("x"), size)) }()
	if _, err := io.CopyN(io.Discard, client, size); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took < 900*time.Millisecond || took > 2*time.Second+patience/2 {
		t.Errorf("%d bytes at %d a second took %v there and back", size, rate, took)
	}
}

func TestIdleTimeoutClosesOnlyTheIdle(t *testing.T) {
	const idle = time.Second
	proxy := start(t)
	client := dial(t, proxy)
	say(t, client, "a")
	hear(t, client, "a")
	proxy.IdleTimeout(idle)
	for before := time.Now(); time.Since(before) < 2*idle; {
		say(t, client, "b")
		hear(t, client, "b")
	}
	before := time.Now()
	if _, err := readWithin(client, patience); !errors.Is(err, io.EOF) {
		t.Errorf("read from an idle connection: %v", err)
	}
	if took := time.Since(before); took < idle/2 {
		t.Errorf("closed after %v", took)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	proxy := start(t)
	client := dial(t, proxy)
	say(t, client, "a")
	hear(t, client, "a")
	proxy.Stall()
	if err := proxy.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := readWithin(client, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after close: %v", err)
	}
	if n := proxy.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// start makes a proxy before a server that echoes.
func start(t *testing.T) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go echo(listener)
	return startTo(t, listener.Addr().String())
}

func startTo(t *testing.T, target string) *Proxy {
	t.Helper()
	proxy, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	return proxy
}

func echo(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}

func dial(t *testing.T, proxy *Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
	_ = conn.SetReadDeadline(time.Time{})
}

func readWithin(conn net.Conn, d time.Duration) (int, error) {
	if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	return conn.Read(make([]byte, 1))
}
