package run

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/agent"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/session"
)

// A shell cannot be had where the image has none, and exec is not replaced when it was asked for.
// What could help is in the hint.
func TestWithoutShellThereIsNoOtherWay(t *testing.T) {
	const bring, another = "--toolbox busybox:musl", "--image IMAGE"
	tests := []struct {
		name string
		mode plan.Mode
		o    plan.Options
		hint string
	}{
		{"no command", "", plan.Options{}, bring},
		{"exec was asked for", "", plan.Options{Command: []string{"id"}, Via: agent.ViaExec}, bring},
		{"attach for a shell", "", plan.Options{Via: agent.ViaAttach}, bring},
		{"exec for a shell too", "", plan.Options{Via: agent.ViaExec}, bring},
		{"the toolbox has none", "", plan.Options{Toolbox: "scratch"}, "--toolbox busybox:musl"},
		{"a command that is detached needs none", "", plan.Options{Command: []string{"sh"}, Detach: true},
			bring},
		{"a running pod", plan.ModeDebug, plan.Options{}, another},
		{"a running pod and a command", plan.ModeDebug, plan.Options{Command: []string{"id"}}, another},
	}
	noShell := fmt.Errorf("container app: %w", diagnosis.ErrNoShell)
	for _, tt := range tests {
		told := &told{}
		r := Request{Mode: tt.mode, Plan: tt.o, Session: session.Config{Reporter: told}}
		status, err := r.startWithoutShell(t.Context(), found(), &plan.Plan{}, noShell)
		if err == nil || err.Error() != noShell.Error() || !strings.Contains(hint.Of(err), tt.hint) ||
			status != 0 || told.String() != "" {
			t.Errorf("%s: status %d, error %v, hint %q, told %q; want the error and a hint at %s", tt.name,
				status, err, hint.Of(err), told.String(), tt.hint)
		}
	}
}
