package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// TestGated: whatever comes before the mark's line, in whatever pieces, only the rest is shown.
func TestGated(t *testing.T) {
	for _, stream := range []string{
		"eshell x7k2p ready\neshell x7k2p 17\nall\nof it",
		"\r\neshell x7k2p ready\r\n\r\neshell x7k2p ready\r\ngo\r\neshell x7k2p 17\r\nall\nof it",
		"noise\neshell x7k2p ready\neshell x7k2p 17\nall\nof it",
	} {
		for size := 1; size <= len(stream); size++ {
			var out bytes.Buffer
			pid, ready := "", false
			g := &gated{Writer: &out, mark: "eshell x7k2p", ready: func() { ready = true }, opened: func(rest string) { pid += rest }}
			for rest := stream; rest != ""; rest = rest[min(size, len(rest)):] {
				piece := rest[:min(size, len(rest))]
				if n, err := g.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatalf("Write = %d, %v", n, err)
				}
			}
			if out.String() != "all\nof it" || pid != "17" || !ready {
				t.Errorf("in pieces of %d: showed %q, pid %q", size, out.String(), pid)
			}
		}
	}
}

// TestBacklog: what the log has and the stream has not comes first, what both have comes once.
func TestBacklog(t *testing.T) {
	tests := []struct{ name, log, held, want string }{
		{"nothing was held", "early\n", "", "early\n+later"},
		{"nothing was missed", "", "live\n", "live\n+later"},
		{"the log has both", "early\nlive\n", "live\n", "early\nlive\n+later"},
		{"the log lags", "early\nli", "live\n", "early\nlive\n+later"},
		{"they share nothing", "early\n", "live\n", "early\nlive\n+later"},
		{"the log has other line ends", "early\nlive\n", "live\r\n", "early\nlive\r\n+later"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			late := newBacklog(&out, false, func() []byte { return []byte(tt.log) })
			w := late.writer(&out)
			for _, piece := range strings.SplitAfter(tt.held, "v") {
				if _, err := io.WriteString(w, piece); err != nil {
					t.Fatal(err)
				}
			}
			late.catchUp()
			if _, err := io.WriteString(w, "+later"); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("showed %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// TestBacklogCatchesUp: what a command said between the log's reading and the runtime's attaching comes
// before what came through the stream, and what the log has beyond that comes through it.
func TestBacklogCatchesUp(t *testing.T) {
	for _, ahead := range []string{"early\nmeanwhile\nlive\n", "early\nmeanwhile\nli", "early\nmeanwhile\n", "early\nmeanwhile\nlive\nlater\n"} {
		var out bytes.Buffer
		log := "early\n"
		late := newBacklog(&out, false, func() []byte { return []byte(log) })
		late.catchUp()
		log = ahead
		for _, piece := range []string{"", "live\n", "later\n"} {
			if _, err := io.WriteString(late.writer(&out), piece); err != nil {
				t.Fatal(err)
			}
		}
		if want := "early\nmeanwhile\nlive\nlater\n"; out.String() != want {
			t.Errorf("with the log at %q: showed %q, want %q", ahead, out.String(), want)
		}
	}
}

// tooLate is a Streamer whose runtime has nothing to attach to any more.
type tooLate struct {
	Streamer
	open  bool   // the stream is, before that is noticed
	speak string // what comes through it
	err   error  // how it ends
}

func (l tooLate) Attach(_ context.Context, _ Container, streams remotecommand.StreamOptions) error {
	if l.open {
		_, _ = streams.Stdin.Read(make([]byte, 1))
	}
	if _, err := io.WriteString(streams.Stdout, l.speak); err != nil {
		return err
	}
	return l.err
}

// TestAttachTooLate: a command that ended before the runtime attached to it has lost nothing, whether or
// not the stream was open; one of which a part came through the stream has.
func TestAttachTooLate(t *testing.T) {
	gone, cut := errors.New("no running task found"), fmt.Errorf("error reading from error stream: %w", io.ErrUnexpectedEOF)
	tests := []struct {
		name   string
		stream tooLate
		input  string
		exit   int
		lost   bool
		shown  string
	}{
		{"not open", tooLate{err: gone}, "", 7, false, "fake logs"},
		{"open", tooLate{open: true, err: gone}, "", 7, false, "fake logs"},
		{"open, with input", tooLate{open: true, err: gone}, "typed", 7, false, "fake logs"},
		{"open, ended well", tooLate{open: true}, "typed", 7, false, "fake logs"},
		{"in use", tooLate{open: true, speak: "+half", err: gone}, "", 0, true, "fake logs+half"},
		{"cut before it was used", tooLate{open: true, err: cut}, "", 7, false, "fake logs"},
		{"cut with input on the way", tooLate{open: true, err: cut}, "typed", 0, true, "fake logs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "ns"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 7}}}}
			var out bytes.Buffer
			s := newSession(Config{Client: fake.NewClientset(pod), Streamer: tt.stream, Teller: &story{}, Stdin: strings.NewReader(tt.input), Stdout: &out, Stderr: io.Discard},
				&plan.Plan{Namespace: "ns", PodName: "x", Container: "app", Via: plan.ViaAttach})
			exit, err := s.runCommand(t.Context(), &podWatch{pod: pod})
			if exit != tt.exit || (err != nil) != tt.lost || out.String() != tt.shown {
				t.Errorf("exit status %d, error %v, output %q; want %d, %t, %q", exit, err, out.String(), tt.exit, tt.lost, tt.shown)
			}
		})
	}
}

// finished is a Streamer whose command says something, opens its gate, and may tell its end.
type finished struct {
	Streamer
	told string
	err  error // how the stream ends; nil after what is told: it does not end by itself
}

func (f finished) Attach(ctx context.Context, _ Container, streams remotecommand.StreamOptions) error {
	_, _ = io.WriteString(streams.Stdout, "eshell x 1\n") // the gate
	_, _ = io.WriteString(streams.Stderr, f.told)
	if f.told != "" && f.err == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.err
}

// TestAttachToldEnd: by attach too, a command that has told its end has ended with that, before the pod's
// status says so, unless its stream broke before it had ended.
func TestAttachToldEnd(t *testing.T) {
	cut := fmt.Errorf("error reading from error stream: %w", io.ErrUnexpectedEOF)
	tests := []struct {
		name      string
		stream    finished
		container int32
		exit      int
		err       string
	}{
		{"told, and cut by us", finished{told: "ended 3\n"}, -1, 3, ""},
		{"told, and broken", finished{told: "ended 3\n", err: cut}, -1, 0, "was lost before all of the output had come; the command's exit status was 3: "},
		{"not told", finished{}, 3, 0, "was lost before all of the output had come; the command's exit status was 3: the stream ended, and the command's end was not told"},
		{"not told, and the pod is gone", finished{}, -1, 0, "ended under the session: it was deleted by somebody else"},
		{"killed with all that could tell", finished{}, 137, 137, ""},
		{"killed, told and cut", finished{told: "ended 137\n"}, -1, 137, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
				if tt.container >= 0 {
					pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: tt.container}}}}
				}
				s := newSession(Config{Streamer: tt.stream, Teller: &story{}, StartTimeout: time.Minute, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard},
					&plan.Plan{Container: "app", Via: plan.ViaAttach, Gate: "eshell x", End: "ended "})
				watch := &podWatch{pod: pod, news: make(chan sighting, 1)}
				if strings.Contains(tt.err, "deleted") {
					watch.tell(sighting{err: errDeleted})
				}
				exit, err := s.runCommand(t.Context(), watch)
				if exit != tt.exit || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("exit status %d, error %v; want %d, %q", exit, err, tt.exit, tt.err)
				}
			})
		})
	}
}

