//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
	"github.com/kubectl-eshell/kubectl-eshell/test/docs"
)

// TestDocs runs each command of the README and of the pages in docs as their reader would: in bash, on a
// terminal, in a namespace that has what the pages speak of. test/docs says what is a command.
func TestDocs(t *testing.T) {
	t.Parallel()
	pages, err := docs.Read("../..")
	if err != nil {
		t.Fatal(err)
	}
	scene := newScene(t)
	for _, page := range pages {
		t.Run(page.Path, func(t *testing.T) {
			t.Parallel()
			if !slices.ContainsFunc(page.Blocks, docs.Block.Runs) {
				return
			}
			r := newReader(t, scene, page)
			for _, block := range page.Blocks {
				if block.Runs() && (env.embedded || !strings.Contains(block.Text, auditLog)) {
					t.Logf("%s:%d", page.Path, block.Line)
					r.run(block)
				}
			}
		})
	}
}

// newScene creates a namespace with what the pages speak of.
func newScene(t *testing.T) namespaceFixture {
	t.Helper()
	manifest, err := os.ReadFile("testdata/docs/scene.yaml")
	if err != nil {
		t.Fatal(err)
	}
	scene := newRealm(t, "docs", string(manifest))
	t.Cleanup(func() {
		if err := client(t).CoreV1().PersistentVolumes().Delete(context.Background(), scene.namespace,
			metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll("/tmp/" + scene.namespace) // on the embedded cluster's node
	})
	kubectl(t, "wait", "-n", scene.namespace, "--for=condition=Available", "deployments", "--all", inTime)
	kubectl(t, "wait", "-n", scene.namespace, "--for=condition=Ready", "pods", "--all", inTime)
	return scene
}

// anySession returns what a session says, without its own name and without what a slow machine adds.
func anySession(stderr string) string {
	return sessionName.ReplaceAllString(waits.ReplaceAllString(stderr, ""), "NAME")
}

// reader follows a page. Several follow theirs at the same time: each is a user of its own, who has sessions
// of their own, in a folder of their own.
type reader struct {
	t      *testing.T
	scene  namespaceFixture
	name   string
	folder string
	names  map[string]string // the sessions that the page names, and those that there are
}

func newReader(t *testing.T, scene namespaceFixture, page docs.Page) *reader {
	t.Helper()
	r := &reader{t: t, scene: scene, folder: t.TempDir(), names: map[string]string{},
		name: "jane-" + strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.ToLower(page.Path), "-"), "-")}
	if err := os.CopyFS(r.folder, os.DirFS("testdata/docs/home")); err != nil {
		t.Fatal(err)
	}
	for _, block := range page.Blocks {
		if block.File != "" {
			r.write(block.File, block.Text)
		}
	}
	config, err := clientcmd.LoadFromFile(env.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.Contexts[config.CurrentContext].Namespace = scene.namespace
	user := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo]
	user.Impersonate, user.ImpersonateGroups = r.name, []string{"system:masters"}
	if err := clientcmd.WriteToFile(*config, r.folder+"/.kube/config"); err != nil { // it makes the folder
		t.Fatal(err)
	}
	return r
}

