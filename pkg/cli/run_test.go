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
		{"by default", Options{Stdin: true}, ""},
		{"asked for", Options{Stdin: true, TTY: &on}, warning},
		{"asked for, quietly", Options{Stdin: true, TTY: &on, Quiet: true}, warning},
		{"asked for without stdin", Options{TTY: &on},
			"warning: a terminal needs stdin, and --stdin is false: the command runs without one\n"},
		{"refused", Options{Stdin: true, TTY: &off}, ""},
	}
	for _, tt := range tests {
		var told strings.Builder
		streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: &told}
		if useTTY(tt.o, &streams, newPrinter(&told, tt.o.Quiet)) || told.String() != tt.told {
			t.Errorf("%s: a terminal, or told %q; want none and %q", tt.name, told.String(), tt.told)
		}
	}
}

func TestStdin(t *testing.T) {
	in := strings.NewReader("")
	if got := stdin(Options{Stdin: true}, in); got != in {
		t.Errorf("with -i: %v, want the stream", got)
	}
	if got := stdin(Options{}, in); got != nil {
		t.Errorf("with -i=false: %v, want nil: not a stream that is empty", got)
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
	if c.config.QPS != requestsPerSecond || c.config.Burst != burst || c.namespace != "shop" ||
		!c.enforceNamespace {
		t.Errorf("%v requests a second, %d at once, namespace %q (enforced: %t)", c.config.QPS,
			c.config.Burst, c.namespace, c.enforceNamespace)
	}
	if _, err := c.cluster.Dynamic(); err != nil {
		t.Errorf("the dynamic client: %v", err)
	}
}
