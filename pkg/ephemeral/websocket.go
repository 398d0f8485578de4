package ephemeral

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	wire "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/websocket"
)

// The first byte of a message names its channel, in v5.channel.k8s.io (KEP-4006):
// https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
const (
	toStdin = iota
	fromStdout
	fromStderr
	fromStatus
	toResize
	toClose = 255 // the next byte is the channel to close
)

const (
	pingInterval = 5 * time.Second
	pongTimeout  = time.Minute // for an answer of any kind
	writeTimeout = time.Minute
)

// overWebSocket carries one stream over a WebSocket. client-go's executor cannot be used: it does not
// distinguish a stream that was closed without a status from a command that has succeeded.
func overWebSocket(ctx context.Context, config *rest.Config, address *url.URL,
	streams remotecommand.StreamOptions) (int, error) {
	transport, holder, err := websocket.RoundTripperFor(config)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return 0, err
	}
	conn, err := websocket.Negotiate(transport, holder, request, wire.StreamProtocolV5Name)
	if err != nil {
		return 0, err
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	context.AfterFunc(ctx, func() { conn.Close() })
	s := &socket{conn: conn}
	go s.keepAlive(ctx)
	if streams.Stdin != nil {
		go s.sendInput(ctx, streams.Stdin)
	}
	if streams.TerminalSizeQueue != nil && streams.Tty {
		go s.sendSizes(ctx, streams.TerminalSizeQueue)
	}
	status, err := s.receive(streams)
	if err != nil {
		return 0, err
	}
	return exitStatus(status)
}

// socket is a WebSocket with one reader and several writers.
type socket struct {
	conn    *gorilla.Conn
	writing sync.Mutex
}

func (s *socket) send(channel byte, data []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return s.conn.WriteMessage(gorilla.BinaryMessage, append([]byte{channel}, data...))
}

// sendInput sends the input and its end. What is read when the stream is over is lost.
func (s *socket) sendInput(ctx context.Context, input io.Reader) {
	buffer := make([]byte, 32<<10)
	for ctx.Err() == nil {
		n, err := input.Read(buffer)
		if n > 0 && s.send(toStdin, buffer[:n]) != nil {
			return
		}
		if err != nil {
			_ = s.send(toClose, []byte{toStdin})
			return
		}
	}
}

func (s *socket) sendSizes(ctx context.Context, sizes remotecommand.TerminalSizeQueue) {
	for ctx.Err() == nil {
		size := sizes.Next()
		if size == nil {
			return
		}
		if data, err := json.Marshal(size); err != nil || s.send(toResize, data) != nil {
			return
		}
	}
}

// keepAlive pings the server, so that a connection that is lost without a word ends.
func (s *socket) keepAlive(ctx context.Context) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = s.conn.WriteControl(gorilla.PingMessage, nil, time.Now().Add(writeTimeout))
		}
	}
}

// receive writes the output until the connection ends, and returns the status that has come.
func (s *socket) receive(streams remotecommand.StreamOptions) (status []byte, err error) {
	outputs := map[byte]io.Writer{fromStdout: streams.Stdout, fromStderr: streams.Stderr}
	awaitAnswer := func(string) error { return s.conn.SetReadDeadline(time.Now().Add(pongTimeout)) }
	s.conn.SetPongHandler(awaitAnswer)
	for {
		_ = awaitAnswer("") // from now: the last write may have taken long
		_, message, err := s.conn.ReadMessage()
		switch {
		case err != nil && len(status) > 0:
			return status, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrNoStatus, err)
		case len(message) < 2: // the server opens each channel with an empty message
			continue
		}
		if message[0] == fromStatus {
			status = append(status, message[1:]...)
		} else if output := outputs[message[0]]; output != nil {
			if _, err := output.Write(message[1:]); err != nil {
				return nil, fmt.Errorf("write the output: %w", err)
			}
		}
	}
}

// exitStatus returns the exit status in the server's last message, or the error in it.
func exitStatus(message []byte) (int, error) {
	var status metav1.Status
	if err := json.Unmarshal(message, &status); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoStatus, err)
	}
	if status.Status == metav1.StatusSuccess {
		return 0, nil
	}
	if status.Reason == wire.NonZeroExitCodeReason && status.Details != nil {
		for _, cause := range status.Details.Causes {
			if cause.Type == wire.ExitCodeCauseType {
				code, err := strconv.Atoi(cause.Message)
				if err != nil {
					return 0, fmt.Errorf("%w: %w", ErrNoStatus, err)
				}
				return code, nil
			}
		}
	}
	return 0, errors.New(status.Message)
}