// write writes a file in the reader's home.
func (r *reader) write(path, text string) {
	r.t.Helper()
	path = filepath.Join(r.folder, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// shell returns bash, with args, as the reader has it.
func (r *reader) shell(args ...string) *exec.Cmd {
	cmd := exec.Command("bash", args...)
	cmd.Dir = r.folder
	cmd.Env = append(env.env(), "KUBECONFIG="+r.folder+"/.kube/config", "HOME="+r.folder, "TERM=dumb", "PS1=$ ",
		"PROMPT_COMMAND=echo $? >>"+r.folder+"/.statuses", "PGPASSWORD=secret")
	return cmd
}

func (r *reader) run(block docs.Block) {
	r.t.Helper()
	if block.Language == "console" {
		r.follow(block.Text)
		return
	}
	r.write(".script", r.here(block.Text))
	term := onTerminal(r.t, r.shell("-e", ".script"), columns, env.startOne())
	said := dialog{term: term}
	for said.await(anyPrompt) {
		said.typed("exit")
	}
	if status := term.status(); status != 0 {
		r.t.Errorf("exit status %d of\n%s\nthe terminal showed:\n%s", status, block.Text, said.all())
	}
}

// standIns are the images and the log that the pages speak of and the cluster has not.
var standIns = strings.NewReplacer(
	"busybox:musl", "localhost/eshell/busybox:1",
	"debian:13", "localhost/eshell/debian:1",
	"postgres:18", "localhost/eshell/bash:1",
	"registry.example.com/", "localhost/eshell/",
	"busybox:1.37", "busybox:1",
	auditLog, embedded.Default().AuditLog(),
)

// auditLog is where the pages say that an API server writes its audit log. A cluster that is not ours has it
// elsewhere, or where no test can read it.
const auditLog = "/var/log/kubernetes/audit.log"

// sessionName matches the name of a session: a workload's, and letters that Kubernetes chooses.
var sessionName = regexp.MustCompile(`\b(?:([a-z0-9-]+)-)?eshell-[bcdfghjklmnpqrstvwxz2456789]{5}\b`)

// here returns the page's commands as they are typed here: with the images that there are, and with the names
// of sessions that are there. A session that the page has not shown yet is started.
func (r *reader) here(commands string) string {
	r.t.Helper()
	return sessionName.ReplaceAllStringFunc(standIns.Replace(commands), func(name string) string {
		if r.names[name] == "" || !r.isThere(r.names[name]) {
			r.names[name] = r.detached(sessionName.FindStringSubmatch(name)[1])
		}
		return r.names[name]
	})
}

func (r *reader) isThere(session string) bool {
	r.t.Helper()
	_, err := client(r.t).BatchV1().Jobs(r.scene.namespace).Get(r.t.Context(),
		session[strings.LastIndex(session, "eshell-"):], metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		r.t.Fatal(err)
	}
	return err == nil
}

// detached starts a session without a client, a clone of the workload or a debug session, and returns its
// name.
func (r *reader) detached(workload string) string {
	r.t.Helper()
	target := "pod/api-7d4b9 --mode debug"
	if workload != "" {
		target = "deploy/" + workload
	}
	defer env.startOne()()
	out, err := r.shell("-c", "kubectl eshell --detach -q "+target).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(string(exit.Stderr))
		}
		r.t.Fatalf("start a session of %s: %v", target, err)
	}
	return strings.TrimSpace(string(out))
}

// statuses returns the exit status of each command that was typed in a console.
func (r *reader) statuses() []string {
	r.t.Helper()
	text, err := os.ReadFile(r.folder + "/.statuses")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// waits matches what a session shows while it starts, on a machine that takes its time.
var waits = regexp.MustCompile(`(?m)^waiting: .*\n`)

// shows compares what a terminal has shown with what the page has. It learns the names of the page's
// sessions.
func (r *reader) shows(want, got string) error {
	pattern, names := r.pattern(want)
	got = waits.ReplaceAllString(got, "")
	got = strings.ReplaceAll(strings.ReplaceAll(got, r.scene.namespace, "shop"), r.name, "jane")
	match := regexp.MustCompile(`\A` + pattern + `\z`).FindStringSubmatch(got)
	if match == nil {
		return fmt.Errorf("the terminal shows\n%s\nthe page has\n%s\nas a pattern: %s", got, want, pattern)
	}
	for i, name := range names {
		r.names[name] = match[i+1]
	}
	return nil
}

// whatever are patterns for what differs from run to run.
var whatever = []struct{ found, pattern string }{
	{`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d`, `[\d-]+[ T][\d:]+`},   // a time
	{`\b(?:\d+[hms])+\b`, `\S+`},                                // an age
	{`\b[a-z0-9-]+-[a-z0-9]{8,10}-[a-z0-9]{5}\b`, `[a-z0-9-]+`}, // a deployment's pod
	{` +`, ` +`},     // between columns
	{`\.\.\.`, `.*`}, // what the page leaves out
}

// pattern returns a regular expression for lines of a page, and the sessions whose names its groups match.
func (r *reader) pattern(lines string) (pattern string, names []string) {
	any := sessionName.String()
	for _, w := range whatever {
		any += "|" + w.found
	}
	parts := regexp.MustCompile(any)
	for line := range strings.Lines(lines) {
		if strings.TrimSpace(line) == "..." {
			pattern += `(?:.*\n)*?`
			continue
		}
		at := 0
		for _, loc := range parts.FindAllStringIndex(line, -1) {
			found := line[loc[0]:loc[1]]
			pattern += regexp.QuoteMeta(line[at:loc[0]])
			at = loc[1]
			switch {
			case sessionName.MatchString(found) && r.names[found] != "":
				pattern += regexp.QuoteMeta(r.names[found])
			case sessionName.MatchString(found):
				pattern += `([a-z0-9-]+)`
				names = append(names, found)
			default:
				pattern += varying(found)
			}
		}
		pattern += regexp.QuoteMeta(line[at:])
	}
	return pattern, names
}

// varying returns the pattern for a part of a line that differs from run to run.
func varying(part string) string {
	for _, w := range whatever {
		if regexp.MustCompile(`\A(?:` + w.found + `)\z`).MatchString(part) {
			return w.pattern
		}
	}
	return regexp.QuoteMeta(part)
}
