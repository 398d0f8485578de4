package embedded

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const kubeconfigFormat = `apiVersion: v1
kind: Config
clusters:
- name: eshell
  cluster:
    server: https://%s
    tls-server-name: localhost
    certificate-authority-data: %s
users:
- name: %s
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: eshell
  context:
    cluster: eshell
    user: %[3]s
current-context: eshell
`

// admin may do everything.
func admin() identity { return identity{user: "admin", groups: []string{"system:masters"}} }

// UserKubeconfig writes a kubeconfig with a client certificate for a user of this name
// who is in no group, and returns its path. Nothing is allowed until a role says so.
func (c *Cluster) UserKubeconfig(user string) (string, error) {
	path := c.run("user-" + url.PathEscape(user) + ".kubeconfig")
	return path, c.writeKubeconfig(path, identity{user: user}, c.APIServerAddr())
}

// KubeconfigVia writes a cluster-admin's kubeconfig that reaches the API server through
// addr, for instance a fault proxy, and returns its path.
func (c *Cluster) KubeconfigVia(addr string) (string, error) {
	path := c.run("via-" + url.PathEscape(addr) + ".kubeconfig")
	return path, c.writeKubeconfig(path, admin(), addr)
}

// ClientCertificate returns a cluster-admin's certificate that the API server refuses after a time, and its
// key, in PEM.
func (c *Cluster) ClientCertificate(user string, valid time.Duration) (cert, key []byte, err error) {
	ca, err := loadAuthority(c.pki(""))
	if err != nil {
		return nil, nil, err
	}
	template := certificate(identity{user: user, groups: admin().groups})
	template.NotAfter = time.Now().Add(valid)
	cert, private, err := sign(template, ca.cert, ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("issue a certificate for %q: %w", user, err)
	}
	key, err = encodeKey(private)
	return cert, key, err
}

func (c *Cluster) writeKubeconfig(path string, who identity, server string) error {
	ca, err := loadAuthority(filepath.Join(c.Dir, "pki"))
	if err != nil {
		return fmt.Errorf("write a kubeconfig for %q: is the cluster up? %w", who.user, err)
	}
	return ca.kubeconfig(path, who, server)
}

// kubeconfig issues a certificate and writes the kubeconfig that carries it.
func (a *authority) kubeconfig(path string, who identity, server string) error {
	issued, err := a.issue(who)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString
	content := fmt.Sprintf(kubeconfigFormat, server, text(a.pair.cert), fmt.Sprintf("%q", who.user),
		text(issued.cert), text(issued.key))
	return replaceFile(path, []byte(content), 0o600)
}

// replaceFile writes a file in one step: tests that run at the same time may ask for the same one.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err := temp.Write(content); err != nil {
		return err
	}
	if err := temp.Chmod(mode); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
