package embedded

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIssuedCertificate(t *testing.T) {
	ca := testAuthority(t)
	issued, err := ca.issue(identity{user: "jane", groups: []string{"dev"},
		hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	both, err := tls.X509KeyPair(issued.cert, issued.key)
	if err != nil {
		t.Fatal(err)
	}
	if got := both.Leaf.Subject.String(); got != "CN=jane,O=dev" {
		t.Errorf("subject = %s", got)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for _, name := range []string{"127.0.0.1", "localhost"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := both.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots,
				KeyUsages: []x509.ExtKeyUsage{usage}})
			if err != nil {
				t.Errorf("verify for %s, usage %v: %v", name, usage, err)
			}
		}
	}
}

func TestUserKubeconfig(t *testing.T) {
	c := &Cluster{Dir: t.TempDir(), Version: DefaultVersion}
	if _, err := c.UserKubeconfig("jane"); err == nil || !strings.Contains(err.Error(),
		"is the cluster up?") {
		t.Errorf("without a cluster: %v", err)
	}
	for _, folder := range []string{c.pki(""), c.run("")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.writePair("ca", testAuthority(t).pair); err != nil {
		t.Fatal(err)
	}
	path, err := c.UserKubeconfig("team/jane: doe")
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(path) != filepath.Clean(c.run("")) {
		t.Errorf("the name leads out of the folder: %s", path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"server: https://" + c.APIServerAddr() + "\n", "current-context: eshell\n",
		`user: "team/jane: doe"`} {
		if !strings.Contains(string(content), want) {
			t.Errorf("%s lacks %q", content, want)
		}
	}
}

func testAuthority(t *testing.T) *authority {
	t.Helper()
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}