// slow takes its time for each write.
type slow struct{ bytes.Buffer }

func (s *slow) Write(p []byte) (int, error) {
	<-time.After(2 * drainTime)
	return s.Buffer.Write(p)
}

// TestDraining: the stream of a command that has ended is cut when nothing has come for a while, and not
// while its reader takes what has.
func TestDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, cut := context.WithCancel(t.Context())
		out := &slow{}
		d := &draining{cut: cut, left: drainLimit}
		d.begin()
		for range 3 {
			if _, err := io.WriteString(d.writer(out), "more"); err != nil || stream.Err() != nil {
				t.Errorf("error %v, stream %v while it was read", err, stream.Err())
			}
		}
		<-time.After(drainTime - 1)
		synctest.Wait()
		if stream.Err() != nil {
			t.Error("it was cut too soon")
		}
		<-time.After(time.Nanosecond)
		synctest.Wait()
		if stream.Err() == nil || out.String() != "moremoremore" {
			t.Errorf("stream %v, after %q", stream.Err(), out)
		}
	})
}

// TestDrainingEnds: what a command left in the background does not keep its stream open for ever.
func TestDrainingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stream, cut := context.WithCancel(t.Context())
		d := &draining{cut: cut, left: drainLimit}
		d.begin()
		start := time.Now()
		for stream.Err() == nil && time.Since(start) < time.Hour {
			_, _ = io.WriteString(d.writer(io.Discard), "still here\n")
			<-time.After(drainTime / 2)
		}
		if took := time.Since(start); took > drainLimit+drainTime {
			t.Errorf("it was cut after %s", took)
		}
	})
}

