package plan

import (
	"slices"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/workload"
)

// TestLacking: a plan that is only displayed tells what the caller may not do; a session's own plan leaves
// that to the server.
func TestLacking(t *testing.T) {
	preview := func(o *Options) { o.Preview = true }
	all := workload.Access{DeletePods: true, WatchPods: true, AttachPods: true, ExecPods: true,
		CreatePods: true, CreateJobs: true, PatchJobs: true, PatchEphemeral: true}
	without := func(change func(*workload.Access)) workload.Access {
		some := all
		change(&some)
		return some
	}
	for _, tt := range []struct {
		name         string
		access       workload.Access
		clone, debug []string
	}{
		{"nothing", all, nil, nil},
		{"create pods", without(func(a *workload.Access) { a.CreatePods = false }), []string{"create pods"}, nil},
		{"delete", without(func(a *workload.Access) { a.DeletePods = false }), []string{"delete pods"}, nil},
		{"ephemeral containers", without(func(a *workload.Access) { a.PatchEphemeral = false }), nil,
			[]string{"patch pods/ephemeralcontainers"}},
		{"patch jobs", without(func(a *workload.Access) { a.PatchJobs = false }), []string{"patch jobs"},
			[]string{"patch jobs"}},
		{"watch, attach and jobs", without(func(a *workload.Access) {
			a.WatchPods, a.AttachPods, a.CreateJobs = false, false, false
		}), []string{"watch pods", "create pods/attach", "create jobs"},
			[]string{"watch pods", "create pods/attach", "create jobs"}},
	} {
		for mode, want := range map[Mode][]string{ModeClone: tt.clone, ModeDebug: tt.debug} {
			var got []string
			for _, note := range options(preview).lacking(&workload.Workload{Access: tt.access}, mode) {
				got = append(got, note.What)
			}
			for i, what := range want {
				want[i] = "you are not allowed to " + what
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: %q, want %q", tt.name, mode, got, want)
			}
		}
		if notes := options().lacking(&workload.Workload{}, ModeClone); len(notes) > 0 {
			t.Errorf("a session's plan tells %+v", notes)
		}
	}
}

// TestFull: an explanation says with what a debug container's process ends.
func TestFull(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"with its shell, 2m after its client, after 8h at the latest": func(*Options) {},
		"with its command, 2m after its client, after 8h at the latest": func(o *Options) {
			o.Command = []string{"id"}
		},
		"with kubectl eshell delete, after 8h at the latest": func(o *Options) { o.Detach = true },
	} {
		p, err := Debug(deployment(running), options(change, func(o *Options) { o.Preview = true }))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(p.Notes, Note{Detail, "its process ends", want}) {
			t.Errorf("no note says %q: %+v", want, p.Notes)
		}
	}
}
