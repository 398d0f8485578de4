package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/stream"
)

// container is a stream.Client of one that has a command behind a gate, with PID 12 and watchdog 34.
type container struct {
	mu    sync.Mutex
	hangs int           // so many relays take signs of life and pass none on
	late  time.Duration // how long each relay takes to open
	beats int
	execs []string // what else was exec'd: a script's name and its arguments
}

func (c *container) Attach(context.Context, stream.Container, remotecommand.StreamOptions) error {
	return errors.New("nothing to attach to")
}

func (c *container) Exec(ctx context.Context, _ stream.Container, words []string,
	streams remotecommand.StreamOptions) error {
	switch name := words[3]; name {
	case gateName:
		return c.run(ctx, words[5], streams)
	case relayName:
		c.add(words[3:])
		select {
		case <-time.After(c.late):
		case <-ctx.Done():
			return ctx.Err()
		}
		go func() {
			<-ctx.Done()
			_ = streams.Stdin.(io.Closer).Close()
		}()
		c.mu.Lock()
		c.hangs--
		hangs := c.hangs >= 0
		c.mu.Unlock()
		for buffer := make([]byte, 1); ; {
			if _, err := streams.Stdin.Read(buffer); err != nil {
				return ctx.Err()
			}
			if hangs {
				continue
			}
			c.mu.Lock()
			c.beats++
			c.mu.Unlock()
			_, _ = io.WriteString(streams.Stdout, "\n")
		}
	default:
		c.add(words[3:])
		return nil
	}
}

// run opens the gate when it is told to, and runs a command for 9 s.
func (c *container) run(ctx context.Context, mark string, streams remotecommand.StreamOptions) error {
	lines := bufio.NewScanner(streams.Stdin)
	for n := 0; lines.Scan() && lines.Text() != tellGo; n++ {
		if n > 0 { // the first answer is lost
			_, _ = io.WriteString(streams.Stdout, "of the image\n"+mark+" ready\n")
		}
	}
	if lines.Text() != tellGo {
		return errors.New("the gate was not opened")
	}
	_, _ = io.WriteString(streams.Stdout, mark+" 12 34\nits own\n")
	select {
	case <-time.After(9 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *container) add(words []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.execs = append(c.execs, strings.Join(words, " "))
}

// TestClientOfAGate: it opens the gate, shows only what is the command's, and gives signs of life to the
// watchdog: one at once and one each 2 s. It can end the command.
func TestClientOfAGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a, out := &container{},
			Join(Options{Session: "x7k2p", HeartbeatTimeout: 16 * time.Second, TTY: true}), &bytes.Buffer{}
		client := NewClient(&a, c, stream.Container{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := client.Exec(ctx, remotecommand.StreamOptions{Stdout: out, Tty: true},
			func() string { return "" })
		if err != nil || out.String() != "its own\n" || !client.IsOpen() || client.WasSilent() {
			t.Errorf("error %v, output %q, open %t, silent %t", err, out, client.IsOpen(), client.WasSilent())
		}
		if err := client.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		cancel()
		synctest.Wait()
		if want := []string{relayName + " 34", killName + " 12 34"}; !slices.Equal(c.execs, want) ||
			c.beats != 5 {
			t.Errorf("%d signs of life, exec'd %q; want 5, %q", c.beats, c.execs, want)
		}
	})
}

// TestRelayThatHangs: one that passes no signs of life on is given up for another, long before the watchdog
// would end the command.
func TestRelayThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := &container{hangs: 1}, Join(Options{Session: "x7k2p", HeartbeatTimeout: 16 * time.Second, TTY: true})
		client := NewClient(&a, c, stream.Container{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := client.Exec(ctx, remotecommand.StreamOptions{Stdout: io.Discard, Tty: true},
			func() string { return "" })
		cancel()
		synctest.Wait()
		// It hangs for 4 s, and of the 9 s there are signs of life at 4, 6 and 8.
		if want := []string{relayName + " 34", relayName + " 34"}; err != nil || client.WasSilent() ||
			!slices.Equal(c.execs, want) || c.beats != 3 {
			t.Errorf("error %v, silent %t, %d signs of life, exec'd %q; want 3, %q", err, client.WasSilent(),
				c.beats, c.execs, want)
		}
	})
}

// TestRelayThatOpensLate: a node that takes longer to answer than the watchdog waits is asked again
// meanwhile, but no request is given up for that. Once one works, there is no other.
func TestRelayThatOpensLate(t *testing.T) {
	for _, late := range []time.Duration{3 * time.Second, 5 * time.Second, 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c, a := &container{late: late}, Join(Options{Session: "x7k2p", HeartbeatTimeout: 16 * time.Second,
				TTY: true})
			client := NewClient(&a, c, stream.Container{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			client.throughGate(ctx, &remotecommand.StreamOptions{Stdout: io.Discard}, func() string { return "" })
			client.gate.hear()
			go client.relayHeartbeats(ctx, "34")
			<-time.After(60*time.Second + time.Millisecond)
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			want := int((60*time.Second - late) / (2 * time.Second))
			if c.beats < want || c.beats > want+3 || client.WasSilent() || len(c.execs) > mostRelays {
				t.Errorf("opened after %s: %d signs of life, want %d; silent %t, %d relays", late, c.beats, want,
					client.WasSilent(), len(c.execs))
			}
		})
	}
}

