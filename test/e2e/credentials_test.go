//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/faultproxy"
)

// credentials are a user's, who gets others while a session runs.
type credentials struct {
	name string
	// user is how a kubeconfig names them. Their files are in the folder.
	user func(t *testing.T, folder string) clientcmdapi.AuthInfo
	// change makes new ones, if the plugin does not, and returns the ones that the session began with, which
	// the server will soon refuse.
	change func(t *testing.T, folder string) rest.Config
	places []place
}

// TestCredentials: a session outlives the credentials that it began with, which the server then refuses.
// Renewals of the lease, streams that are opened again and the clean-up use the new ones, and nobody notices.
func TestCredentials(t *testing.T) {
	if !env.embedded {
		t.Skip("the authority of an existing cluster is not ours to use")
	}
	t.Parallel()
	applyAccount(t)
	all := places("credentials")
	for _, c := range []credentials{
		{"certificate of a plugin", pluginUser, expiring, all[:3]},
		{"token of a plugin", revocable(pluginUser, writeStatus), revoked(writeStatus), all[1:2]},
		{"certificate in a file", certificateFiles, newFiles, all[1:2]},
		{"token in a file", revocable(tokenFile, writeToken), revoked(writeToken), all[1:2]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, place := range c.places {
				t.Run(place.name, func(t *testing.T) {
					t.Parallel()
					c.outlived(t, place)
				})
			}
		})
	}
}

// applyAccount makes the account, once for all tests: they run at the same time.
func applyAccount(t *testing.T) {
	t.Helper()
	accountApplied.Do(func() { namespaceFixture{env.namespace}.apply(t, account) })
}

var accountApplied sync.Once

