package session

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

// hold attaches to the holder. The stream outlives ctx: it is clean-up that ends it.
func hold(ctx context.Context, streamer Streamer, c Container, every time.Duration) *holder {
	in, beats := io.Pipe()
	h := &holder{beats: beats, ended: make(chan struct{})}
	go func() {
		defer close(h.ended)
		// stdout is asked for although the holder prints nothing: its end is the end of the
		// container, a stream of stdin alone ends with its own input.
		h.err = streamer.Attach(context.WithoutCancel(ctx), c, remotecommand.StreamOptions{Stdin: in, Stdout: io.Discard})
		in.Close()
	}()
	go beat(beats, every, h.ended)
	return h
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

// end tells the holder that the session is over, and waits until it is gone with its container.
func (h *holder) end(ctx context.Context) error {
	h.beats.Close()
	select {
	case <-h.ended:
		return h.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hasEnded reports whether the holder ends within patience.
func (h *holder) hasEnded(patience time.Duration) bool {
	select {
	case <-h.ended:
		return true
	case <-time.After(patience):
		return false
	}
}
