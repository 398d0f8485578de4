package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/kubectl-eshell/kubectl-eshell/test/cluster/embedded"
)

// pluginFolder is the variable that makes this program a credential plugin (client.authentication.k8s.io). It
// names a folder, in which the plugin writes a line into the file calls each time, and finds:
//
//   - status: what to answer. Without it the answer is a certificate for lifetime
//   - ask: the plugin answers only after a line that somebody types, which it writes into the file typed
const pluginFolder = "ESHELL_E2E_PLUGIN"

// lifetime is how long the plugin's certificates are valid: as long as a session takes to start, and a bit.
const lifetime = 20 * time.Second

func plugin(folder string) (status int) {
	err := answer(folder)
	if err != nil {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		return 1
	}
	return 0
}

func answer(folder string) error {
	var asked clientauthentication.ExecCredential
	if err := json.Unmarshal([]byte(os.Getenv("KUBERNETES_EXEC_INFO")), &asked); err != nil {
		return err
	}
	if err := appendLine(filepath.Join(folder, "calls"), fmt.Sprint(asked.Spec.Interactive)); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "ask")); err == nil {
		if !asked.Spec.Interactive {
			return errors.New("the login has expired")
		}
		fmt.Fprint(os.Stderr, "Password: ")
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil {
			return err
		}
		if err := appendLine(filepath.Join(folder, "typed"), line); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, "status"))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = newCertificate(folder)
	}
	if err != nil {
		return err
	}
	asked.Status = &clientauthentication.ExecCredentialStatus{}
	if err := json.Unmarshal(text, asked.Status); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(asked)
}

// newCertificate returns a certificate as a plugin answers it, and keeps the first.
func newCertificate(folder string) ([]byte, error) {
	cert, key, err := embedded.Default().ClientCertificate("plugin", lifetime)
	if err != nil {
		return nil, err
	}
	expires := metav1.NewTime(time.Now().Add(lifetime))
	text, err := json.Marshal(clientauthentication.ExecCredentialStatus{ExpirationTimestamp: &expires,
		ClientCertificateData: string(cert), ClientKeyData: string(key)})
	if err != nil {
		return nil, err
	}
	first, err := os.OpenFile(filepath.Join(folder, "first"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return text, nil
	}
	if err != nil {
		return nil, err
	}
	defer first.Close()
	_, err = first.Write(text)
	return text, err
}

func appendLine(path, line string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintln(file, line)
	return err
}
