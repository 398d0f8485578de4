package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/remotecommand"
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
		s := newSpool(out, func(err error) { t.Error(err) })
		w := spoolWriter{t.Context(), s}
		piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
		written := 0
		go func() {
			for range 20 {
				if _, err := w.Write(piece); err != nil {
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
		<-until
		synctest.Wait()
		if err := s.end(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); written != 20 || out.Len() != 20*len(piece) || took != 10*time.Minute {
			t.Errorf("%d pieces, %d bytes after %s", written, out.Len(), took)
		}
		if !bytes.Equal(out.Bytes(), bytes.Repeat(piece, 20)) {
			t.Error("they are in another order")
		}
	})
}

// TestSpoolEnds: neither a writer nor the end waits longer than its context, nor for a reader that has gone.
func TestSpoolEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		signal := errors.New("a signal")
		never := make(chan struct{})
		s := newSpool(&paused{until: never}, func(err error) { t.Error(err) })
		w := spoolWriter{ctx, s}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		synctest.Wait() // until the reader has it
		if _, err := w.Write(make([]byte, mostSpooled)); err != nil {
			t.Error(err)
		}
		time.AfterFunc(time.Hour, func() { cancel(signal) })
		began := time.Now()
		if _, err := w.Write([]byte("x")); !errors.Is(err, signal) || time.Since(began) != time.Hour {
			t.Errorf("error %v after %s, want the signal after an hour", err, time.Since(began))
		}
		if err := s.end(ctx); !errors.Is(err, signal) {
			t.Errorf("error %v, want the signal", err)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("it takes more after the end")
		}
		close(never)
	})
	var failure *OutputError
	told := make(chan error, 1)
	gone := newSpool(broken{}, func(err error) { told <- err })
	if _, err := (spoolWriter{t.Context(), gone}).Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if err := gone.end(t.Context()); !errors.As(err, &failure) || !errors.As(<-told, &failure) {
		t.Errorf("error %v, want an OutputError, which was told", err)
	}
	if _, err := (spoolWriter{t.Context(), gone}).Write([]byte("x")); !errors.As(err, &failure) {
		t.Errorf("error %v, want an OutputError", err)
	}
}

// TestSpoolIsRead: what has been read is not lost to a signal that comes afterwards.
func TestSpoolIsRead(t *testing.T) {
	for range 100 {
		s := newSpool(io.Discard, func(err error) { t.Error(err) })
		if err := s.end(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.end(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlush: a command that has ended is not kept by its reader, who gets all of the output.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := make(chan struct{})
		out := &paused{until: until}
		u := User{Out: out, Err: io.Discard}
		began := time.Now()
		err := u.Connect(t.Context(), func(err error) { t.Error(err) },
			func(o remotecommand.StreamOptions) error {
				_, err := io.WriteString(o.Stdout, "all of it")
				return err
			})
		if took := time.Since(began); err != nil || took != readTime {
			t.Errorf("error %v after %s", err, took)
		}
		time.AfterFunc(time.Hour, func() { close(until) })
		if err := u.Flush(t.Context()); err != nil || out.String() != "all of it" {
			t.Errorf("error %v, output %q", err, out.String())
		}
	})
}

// TestSpoolPieces: what waits arrives in order, and takes little more memory than it is long, even if it
// comes byte by byte.
func TestSpoolPieces(t *testing.T) {
	for _, length := range []int{1, spoolPiece - 1, spoolPiece, 32 << 10} {
		synctest.Test(t, func(t *testing.T) {
			until := make(chan struct{})
			out := &paused{until: until}
			s := newSpool(out, func(err error) { t.Error(err) })
			var sent []byte
			for n := byte(0); len(sent) < 1<<20; n++ {
				piece := bytes.Repeat([]byte{n}, length)
				if _, err := (spoolWriter{t.Context(), s}).Write(piece); err != nil {
					t.Fatal(err)
				}
				sent = append(sent, piece...)
			}
			synctest.Wait()
			room := 0
			for _, piece := range s.held {
				room += cap(piece)
			}
			if room > 2*len(sent) {
				t.Errorf("%d bytes in writes of %d take %d", len(sent), length, room)
			}
			close(until)
			if err := s.end(t.Context()); err != nil || !bytes.Equal(out.Bytes(), sent) {
				t.Errorf("error %v, %d of %d bytes, or in another order", err, out.Len(), len(sent))
			}
		})
	}
}