// TestLineReader: only the whole line is the answer, however it arrives; what an application writes into its
// container's log is not.
func TestLineReader(t *testing.T) {
	for _, tt := range []struct {
		parts []string
		read  int
	}{
		{[]string{"staying\n"}, 1},
		{[]string{"sta", "ying", "\nmore"}, 1},
		{[]string{"GET /\nstaying\nGET /\n"}, 1},
		{[]string{"staying"}, 0},
		{[]string{"not staying\n", "staying here\n", "\n"}, 0},
		{[]string{strings.Repeat("x", 100), "staying\n"}, 0},
	} {
		read := 0
		r := &lineReader{line: staying, read: func() { read++ }}
		for _, part := range tt.parts {
			if n, err := r.Write([]byte(part)); n != len(part) || err != nil {
				t.Errorf("%q: wrote %d, %v", part, n, err)
			}
		}
		if read != tt.read {
			t.Errorf("%q: read %d times, want %d", tt.parts, read, tt.read)
		}
	}
}

// machine is a stream.Client whose commands run on this machine, as they would in a container.
type machine struct{ stream.Client }

func (machine) Exec(ctx context.Context, _ stream.Container, words []string,
	streams remotecommand.StreamOptions) error {
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = append(os.Environ(), ScriptsVariable+"="+AllScripts())
	cmd.Stdout, cmd.Stderr = streams.Stdout, streams.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(stdin, streams.Stdin)
		stdin.Close()
	}()
	if err := cmd.Run(); err != nil {
		return utilexec.CodeExitError{Err: err, Code: cmd.ProcessState.ExitCode()}
	}
	return nil
}

// TestExec: whatever surrounds a command, its input, its output and its status are its own.
func TestExec(t *testing.T) {
	for _, env := range [][]Variable{nil, {{"GREETING", "hello\nworld"}}} {
		for _, input := range []io.Reader{nil, strings.NewReader("typed\n")} {
			for name, agent := range map[string]func(Options) Agent{"new": New, "join": Join} {
				a := agent(Options{Session: "x7k2p", Via: ViaExec, HeartbeatTimeout: time.Minute, Env: env,
					Stdin: input != nil, Command: []string{"sh", "-c", `cat; printf "$GREETING"; echo no >&2; exit 7`}})
				if name == "join" && env != nil {
					continue // it gets none
				}
				var out, errs strings.Builder
				told, err := NewClient(&a, machine{}, stream.Container{}).Exec(t.Context(),
					remotecommand.StreamOptions{Stdin: input, Stdout: &out, Stderr: &errs}, func() string { return "" })
				want := ""
				if input != nil {
					want = "typed\n"
				}
				if env != nil {
					want += "hello\nworld"
				}
				var exit utilexec.CodeExitError
				if told == nil || *told != 7 || !errors.As(err, &exit) || exit.Code != 7 ||
					out.String() != want || errs.String() != "no\n" {
					t.Errorf("%s, %d variables, input %t: told %v, error %v, stdout %q, want %q, stderr %q", name,
						len(env), input != nil, told, err, out.String(), want, errs.String())
				}
				if input != nil {
					_, _ = input.(*strings.Reader).Seek(0, io.SeekStart)
				}
			}
		}
	}
}

// played is a stream.Client of a container in which a function plays the command.
type played struct {
	stream.Client
	play func(ctx context.Context, streams remotecommand.StreamOptions) error
}

func (p played) Exec(ctx context.Context, _ stream.Container, _ []string,
	streams remotecommand.StreamOptions) error {
	return p.play(ctx, streams)
}

func (p played) Attach(ctx context.Context, _ stream.Container, streams remotecommand.StreamOptions) error {
	return p.play(ctx, streams)
}

// TestInputEndsWithTheOutput: the input of a command without input ends when both of its streams have
// reported its end, and not before: the command's process waits for that.
func TestInputEndsWithTheOutput(t *testing.T) {
	const id = "0f1e2d3c-0f1e-4d3c-8b4a-0f1e2d3c4b5a"
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		a := New(Options{Session: "x7k2p", Via: ViaExec, HeartbeatTimeout: time.Minute, Command: []string{"report"}})
		c := NewClient(&a, played{play: func(ctx context.Context, streams remotecommand.StreamOptions) error {
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, streams.Stdin)
				close(ended)
			}()
			// A report that was tried again may come twice.
			_, _ = io.WriteString(streams.Stderr, a.endTag+id+"\n"+endMark(id)+"3\n"+endMark(id)+"3\n")
			select {
			case <-ended:
				t.Error("the input ended before all of the output had come")
			case <-time.After(drainLimit - 1):
			}
			_, _ = io.WriteString(streams.Stdout, a.endTag+id+"\nlast"+endMark(id)+"3\n")
			select {
			case <-ended:
			case <-ctx.Done():
				t.Error("the input did not end")
			}
			return io.ErrUnexpectedEOF // nothing is lost by that
		}}, stream.Container{})
		told, err := c.Exec(t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: io.Discard},
			func() string { return "" })
		if told == nil || *told != 3 || err != nil || out.String() != "last" {
			t.Errorf("told %v, error %v, stdout %q", told, err, out.String())
		}
	})
}

// TestAwaitHolder: a holder's stream may open late, but not for ever.
func TestAwaitHolder(t *testing.T) {
	for _, late := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			a := New(Options{Session: "x7k2p", Via: ViaExec, HeartbeatTimeout: time.Minute})
			opensLate := func(ctx context.Context, streams remotecommand.StreamOptions) error {
				select {
				case <-time.After(late):
				case <-ctx.Done():
					return ctx.Err()
				}
				_, _ = io.Copy(io.Discard, streams.Stdin)
				return nil
			}
			c := NewClient(&a, played{play: opensLate}, stream.Container{})
			c.AwaitHolder(t.Context()) // there is none
			c.AttachHolder(t.Context())
			began := time.Now()
			limited, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c.AwaitHolder(limited)
			if took := time.Since(began); took != min(late, time.Minute) {
				t.Errorf("it waited %s for a stream that opens after %s", took, late)
			}
			stopping, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			_ = c.Stop(stopping) // or the stream lasts as long as the test
		})
	}
}
