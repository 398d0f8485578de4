package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-eshell/kubectl-eshell/pkg/diagnosis"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/ephemeral"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/hint"
	"github.com/kubectl-eshell/kubectl-eshell/pkg/plan"
)

// createLeased creates what the plan describes and renews the lease: from then on, or sooner if the create
// is answered late. A proxy may hold it back until somebody approves it.
func (s *session) createLeased(ctx context.Context) (leased context.Context, stopRenewing func(error) error,
	err error) {
	creating, created := context.WithCancel(ctx)
	leased, stopRenewing = s.renewLease(ctx, creating)
	err = s.create(leased)
	created()
	if err != nil {
		return nil, nil, stopRenewing(err)
	}
	return leased, stopRenewing, nil
}

// create creates what the plan describes, and watches the pod in which the session runs.
func (s *session) create(ctx context.Context) error {
	s.enter(requested)
	watch := requestWatch(context.WithoutCancel(ctx), s.Client, s.plan.Namespace, s.plan.PodName)
	what := "the create of " + s.where()
	answered, cancel := AnsweredWithin(ctx, s.StartTimeout, what)
	defer cancel()
	over := AwaitAnswer(s.Reporter, s.StartTimeout, what)
	pod, err := send(answered, s.Client, s.plan, s.Write)
	over()
	if err != nil {
		watch.stop()
		if isRefused(err) {
			s.enter(planned)
		}
		return Interrupted(ctx, Interrupted(answered, err))
	}
	s.enter(created)
	s.isThere.Store(true)
	s.uid = pod.UID
	s.Reporter.Created(s.plan)
	if err := watch.begin(pod); err != nil {
		return Interrupted(ctx, err)
	}
	s.watch = watch
	return nil
}

// AnsweredWithin returns a context for a create that is to be answered within a time, and outlives ctx by
// answerTimeout: a request that is broken off may still be processed, after the delete that was to undo it.
// what is the request, in the words of its error.
func AnsweredWithin(ctx context.Context, within time.Duration, what string) (context.Context,
	context.CancelFunc) {
	late := hint.Wrap(fmt.Errorf("the server did not answer %s within %s", what, within), waitLonger(within))
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	limited, end := context.WithTimeoutCause(longer, within, late)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(answerTimeout, func() { cancel(context.Cause(ctx)) })
	})
	return limited, func() {
		stop()
		end()
		cancel(nil)
	}
}

// AwaitAnswer tells what request the server has not answered, once that takes longer than usual. over ends
// it.
func AwaitAnswer(told Reporter, within time.Duration, what string) (over func()) {
	what = "the server's answer to " + what
	var mu sync.Mutex // nothing is told any more when over has returned
	isTold, isOver := false, false
	tell := func(after time.Duration, how func()) *time.Timer {
		return time.AfterFunc(after, func() {
			mu.Lock()
			defer mu.Unlock()
			if !isOver {
				isTold = true
				how()
			}
		})
	}
	slow := tell(slowTime, func() { told.Waiting(what) })
	held := tell(heldTime, func() {
		told.Trouble(what, "a proxy might be waiting for somebody's approval; "+
			waitLonger(within))
	})
	return sync.OnceFunc(func() {
		mu.Lock()
		defer mu.Unlock()
		isOver = true
		slow.Stop()
		held.Stop()
		if isTold {
			told.Ready()
		}
	})
}

func waitLonger(than time.Duration) string {
	return fmt.Sprintf("wait longer: --start-timeout %s", 5*than)
}

const (
	// slowTime is how long a request may take before it is reported.
	slowTime = 3 * time.Second
	// heldTime is how long it may take before it is likely to be held back.
	heldTime = 12 * time.Second
)

// Write is how the server is to take what a session creates: its pod, or its ephemeral container.
type Write struct {
	FieldManager string // empty: what the server makes of the client's name
	// FieldValidation is what the server does about fields that it does not know, one of metav1's
	// FieldValidation values; empty: it warns.
	FieldValidation string
	dryRun          bool
}

// DryRun sends what Run would create as a dry run: the server checks it but does not store it. DryRun returns
// the pod as the server would store it. It is stricter than Run, unless w says otherwise: a field that the
// server does not know is an error. It needs the same permissions to create as Run.
func DryRun(ctx context.Context, client kubernetes.Interface, p *plan.Plan, w Write) (*corev1.Pod, error) {
	w.FieldValidation, w.dryRun = cmp.Or(w.FieldValidation, metav1.FieldValidationStrict), true
	return send(ctx, client, p, w)
}

// send creates the plan's pod, or adds its ephemeral container, and returns the pod.
func send(ctx context.Context, client kubernetes.Interface, p *plan.Plan, w Write) (pod *corev1.Pod,
	err error) {
	if p.Ephemeral != nil {
		pod, err = add(ctx, client, p, w)
	} else {
		options := metav1.CreateOptions{FieldManager: w.FieldManager, FieldValidation: w.FieldValidation}
		if w.dryRun {
			options.DryRun = []string{metav1.DryRunAll}
		}
		if pod, err = client.CoreV1().Pods(p.Namespace).Create(ctx, p.Pod, options); err != nil {
			err = fmt.Errorf("create pod/%s in namespace %s: %w", p.PodName, p.Namespace, err)
		}
	}
	if err != nil {
		return nil, diagnosis.Refusal(err, p.Namespace, p.Pod, p.Container)
	}
	return pod, nil
}

// add adds the plan's ephemeral container to its pod. The plan has checked what depends on the pod's spec and
// status.
func add(ctx context.Context, client kubernetes.Interface, p *plan.Plan, w Write) (*corev1.Pod, error) {
	options := []ephemeral.Option{ephemeral.FieldManager(w.FieldManager),
		ephemeral.FieldValidation(w.FieldValidation)}
	if w.dryRun {
		options = append(options, ephemeral.DryRun())
	}
	planned := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.PodName, UID: p.PodUID}}
	pod, err := ephemeral.New(client, p.Namespace).Add(ctx, planned, *p.Ephemeral, options...)
	if errors.Is(err, ephemeral.ErrUnsupported) {
		err = hint.Wrap(err, "leave out --mode debug for a clone")
	}
	return pod, err
}

// isRefused reports whether err is a response that refuses the request. It is false for a failure after which
// the server might still have acted: a lost connection, a timeout, an internal error after the write.
func isRefused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError &&
		code != http.StatusRequestTimeout
}
