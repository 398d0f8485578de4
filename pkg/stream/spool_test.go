package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// paused is a reader that takes nothing for a while.
type paused struct {
	bytes.Buffer
	until <-chan struct{}
}

func (p *paused) Write(text []byte) (int, error) {
	<-p.until
	return p.Buffer.Write(text)
}

// TestSpool: a reader that pauses stops nobody until there is no more room, and gets all of it in the end.
func TestSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		out := &paused{until: until}
		s := newSpool(t.Context(), out)
		piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
		written := 0
		go func() {
			for range 20 {
				if _, err := s.Write(piece); err != nil {
					t.Error(err)
				}
				written++
			}
		}()
		synctest.Wait()
		if most := mostSpooled/len(piece) + 1; written < most-1 || written > most {
			t.Errorf("%d pieces were taken, want %d", written, most)
		}
		time.AfterFunc(10*time.Minute, func() { close(until) })
		began := time.Now()
		time.AfterFunc(time.Minute, func() {
			if out.Len() > 0 {
				t.Error("the reader does not pause")
			}
		})
		<-until
		synctest.Wait()
		s.end()
		if took := time.Since(began); written != 20 || out.Len() != 20*len(piece) || took != 10*time.Minute {
			t.Errorf("%d pieces, %d bytes after %s", written, out.Len(), took)
		}
		if !bytes.Equal(out.Bytes(), bytes.Repeat(piece, 20)) {
			t.Error("they are in another order")
		}
	})
}

// TestSpoolEnds: neither a writer nor the end waits longer than the context, nor for a reader that has gone.
func TestSpoolEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		signal := errors.New("a signal")
		never := make(chan struct{})
		s := newSpool(ctx, Interruptible(ctx, &paused{until: never}))
		if _, err := io.WriteString(s, "x"); err != nil {
			t.Error(err)
		}
		time.AfterFunc(time.Hour, func() { cancel(signal) })
		began := time.Now()
		s.end()
		if took := time.Since(began); took != time.Hour {
			t.Errorf("it ended after %s", took)
		}
		synctest.Wait()
		if _, err := io.WriteString(s, "x"); !errors.Is(err, signal) {
			t.Errorf("error %v, want the signal", err)
		}
		close(never)
	})
	gone := newSpool(t.Context(), broken{})
	_, _ = io.WriteString(gone, "x")
	gone.end()
	if _, err := io.WriteString(gone, "x"); err == nil {
		t.Error("what nobody takes is taken")
	}
}