// TestEnding: the line that tells the end is taken out, wherever it is and in whatever pieces, and
// nothing that only looks like its beginning is lost.
func TestEnding(t *testing.T) {
	const mark = "\x1eeshell x7k2p ended "
	tests := []struct {
		name, stream, want string
		status             int
	}{
		{"at the end", "err\n" + mark + "3\n", "err\n", 3},
		{"alone", mark + "0\n", "", 0},
		{"amid a background process's words", "a" + mark + "7\nb\n", "ab\n", 7},
		{"another record", "a\x1eeshell\n" + mark + "7\n", "a\x1eeshell\n", 7},
		{"never", "a\x1eeshell x7k2p", "a\x1eeshell x7k2p", -1},
	}
	for _, tt := range tests {
		for size := 1; size <= len(tt.stream); size++ {
			var out bytes.Buffer
			status := -1
			e := &ending{Writer: &out, mark: mark, ended: func(n int) { status = n }}
			for rest := tt.stream; rest != ""; rest = rest[min(size, len(rest)):] {
				if _, err := io.WriteString(e, rest[:min(size, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.flush(len(e.held)); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want || status != tt.status {
				t.Errorf("%s, in pieces of %d: showed %q, status %d; want %q, %d", tt.name, size, out.String(), status, tt.want, tt.status)
			}
		}
	}
}

// TestInput ends while a read of the real one waits for ever.
func TestInput(t *testing.T) {
	never, _ := io.Pipe()
	in := newInput(io.MultiReader(strings.NewReader("typed"), never))
	buffer := make([]byte, 16)
	if n, err := in.Read(buffer); string(buffer[:n]) != "typed" || err != nil {
		t.Fatalf("read %q, %v", buffer[:n], err)
	}
	in.end()
	if n, err := in.Read(buffer); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %q, %v", buffer[:n], err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatFailsEndsTheSession(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	if _, err := (&output{broken{}, stop}).Write([]byte("x")); err == nil {
		t.Fatal("no error")
	}
	var failure *OutputError
	if cause := context.Cause(ctx); !errors.As(cause, &failure) || !errors.Is(cause, syscall.ENOSPC) {
		t.Errorf("the cause is %v", cause)
	}
}
