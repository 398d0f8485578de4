package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// Without a terminal there is none to give; only who asks for one is told. What a real terminal
// gets is tested end to end, on a real one.
func TestUseTTYWithoutATerminal(t *testing.T) {
	const warning = "warning: stdin is not a terminal: the command runs without one\n"
	on, off := true, false
	tests := []struct {
		name string
		o    Options
		told string
	}{
		{"by default", Options{}, ""},
		{"asked for", Options{Stdin: &on, TTY: &on}, warning},
		{"asked for, quietly", Options{Stdin: &on, TTY: &on, Quiet: true}, warning},
		{"asked for without stdin", Options{Stdin: &off, TTY: &on},
			"warning: a terminal needs stdin, and --stdin is false: the command runs without one\n"},
		{"refused", Options{TTY: &off}, ""},
		{"keys that leave it, by default", Options{DetachKeys: []byte{16, 17}}, ""},
		{"keys that leave it", Options{DetachKeys: []byte{16, 17}, Typed: []string{"detach-keys"}},
			"warning: --detach-keys has no effect: the command runs without a terminal\n"},
		{"no keys", Options{Typed: []string{"detach-keys"}}, ""},
	}
	for _, tt := range tests {
		var told strings.Builder
		streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: &told}
		got := useTTY(tt.o, !is(tt.o.Stdin, false), &streams, newPrinter(&told, tt.o.Quiet))
		if got || told.String() != tt.told {
			t.Errorf("%s: a terminal, or told %q; want none and %q", tt.name, told.String(), tt.told)
		}
	}
}

// TestReadsStdin: every way that stdin can be without a terminal, for a shell and for a command. What is on a
// terminal is tested end to end.
func TestReadsStdin(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	closed, _, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	file, err := os.Open("run_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const warning = "warning: stdin is not passed to the command: -i passes it, and -i=false leaves it without this warning\n"
	on, off := true, false
	command := plan.Options{Command: []string{"cat"}}
	for _, tt := range []struct {
		name string
		o    Options
		in   io.Reader
		want bool
		told string
	}{
		{"a shell, a pipe", Options{}, strings.NewReader("x"), true, ""},
		{"a shell, a file", Options{}, file, true, ""},
		{"a shell, nothing", Options{}, null, true, ""},
		{"a shell without", Options{Stdin: &off}, file, false, ""},
		{"a command, a pipe", Options{Plan: command}, strings.NewReader("x"), false, warning},
		{"a command, a file", Options{Plan: command}, file, false, warning},
		{"a command, a file, quietly", Options{Plan: command, Quiet: true}, file, false, warning},
		{"a command, nothing", Options{Plan: command}, null, false, ""},
		{"a command, closed", Options{Plan: command}, closed, false, ""},
		{"a command with a file", Options{Plan: command, Stdin: &on}, file, true, ""},
		{"a command without", Options{Plan: command, Stdin: &off}, file, false, ""},
		{"a manifest", Options{Plan: command, Filename: "-"}, file, false, ""},
		{"detached", Options{Plan: plan.Options{Detach: true}}, file, false, ""},
	} {
		var told strings.Builder
		streams := genericiooptions.IOStreams{In: tt.in, Out: io.Discard, ErrOut: &told}
		got := tt.o.readsStdin(streams, newPrinter(&told, tt.o.Quiet))
		if got != tt.want || told.String() != tt.told {
			t.Errorf("%s: %t, told %q; want %t, %q", tt.name, got, told.String(), tt.want, tt.told)
		}
	}
	in := strings.NewReader("")
	if got := stdin(false, in); got != nil {
		t.Errorf("without stdin: %v, want nil: not a stream that is empty", got)
	}
}

// What was asked for is what is looked for.
func TestQuery(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.yaml")
	if err := os.WriteFile(file, []byte("kind: Pod"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := workload.Reference{Kind: "Deployment", Name: "api"}
	tests := []struct {
		name string
		o    Options
		want workload.Query
	}{
		{"a clone", Options{Reference: api, Mode: plan.ModeClone, Container: "app"},
			workload.Query{Reference: api, Container: "app"}},
		{"a running pod", Options{Reference: api, Mode: plan.ModeDebug},
			workload.Query{Reference: api, Live: true}},
		{"of a revision", Options{Reference: api, Revision: 3}, workload.Query{Reference: api, Revision: 3}},
		{"pinned", Options{Reference: api, Plan: plan.Options{Pin: true}},
			workload.Query{Reference: api, Running: true}},
		{"with claims", Options{Reference: api,
			Plan: plan.Options{Components: plan.Components{Ordinal: new(2)}}},
			workload.Query{Reference: api, Ordinal: new(2)}},
		{"from a file", Options{Filename: file}, workload.Query{Manifest: []byte("kind: Pod")}},
		{"from stdin", Options{Filename: "-"}, workload.Query{Manifest: []byte("kind: Job")}},
	}
	for _, tt := range tests {
		tt.want.Namespace, tt.want.EnforceNamespace = "shop", true
		c := connection{namespace: "shop", enforceNamespace: true}
		if got, err := tt.o.query(t.Context(), c, strings.NewReader("kind: Job")); err != nil || !reflect.DeepEqual(got,
			tt.want) {
			t.Errorf("%s: error %v, query\n%+v, want\n%+v", tt.name, err, got, tt.want)
		}
	}
}

func TestReadManifestFails(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		file  string
		stdin io.Reader
		want  string
	}{
		{folder + "/none", nil, "manifest: open " + folder + "/none: no such file or directory"},
		{folder, nil, "manifest: read " + folder + ": is a directory"},
		{empty, nil, "manifest " + empty + " is empty"},
		{"-", strings.NewReader(""), "manifest stdin is empty"},
		{"-", strings.NewReader(strings.Repeat("a", maxManifest+1)), "manifest stdin is longer than 16Mi"},
		{"-", iotest.ErrReader(errors.New("no luck")), "manifest stdin: no luck"},
	}
	for _, tt := range tests {
		got, err := readManifest(t.Context(), tt.file, tt.stdin)
		if err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%d bytes, error %v; want %s", len(got), err, tt.want)
		}
	}
}

// What a clone asks at once is not held back here, whatever the kubeconfig is like.
func TestConnectIsNotThrottled(t *testing.T) {
	flags := genericclioptions.NewConfigFlags(false)
	*flags.APIServer, *flags.Namespace = "https://127.0.0.1:1", "shop"
	c, err := connect(t.Context(), flags, newPrinter(io.Discard, false))
	if err != nil {
		t.Fatal(err)
	}
	limiter := c.cluster.Client.CoreV1().RESTClient().GetRateLimiter()
	for range burst {
		if !limiter.TryAccept() {
			t.Fatal("fewer requests at once than a clone may need")
		}
	}
	if limiter.QPS() != requestsPerSecond || c.namespace != "shop" || !c.enforceNamespace {
		t.Errorf("%v requests a second, namespace %q (enforced: %t)", limiter.QPS(), c.namespace,
			c.enforceNamespace)
	}
	if _, err := c.cluster.Dynamic(); err != nil {
		t.Errorf("the dynamic client: %v", err)
	}
}
