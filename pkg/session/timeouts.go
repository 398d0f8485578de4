package session

import "time"

const (
	// answerTimeout is how long an interrupted session still waits for the answer to its create: the server
	// may act on it after the delete that was to undo it.
	answerTimeout = 5 * time.Second

	// cleanUpTimeout bounds the whole clean-up: the process of a terminal that was closed is killed soon.
	cleanUpTimeout = 15 * time.Second
	// retryInterval is how soon a request of the clean-up that failed is tried again.
	retryInterval = 250 * time.Millisecond
	// tryTimeout is how long one may hang before it is tried on a new connection.
	tryTimeout = cleanUpTimeout / 3
	// startingTimeout is how long a container whose image is on the node takes to start, and more: one that
	// was about to start can be ended only then.
	startingTimeout = 5 * time.Second
	// controllersDelay is how long Kubernetes' controllers may take from a lease's end to its pod's.
	controllersDelay = 30 * time.Second
	// goneTimeout is how long a deleted pod may take to go: its grace period, and a slow node.
	goneTimeout = time.Minute

	// statusTimeout is how long the kubelet may take to report a process that has ended: it looks once a
	// second, and its report queues behind those of other pods.
	statusTimeout = 2 * time.Minute
	// reasonTimeout is how long that may take where only the reason is not known.
	reasonTimeout = 15 * time.Second
	// brokenTimeout is how long a command whose stream broke may take to have ended, if it has.
	brokenTimeout = 5 * time.Second
	// settleTime is how long the pod's status gets to say that a stream has ended because its process has,
	// before the connection is taken for lost, and how often it is tried to bring it back.
	settleTime = time.Second
	// dialTimeout is longer than an API server waits for a node to answer, which before Kubernetes 1.36 it
	// does after it has opened the stream.
	dialTimeout = 35 * time.Second
	// holderDelay is how long the holder's stream may take to end after that of a command that got KILL,
	// where both got it.
	holderDelay = 2 * time.Second
	// togetherDelay is how soon after one another two streams end that are lost with the same connection.
	togetherDelay = 50 * time.Millisecond

	// lookTimeout bounds a look at events or a log: it is the last thing before an error that is due.
	lookTimeout = 3 * time.Second
)
