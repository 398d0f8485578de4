package embedded

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// need is a program of the distribution and Debian's package for it.
type need struct {
	program string
	pkg     string
	find    func() (string, error)
}

func needs() []need {
	return []need{
		{"runc", "runc", onPath("runc")},
		{"the CNI plugins bridge and host-local", "containernetworking-plugins", findCNI},
		{"ip", "iproute2", onPath("ip")},
		{"mount", "mount", onPath("mount")},
		{"a static busybox", "busybox-static", findBusybox},
		{"bash-static", "bash-static", onPath("bash-static")},
		{"dash", "dash", onPath("dash")},
		{"ldd", "libc-bin", onPath("ldd")},
		{"jq", "jq", onPath("jq")}, // what docs/security.md reads the audit log with
		// The shells that the tests ask for completion.
		{"zsh", "zsh", onPath("zsh")},
		{"fish", "fish", onPath("fish")},
		{"bash-completion", "bash-completion", findBashCompletion},
	}
}

// installPackages installs what is missing where apt-get can, and else names it.
func installPackages(ctx context.Context, progress io.Writer) error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("the embedded cluster is built with go: %w", err)
	}
	programs, packages := missing()
	if len(packages) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine lacks %s, and without apt-get only you can install them",
			strings.Join(programs, ", "))
	}
	fmt.Fprintf(progress, "installing %s\n", strings.Join(packages, " "))
	for _, args := range [][]string{{"update", "-qq"},
		append([]string{"install", "-y", "-qq", "--no-install-recommends"}, packages...)} {
		command := exec.CommandContext(ctx, "apt-get", args...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if _, err := output(command); err != nil {
			return err
		}
	}
	if programs, _ := missing(); len(programs) > 0 {
		return fmt.Errorf("this machine lacks %s also after installing %s", strings.Join(programs, ", "),
			strings.Join(packages, " "))
	}
	return nil
}

func missing() (programs, packages []string) {
	for _, n := range needs() {
		if _, err := n.find(); err != nil {
			programs, packages = append(programs, n.program), append(packages, n.pkg)
		}
	}
	return programs, packages
}

func onPath(name string) func() (string, error) {
	return func() (string, error) { return exec.LookPath(name) }
}

func findBashCompletion() (string, error) {
	const script = "/usr/share/bash-completion/bash_completion"
	_, err := os.Stat(script)
	return script, err
}

// findCNI looks where Debian and where everybody else installs the plugins.
func findCNI() (string, error) {
	for _, folder := range []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"} {
		_, bridge := os.Stat(filepath.Join(folder, "bridge"))
		_, ipam := os.Stat(filepath.Join(folder, "host-local"))
		if bridge == nil && ipam == nil {
			return folder, nil
		}
	}
	return "", os.ErrNotExist
}

// findBusybox wants a static one: in an image there is no library for it.
func findBusybox() (string, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return "", err
	}
	binary, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	defer binary.Close()
	libraries, err := binary.ImportedLibraries()
	if err == nil && len(libraries) > 0 {
		err = fmt.Errorf("%s needs %v", path, libraries)
	}
	return path, err
}

func findHost() (host, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return host{}, err
	}
	cni, err := findCNI()
	return host{runc: runc, cniDir: cni}, err
}
