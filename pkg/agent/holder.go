package agent

import (
	"context"
	"io"
	"time"

	"k8s.io/client-go/tools/remotecommand"
)

// holder is the client's end of the holder in the container: as long as it is attached and gives
// signs of life, the session lives.
type holder struct {
	beats *io.PipeWriter
	ended chan struct{} // closed when the stream has ended
	err   error         // how; read it after ended
}

// AttachHolder attaches to the holder. The stream outlives ctx: it is Stop that ends it.
func (c *Client) AttachHolder(ctx context.Context) {
	in, beats := io.Pipe()
	h := &holder{beats: beats, ended: make(chan struct{})}
	go func() {
		defer close(h.ended)
		// stdout is asked for although the holder prints nothing: its end is the end of the
		// container, a stream of stdin alone ends with its own input.
		streams := remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard}
		h.err = c.streams.Attach(context.WithoutCancel(ctx), c.container, streams)
		in.Close()
	}()
	go beat(beats, c.HeartbeatInterval(), h.ended)
	c.holder = h
}

// HolderEnded reports whether the holder's stream ends within a time, and how.
func (c *Client) HolderEnded(within time.Duration) (bool, error) {
	select {
	case <-c.holder.ended:
		return true, c.holder.err
	case <-time.After(within):
		return false, nil
	}
}

// stop tells the holder that the session is over, and waits until it is gone with its container.
func (h *holder) stop(ctx context.Context) error {
	h.beats.Close()
	select {
	case <-h.ended:
		return h.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beat gives a sign of life now and then, until the stream has ended.
func beat(beats io.Writer, every time.Duration, ended <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if _, err := io.WriteString(beats, "\n"); err != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ended:
			return
		}
	}
}