// account is who the tokens are of.
const account = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: credentials}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: credentials}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: credentials}]
`

func (c credentials) outlived(t *testing.T, place place) {
	folder := t.TempDir()
	start := env.startOne()
	mine, proxy := loggedIn(t, c.user(t, folder))
	cmd := exec.Command(filepath.Join(env.bin, "kubectl"), append(place.args, "--lease=20s")...)
	cmd.Env = mine.env()
	term := onTerminal(t, cmd, 80, start)
	session := term.session()
	term.expect(prompt)
	old := c.change(t, folder)
	refuses(t, &old)
	session.renewed(t)
	if strings.HasSuffix(place.name, "attach") {
		proxy.Drop()
		term.expect(`reattached to ` + session.where())
	}
	term.typed("echo still-$((40+2)); exit 7\n")
	term.expect(`still-42\r\n`)
	term.ended(7, session)
	if screen, _ := term.shown(); strings.Contains(screen, "could not be renewed") ||
		strings.Contains(screen, "Unauthorized") {
		t.Errorf("the terminal showed:\n%s", screen)
	}
}

// TestRevoked: nobody renews a token that a kubeconfig holds. The session reports once that it is refused,
// works on, and ends with its lease, which removes the pod that the client is not allowed to delete.
func TestRevoked(t *testing.T) {
	t.Parallel()
	applyAccount(t)
	folder := t.TempDir()
	token := newToken(t, folder)
	mine, _ := loggedIn(t, clientcmdapi.AuthInfo{Token: token})
	term := mine.open(t, nil, "eshell", "deploy/bash", "--lease=30s")
	session := term.session()
	term.expect(prompt)
	old := revoked(func(*testing.T, string, string) {})(t, folder)
	refuses(t, &old)
	const refusal = `job/\S+: Unauthorized\r\n`
	term.expect(`warning: the lease could not be renewed; ` + session.where() +
		` ends in \d+s unless it can: ` + refusal)
	term.typed("echo still-$((40+2))\n")
	term.expect(`still-42\r\n`)
	term.expect(`warning: ` + session.where() + ` could not be deleted: Unauthorized\r\n` +
		`  it ends by itself within \d+s\r\n`)
	term.endsWith(session, session.where()+` ended: its lease could not be renewed in time: `+refusal+
		`hint: the server does not accept your credentials, which may have expired: log in again`)
	if screen, _ := term.shown(); strings.Count(screen, "could not be renewed;") != 1 {
		t.Errorf("the terminal showed:\n%s", screen)
	}
}

// TestPluginAsks: a credential plugin may ask before a session has its terminal, and not after that. Then it
// fails, which is reported once, until somebody has logged in elsewhere. All keys are the command's.
func TestPluginAsks(t *testing.T) {
	if !env.embedded {
		t.Skip("the authority of an existing cluster is not ours to use")
	}
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "ask", nil)
	mine, _ := loggedIn(t, pluginUser(t, folder))
	term := mine.open(t, nil, "eshell", "deploy/bash", "--lease=40s")
	term.expect(`Password: `)
	term.typed("hunter2\n")
	session := term.session()
	term.expect(prompt)
	term.expect(`warning: the lease could not be renewed; ` + session.where() +
		` ends in \d+s unless it can: job/\S+: Patch "\S+": getting credentials: exec: executable \S+ failed with exit code 1\r\n`)
	term.typed("echo still-$((40+2))\n")
	term.expect(`still-42\r\n`)
	if err := os.Remove(filepath.Join(folder, "ask")); err != nil {
		t.Fatal(err)
	}
	term.expect(`the lease is renewed again\r\n`)
	term.typed("exit 7\n")
	term.ended(7, session)
	if screen, _ := term.shown(); strings.Count(screen, "could not be renewed;") != 1 {
		t.Errorf("the terminal showed:\n%s", screen)
	}
	if calls := strings.Fields(read(t, folder, "calls")); calls[0] != "true" ||
		slices.Contains(calls[1:], "true") || len(calls) > 12 {
		t.Errorf("the plugin was interactive: %q", calls)
	}
	if typed := read(t, folder, "typed"); typed != "hunter2\n\n" {
		t.Errorf("the plugin has read %q", typed)
	}
}

// TestPluginFails: a plugin that fails is left alone for a while, for longer each time, by everything that
// needs credentials: a lost connection that is sought every second, and renewals of the lease.
func TestPluginFails(t *testing.T) {
	if !env.embedded {
		t.Skip("the authority of an existing cluster is not ours to use")
	}
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "ask", nil)
	mine, _ := loggedIn(t, pluginUser(t, folder))
	cmd := exec.Command(filepath.Join(env.bin, "kubectl"), "eshell", "deploy/bash", "--", "true")
	cmd.Env = mine.env()
	out, err := cmd.CombinedOutput()
	if exitStatus(cmd) != 125 || !strings.Contains(string(out), "your credential plugin has failed: log in again") {
		t.Errorf("%v:\n%s", err, out)
	}
	if calls := strings.Fields(read(t, folder, "calls")); len(calls) != 1 {
		t.Errorf("the plugin has run %d times", len(calls))
	}
	folder = t.TempDir()
	mine, proxy := loggedIn(t, pluginUser(t, folder))
	term := mine.open(t, nil, "eshell", "deploy/bash", "--via=attach", "--lease=40s")
	session := term.session()
	term.expect(prompt)
	old := expiring(t, folder)
	write(t, folder, "ask", nil)
	refuses(t, &old)
	before := len(strings.Fields(read(t, folder, "calls")))
	proxy.Drop()
	lost := time.Now()
	if err := until(t.Context(), patience, func(context.Context) (bool, error) {
		screen, _ := term.shown()
		return strings.Contains(screen, "was lost and is not restored yet") &&
			strings.Contains(screen, "warning: the lease could not be renewed"), nil
	}); err != nil {
		t.Fatalf("nothing is said of the plugin: %v", err)
	}
	most := 2 + int(time.Since(lost)/(5*time.Second)) // the first pause
	if runs := len(strings.Fields(read(t, folder, "calls"))) - before; runs == 0 || runs > most {
		t.Errorf("the plugin has run %d times, want %d at most", runs, most)
	}
	if err := os.Remove(filepath.Join(folder, "ask")); err != nil {
		t.Fatal(err)
	}
	term.expect(`reattached to ` + session.where())
	term.typed("exit 7\n")
	term.ended(7, session)
}

// loggedIn is a network of the test's own, and a world in which kubectl is the user.
func loggedIn(t *testing.T, user clientcmdapi.AuthInfo) (testEnv, *faultproxy.Proxy) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(env.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	_, proxy := newProxy(t)
	here := config.Contexts[config.CurrentContext]
	config.Clusters[here.Cluster].Server = "https://" + proxy.Addr()
	config.AuthInfos[here.AuthInfo] = &user
	mine := env
	mine.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, mine.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return mine, proxy
}

// refuses waits until the server refuses what it has accepted.
func refuses(t *testing.T, old *rest.Config) {
	t.Helper()
	client, err := kubernetes.NewForConfig(old)
	if err != nil {
		t.Fatal(err)
	}
	err = until(t.Context(), patience, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods(env.namespace).List(ctx, metav1.ListOptions{Limit: 1})
		if apierrors.IsUnauthorized(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		t.Fatalf("the old credentials are not refused: %v", err)
	}
}

// renewed waits until the session's lease is renewed twice.
func (s started) renewed(t *testing.T) {
	t.Helper()
	for range 2 {
		before := deadline(s.taken(t))
		if err := until(t.Context(), patience, func(context.Context) (bool, error) {
			return deadline(s.taken(t)) > before, nil
		}); err != nil {
			t.Fatalf("%s is not renewed: %v", s.lease(), err)
		}
	}
}

// connection is how the cluster is reached by nobody in particular.
func connectionOf(t *testing.T) rest.Config {
	t.Helper()
	config, err := env.config()
	if err != nil {
		t.Fatal(err)
	}
	return *rest.AnonymousClientConfig(config)
}

func pluginUser(_ *testing.T, folder string) clientcmdapi.AuthInfo {
	return clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: clientauthentication.SchemeGroupVersion.String(), Command: os.Args[0],
		Env:             []clientcmdapi.ExecEnvVar{{Name: pluginFolder, Value: folder}},
		InteractiveMode: clientcmdapi.IfAvailableExecInteractiveMode}}
}

// expiring waits for nothing: the plugin's certificates expire by themselves.
func expiring(t *testing.T, folder string) rest.Config {
	t.Helper()
	var first clientauthentication.ExecCredentialStatus
	if err := json.Unmarshal([]byte(read(t, folder, "first")), &first); err != nil {
		t.Fatal(err)
	}
	old := connectionOf(t)
	old.CertData, old.KeyData = []byte(first.ClientCertificateData), []byte(first.ClientKeyData)
	return old
}

// certificateFiles are files with a certificate that lives longer than the plugin's, which are made later.
func certificateFiles(t *testing.T, folder string) clientcmdapi.AuthInfo {
	t.Helper()
	writeCertificate(t, folder, lifetime*3/2)
	return clientcmdapi.AuthInfo{ClientCertificate: filepath.Join(folder, "crt"),
		ClientKey: filepath.Join(folder, "key")}
}

func newFiles(t *testing.T, folder string) rest.Config {
	t.Helper()
	old := connectionOf(t)
	old.CertData, old.KeyData = []byte(read(t, folder, "crt")), []byte(read(t, folder, "key"))
	writeCertificate(t, folder, time.Hour)
	return old
}

func writeCertificate(t *testing.T, folder string, valid time.Duration) {
	t.Helper()
	cert, key, err := embedded.Default().ClientCertificate("files", valid)
	if err != nil {
		t.Fatal(err)
	}
	write(t, folder, "crt", cert)
	write(t, folder, "key", key)
}

func tokenFile(_ *testing.T, folder string) clientcmdapi.AuthInfo {
	return clientcmdapi.AuthInfo{TokenFile: filepath.Join(folder, "token")}
}

func writeToken(t *testing.T, folder, token string) {
	t.Helper()
	write(t, folder, "token", []byte(token))
}

// writeStatus has the plugin answer a token, which it takes to be valid for an hour.
func writeStatus(t *testing.T, folder, token string) {
	t.Helper()
	expires := metav1.NewTime(time.Now().Add(time.Hour))
	status, err := json.Marshal(clientauthentication.ExecCredentialStatus{Token: token,
		ExpirationTimestamp: &expires})
	if err != nil {
		t.Fatal(err)
	}
	write(t, folder, "status", status)
}

// revocable is a user with a token that can be revoked.
func revocable(user func(*testing.T, string) clientcmdapi.AuthInfo,
	save func(t *testing.T, folder, token string)) func(*testing.T, string) clientcmdapi.AuthInfo {
	return func(t *testing.T, folder string) clientcmdapi.AuthInfo {
		t.Helper()
		save(t, folder, newToken(t, folder))
		return user(t, folder)
	}
}

// revoked makes another token, and revokes the first.
func revoked(save func(t *testing.T, folder, token string)) func(*testing.T, string) rest.Config {
	return func(t *testing.T, folder string) rest.Config {
		t.Helper()
		old := connectionOf(t)
		old.BearerToken = read(t, folder, "bound-token")
		bound := read(t, folder, "bound-secret")
		save(t, folder, newToken(t, folder))
		if err := client(t).CoreV1().Secrets(env.namespace).Delete(t.Context(), bound,
			metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		return old
	}
}

// newToken returns a token of a service account that is bound to a Secret: without that it is not valid. The
// names of both are in the folder.
func newToken(t *testing.T, folder string) string {
	t.Helper()
	core := client(t).CoreV1()
	secret, err := core.Secrets(env.namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "token-" + rand.String(5)}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hour := int64(3600)
	answer, err := core.ServiceAccounts(env.namespace).CreateToken(t.Context(), "credentials",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour,
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret",
				Name: secret.Name, UID: secret.UID}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, folder, "bound-secret", []byte(secret.Name))
	write(t, folder, "bound-token", []byte(answer.Status.Token))
	return answer.Status.Token
}

// write replaces a file at once, as the kubelet does: whoever reads it has the old one or the new one.
func write(t *testing.T, folder, name string, text []byte) {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
