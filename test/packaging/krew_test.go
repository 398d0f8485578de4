package packaging_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-eshell/kubectl-eshell/test/packaging"
)

// checkKrew does with the real krew, through the real kubectl, what a user does with it, from the first
// release, which is in dist, to the next one. The index is a copy of this repository as a git URL. The
// addresses in the manifests are the real ones, which a stand-in for GitHub serves.
func checkKrew(t *testing.T, version, dist string) {
	const next = "v1.1.0"
	server := newGitHub(t)
	user := newUser(t, server)
	index := checkout(t)
	gitCommit(t, index, "init", "--quiet")
	user.kubectl("krew index add eshell file://" + index)

	if parse(t, read(t, manifestFile)).Spec.Version == packaging.Unreleased {
		refused := user.refused("krew install eshell/eshell")
		if !strings.Contains(refused, packaging.Unreleased) || !strings.Contains(refused, "404") {
			t.Errorf("before the first release krew says\n%s", refused)
		}
	}

	publish(t, server, index, version, dist, all())
	user.kubectl("krew install eshell/eshell")
	checkUser(t, user, version)

	publish(t, server, index, next, makeDist(t, root, next, false), false)
	user.kubectl("krew upgrade")
	checkUser(t, user, next)

	user.kubectl("krew uninstall eshell")
	user.refused("eshell --version")
	if left, err := filepath.Glob(user.home + "/krew/bin/*"); err != nil || len(left) > 0 {
		t.Errorf("uninstalled, krew has left %q, %v", left, err)
	}
}

// publish is what the release workflow does: upload the archives, and commit the manifest.
func publish(t *testing.T, server *gitHub, index, version, dist string, all bool) {
	t.Helper()
	server.serve("/kubectl-eshell/kubectl-eshell/releases/download/"+version, dist)
	writeFile(t, filepath.Join(index, "plugins", "eshell.yaml"), read(t, writeManifest(t, dist, version, all)),
		0o644)
	gitCommit(t, index, "add", "plugins")
}

// gitCommit runs a git command in dir and commits everything.
func gitCommit(t *testing.T, dir string, args ...string) {
	t.Helper()
	run(t, dir, nil, "git", args...)
	run(t, dir, nil, "git", "add", "--all")
	run(t, dir, nil, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "-c",
		"commit.gpgsign=false", "commit", "--quiet", "--message=test")
}

func checkUser(t *testing.T, u user, version string) {
	t.Helper()
	if out := u.kubectl("eshell --version"); !strings.Contains(out, version) {
		t.Errorf("kubectl eshell --version printed %q, want %s in it", out, version)
	}
	if out := u.kubectl("krew list"); !strings.Contains(out, "eshell") {
		t.Errorf("krew list printed %q", out)
	}
	for _, file := range []string{"LICENSE", "COMPLETION.md", "k9s/eshell.yaml"} {
		if _, err := os.Stat(filepath.Join(u.home, "krew/store/eshell", version, file)); err != nil {
			t.Error(err)
		}
	}
}

// user has a home folder with nothing but kubectl and krew, and finds its plugins there.
type user struct {
	t    *testing.T
	home string
	env  []string
}

func newUser(t *testing.T, server *gitHub) user {
	t.Helper()
	home := t.TempDir()
	krew := run(t, root, nil, "go", "tool", "-modfile=test/tools/go.mod", "-n", "krew")
	link(t, strings.TrimSpace(krew), home+"/bin/kubectl-krew")
	link(t, kubectl(t), home+"/bin/kubectl")
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	link(t, git, home+"/bin/git")
	return user{t: t, home: home, env: append(server.env(),
		"HOME="+home,
		"KREW_ROOT="+home+"/krew",
		"KREW_NO_UPGRADE_CHECK=1",
		"PATH="+home+"/bin"+string(os.PathListSeparator)+home+"/krew/bin")}
}

func link(t *testing.T, program, as string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(as), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, as); err != nil {
		t.Fatal(err)
	}
}

// kubectl is the real one: that of PATH, or that of the repository's own cluster.
func kubectl(t *testing.T) string {
	t.Helper()
	for _, candidate := range []string{"kubectl", "/var/lib/eshell-cluster/bin/kubectl"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	if testing.Short() {
		t.Skip("there is no kubectl, neither in PATH nor of a cluster of this repository's")
	}
	t.Fatal("there is no kubectl, neither in PATH nor of a cluster of this repository's: make cluster-up")
	return ""
}

// kubectl runs words, which have to succeed.
func (u user) kubectl(words string) string {
	u.t.Helper()
	return run(u.t, u.home, u.env, u.home+"/bin/kubectl", strings.Fields(words)...)
}

// refused runs words, which have to fail.
func (u user) refused(words string) string {
	u.t.Helper()
	out, err := command(u.t, u.home, u.env, u.home+"/bin/kubectl", strings.Fields(words)...)
	if err == nil {
		u.t.Errorf("kubectl %s succeeded:\n%s", words, out)
	}
	return out
}

// gitHub stands in for github.com. Clients reach it by a proxy, and trust its certificate.
type gitHub struct {
	server, proxy *httptest.Server
	certificate   string // a file

	mu      sync.Mutex
	folders map[string]http.Handler
}

func newGitHub(t *testing.T) *gitHub {
	t.Helper()
	g := &gitHub{folders: map[string]http.Handler{}, certificate: filepath.Join(t.TempDir(), "github.pem")}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(g.download))
	g.server.TLS = &tls.Config{Certificates: []tls.Certificate{certify(t, "github.com", g.certificate)}}
	g.server.StartTLS()
	t.Cleanup(g.server.Close)
	g.proxy = httptest.NewServer(http.HandlerFunc(g.connect))
	t.Cleanup(g.proxy.Close)
	return g
}

// env makes a client take this for github.com, and reach nothing else.
func (g *gitHub) env() []string {
	return []string{"HTTPS_PROXY=" + g.proxy.URL, "HTTP_PROXY=" + g.proxy.URL, "SSL_CERT_FILE=" + g.certificate}
}

// serve publishes a folder's files under a path.
func (g *gitHub) serve(path, folder string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.folders[path] = http.StripPrefix(path, http.FileServer(http.Dir(folder)))
}

func (g *gitHub) download(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	folder := g.folders[filepath.Dir(r.URL.Path)]
	g.mu.Unlock()
	if folder == nil {
		http.NotFound(w, r)
		return
	}
	folder.ServeHTTP(w, r)
}

func (g *gitHub) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || r.Host != "github.com:443" {
		http.Error(w, "only github.com is here", http.StatusForbidden)
		return
	}
	address, err := url.Parse(g.server.URL)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", address.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(there, buffered)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}

// certify makes a certificate that host signs for itself, and writes it to file.
func certify(t *testing.T, host, file string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
