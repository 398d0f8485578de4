//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine is what everything ran on, cluster included.
type machine struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	Kernel string `json:"kernel,omitempty"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory,omitempty"`
}

func thisMachine() machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Kernel: strings.TrimSpace(string(kernel)),
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Memory: field("/proc/meminfo", "MemTotal")}
}

// field is the first value of a name in a file of /proc, if there is one.
func field(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if before, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(before) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// program is what a program costs before it does anything.
type program struct {
	Command    string `json:"command"`
	Version    string `json:"version"`
	Bytes      int64  `json:"bytes"` // of its file
	StartCPUMs spread `json:"startCpuMs"`
}

// starts is how often a program is started for the median.
const starts = 20

// examine measures a program's start, by words that make it print its version.
func (b *bench) examine(ctx context.Context, name string, words ...string) (program, error) {
	path := b.path("bin", name)
	p := program{Command: strings.Join(append([]string{name}, words...), " ")}
	info, err := os.Stat(path)
	if err != nil {
		return p, err
	}
	p.Bytes = info.Size()
	var times []float64
	for range starts {
		cmd := exec.CommandContext(ctx, path, words...)
		cmd.Env = b.env(throughNetwork)
		out, err := cmd.Output()
		if err != nil {
			return p, fmt.Errorf("%s: %w", p.Command, err)
		}
		p.Version = versionIn(out)
		times = append(times, ms(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()))
	}
	p.StartCPUMs = spreadOf(times)
	return p, nil
}

// versionIn reads kubectl's JSON, or else takes the last word.
func versionIn(out []byte) string {
	var versions struct {
		ClientVersion struct {
			GitVersion string `json:"gitVersion"`
		} `json:"clientVersion"`
	}
	if json.Unmarshal(out, &versions) == nil && versions.ClientVersion.GitVersion != "" {
		return versions.ClientVersion.GitVersion
	}
	words := strings.Fields(string(out))
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}
