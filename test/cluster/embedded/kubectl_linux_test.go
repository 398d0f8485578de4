package embedded

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestRecentKubectl(t *testing.T) {
	for answer, want := range map[string]string{
		`{"clientVersion": {"gitVersion": "v1.37.0"}}`:            "",
		`{"clientVersion": {"gitVersion": "v1.36.9-eks-1234"}}`:   "",
		`{"clientVersion": {"gitVersion": "v1.38.1"}}`:            "",
		`{"clientVersion": {"gitVersion": "v1.35.4"}}`:            `is version "1.35.4", which is not for Kubernetes 1.37.2`,
		`{"clientVersion": {"gitVersion": "v1.32.4-dispatcher"}}`: `"1.32.4-dispatcher"`,
		`{}`:   `is version ""`,
		`oops`: "invalid character",
	} {
		folder := t.TempDir()
		real, link := filepath.Join(folder, "real"), filepath.Join(folder, "kubectl")
		script := "#!/bin/sh\n[ \"$*\" = 'version --client --output=json' ] && echo '" + answer + "'\n"
		if err := os.WriteFile(real, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("real", link); err != nil {
			t.Fatal(err)
		}
		got, err := recentKubectl(t.Context(), link, "1.37.2")
		switch {
		case want == "" && (err != nil || got != real):
			t.Errorf("%s: %s, %v", answer, got, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", answer, err, want)
		}
	}
}

// A kubectl that isn't there is built, and that is said.
func TestSettleClient(t *testing.T) {
	var said strings.Builder
	c := &Cluster{Version: DefaultVersion, Client: filepath.Join(t.TempDir(), "none")}
	c.settleClient(t.Context(), &said)
	if c.Client != "" || !strings.HasSuffix(said.String(), ": the cluster has a kubectl of its own\n") {
		t.Errorf("%q; client %q", said.String(), c.Client)
	}
}

func TestOutputExcept(t *testing.T) {
	var seen []string
	expected := func(line string) bool {
		seen = append(seen, line)
		return line == "k8s.io/api"
	}
	_, err := outputExcept(exec.Command("sh", "-c", "printf 'k8s.io/api\nno space\nleft' >&2; exit 1"), expected)
	if err == nil || !strings.HasSuffix(err.Error(), "exit status 1\nno space\nleft") {
		t.Errorf("error %v", err)
	}
	if strings.Join(seen, "|") != "k8s.io/api|no space" {
		t.Errorf("lines %q", seen)
	}
}

// An interrupted build leaves Go the time to keep what it has compiled.
func TestGoCommandIsAskedToEnd(t *testing.T) {
	folder := t.TempDir()
	script := "#!/bin/sh\ntrap 'echo kept >kept; exit 1' INT\necho ready >ready\nwhile :; do sleep 0.01; done\n"
	if err := os.WriteFile(filepath.Join(folder, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	command := (&Cluster{Cache: folder}).goCommand(ctx, folder, "build")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	exists := func(name string) error {
		_, err := os.Stat(filepath.Join(folder, name))
		return err
	}
	if err := await(ctx, "ready", func(context.Context) error { return exists("ready") }, nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := command.Wait(); err == nil || exists("kept") != nil {
		t.Errorf("Wait: %v; kept: %v", err, exists("kept"))
	}
}
