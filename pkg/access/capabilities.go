package access

import (
	"slices"
	"strings"
)

// The modes of sessions, and the ways in which their commands run.
const (
	Clone  = "clone"
	Debug  = "debug"
	Exec   = "exec"
	Attach = "attach"
)

// Workloads is the name of the capability to read a workload that is named.
const Workloads = "workloads"

// Permission is a verb on a resource in a namespace.
type Permission struct {
	Verb, Group string
	Resource    string // with its subresource: "pods/exec"
}

// String returns the permission in words that kubectl auth can-i understands: "list deployments.apps".
func (p Permission) String() string {
	if p.Group == "" {
		return p.Verb + " " + p.Resource
	}
	return p.Verb + " " + p.Resource + "." + p.Group
}

// Degree is how much a capability depends on a permission.
type Degree int

// The degrees.
const (
	Must   Degree = iota // it is not possible without it
	Should               // it is possible without it, but not as it is meant to be
	May                  // a part of it is lost without it
)

// Need is a permission that a capability needs.
type Need struct {
	Permission
	Degree  Degree
	Without string // what is lost without it, as the end of a sentence: "no clone is possible"
	Via     string // only where commands run this way; empty: always
	Mode    string // only where there are sessions of this mode; empty: always
}

// Capability is something that eshell does for a user who is allowed to.
type Capability struct {
	Name  string
	About string // what it is, in a few words
	Mode  string // which mode it belongs to; empty: to both
	// Session reports that no session is possible without it.
	Session bool
	// Any reports that one of its needs of degree Must is enough: each is for a part of it.
	Any   bool
	Needs []Need
}

// Scope is what a user is to be able to do.
type Scope struct {
	Mode string // empty: sessions of both modes
	Via  string // empty: by exec, or else by attach
}

// Capabilities returns what eshell can do within a scope, each with the needs that it has there. It is the
// one place that says which permission is for what.
func Capabilities(scope Scope) []Capability {
	var within []Capability
	for _, c := range slices.Concat(sessions(), features(), commands()) {
		if outside(c.Mode, scope.Mode) {
			continue
		}
		if c.Name == "attach" && scope.Via == Attach { // whoever is not to exec has no second shell
			continue
		}
		c.Needs = slices.DeleteFunc(slices.Clone(c.Needs), func(n Need) bool {
			return outside(n.Via, scope.Via) || outside(n.Mode, scope.Mode)
		})
		for i, n := range c.Needs {
			if c.Session && n.Resource == "pods/exec" && scope.Via == Exec {
				c.Needs[i].Degree, c.Needs[i].Without = Must, "no session by exec is possible"
			}
		}
		within = append(within, c)
	}
	return within
}

// outside reports whether what is for one mode or way only is for another one than those of the scope.
func outside(only, scope string) bool { return only != "" && scope != "" && only != scope }

// need returns a need. The resource has its group after a dot, as for kubectl.
func need(degree Degree, verb, resource, without string) Need {
	name, group, _ := strings.Cut(resource, ".")
	return Need{Permission: Permission{verb, group, name}, Degree: degree, Without: without}
}

// each returns the same need for several resources.
func each(degree Degree, verb, without string, resources ...string) (needs []Need) {
	for _, resource := range resources {
		needs = append(needs, need(degree, verb, resource, without))
	}
	return needs
}

// by returns a need that only one of the ways has.
func by(via string, n Need) Need {
	n.Via = via
	return n
}

// in returns a need that only the sessions of one mode have.
func in(mode string, n Need) Need {
	n.Mode = mode
	return n
}

// sessions are what no session is possible without.
func sessions() []Capability {
	const unseen = "no session is possible: eshell could not see it start"
	const unattached = "no session but a clone with --detach is possible: eshell keeps it alive by attaching"
	const unread = "a session ends when the API server restarts"
	const logged = "the command runs by attach: what is typed and shown is in the container's log"
	return []Capability{
		{Name: Workloads, About: "read the workload that is named", Session: true, Any: true,
			Needs: each(Must, "get", "no session of a workload of this type is possible", "pods",
				"deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps",
				"cronjobs.batch", "jobs.batch", "replicationcontrollers", "services")},
		{Name: "clone", About: "a session in a new pod", Mode: Clone, Session: true, Needs: []Need{
			need(Must, "create", "pods", "no clone is possible"),
			need(Must, "watch", "pods", unseen),
			need(Must, "delete", "pods", "no clone is possible: eshell could not remove it"),
			need(Must, "create", "pods/attach", unattached),
			by(Exec, need(Should, "create", "pods/exec", logged)),
			need(May, "get", "pods", unread),
		}},
		{Name: "debug", About: "a session in a container that is added to a running pod", Mode: Debug,
			Session: true, Needs: []Need{
				need(Must, "patch", "pods/ephemeralcontainers", "no debug session is possible"),
				need(Must, "watch", "pods", unseen),
				need(Must, "create", "pods/attach", unattached),
				by(Exec, need(Should, "create", "pods/exec", logged)),
				by(Attach, need(May, "create", "pods/exec",
					"a command by attach whose client is gone runs on until --ttl is over")),
				need(Should, "list", "pods", "only a pod can be named, not its workload"),
				need(May, "get", "pods", unread),
			}},
	}
}

// features are what a session does without, at a price.
func features() []Capability {
	const spdy = "streams are SPDY and not WebSockets, which more proxies pass on"
	return []Capability{
		{Name: "streams", About: "streams over WebSockets", Needs: []Need{
			by(Exec, need(May, "get", "pods/exec", spdy)),
			need(May, "get", "pods/attach", spdy),
		}},
		{Name: "lease", About: "what a client leaves behind ends by itself", Needs: []Need{
			need(Must, "create", "jobs.batch", "a session has no lease: what kill -9 leaves stays"),
			need(May, "patch", "jobs.batch", "a session's lease lasts for all of --ttl, and is not renewed"),
			need(May, "delete", "jobs.batch", "a session's lease is there for some seconds more"),
		}},
		{Name: "labels", About: "a clone keeps the labels by which nothing selects it", Mode: Clone,
			Needs: each(Must, "list", "a clone has none of its workload's labels", "services",
				"poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io", "deployments.apps",
				"statefulsets.apps", "daemonsets.apps", "replicasets.apps", "replicationcontrollers",
				"jobs.batch")},
		{Name: "claims", About: "a clone runs where its volumes are", Mode: Clone, Needs: []Need{
			need(May, "get", "persistentvolumeclaims", "--volumes fresh is not possible for a claim"),
			need(May, "list", "pods", "a clone might not run on the node that has its volume"),
		}},
		{Name: "pin", About: "--pin, and a service without a workload", Mode: Clone, Needs: []Need{
			need(Must, "list", "pods", "--pin is not possible"),
		}},
		{Name: "revision", About: "--revision", Mode: Clone, Any: true, Needs: []Need{
			need(Must, "list", "replicasets.apps", "a deployment has no --revision"),
			need(Must, "list", "controllerrevisions.apps", "a statefulset or daemonset has no --revision"),
		}},
		{Name: "explain", About: "why a session does not start", Needs: []Need{
			need(May, "list", "events", "eshell cannot tell why a volume or a network is missing"),
			need(May, "get", "pods/log", "the log of a container that failed is not shown"),
		}},
		{Name: "choose", About: "a list of workloads, completion, what a name was meant to be",
			Any: true, Needs: each(Must, "list", "no workload of this type is offered", "deployments.apps",
				"statefulsets.apps", "daemonsets.apps", "cronjobs.batch", "jobs.batch", "pods")},
	}
}

// commands are those for existing sessions.
func commands() []Capability {
	const detached = "a detached debug session cannot be ended"
	listed := func(degree Degree) []Need {
		return []Need{
			in(Clone, need(degree, "list", "pods", "clones are not listed")),
			need(degree, "list", "jobs.batch", "leases and debug sessions are not listed"),
		}
	}
	return []Capability{
		{Name: "attach", About: "one more shell in a session", Needs: append([]Need{
			need(Must, "create", "pods/exec", "no shell joins a session"),
			need(Must, "get", "pods", "no shell joins a session"),
			in(Debug, need(May, "get", "jobs.batch", "no shell joins a debug session")),
			need(May, "patch", "jobs.batch", "a session's owner is not told who attaches"),
		}, listed(May)...)},
		{Name: "list", About: "the sessions", Any: true, Needs: append(listed(Must),
			in(Debug, need(May, "get", "pods", "the state of a debug session is not known")),
			need(May, "get", "jobs.batch", "a session's lease cannot be listed by its name"),
			in(Clone, need(May, "get", "pods", "a clone cannot be listed by its name")))},
		{Name: "delete", About: "end a session", Any: true, Needs: append([]Need{
			need(Must, "delete", "jobs.batch", "no debug session is ended, and no clone by its lease"),
			in(Clone, need(Must, "delete", "pods", "a clone without a lease cannot be ended")),
			need(May, "get", "jobs.batch", "a session's client is not told who has ended it"),
			need(May, "patch", "jobs.batch", "a session's client is not told who has ended it"),
			in(Debug, need(May, "create", "pods/attach", detached)),
			in(Debug, need(May, "get", "pods", detached)),
		}, listed(May)...)},
		{Name: "extend", About: "give a session more time", Needs: append([]Need{
			need(Must, "get", "jobs.batch", "no session is extended"),
			need(Must, "patch", "jobs.batch", "no session is extended"),
			need(Must, "list", "jobs.batch", "no session is extended"),
		}, listed(May)[0])},
		{Name: "gc", About: "remove what clones have left", Mode: Clone, Needs: append([]Need{
			need(Must, "list", "pods", "no clone is removed"),
			need(Must, "delete", "pods", "no clone is removed"),
			need(May, "get", "jobs.batch", "a clone whose lease is gone is not removed"),
			need(May, "get", "pods", "a lease whose clone is gone is not removed"),
			need(May, "delete", "jobs.batch", "no lease is removed"),
		}, listed(May)[1])},
	}
}

// Answer is whether something works.
type Answer string

// The answers.
const (
	Yes    Answer = "yes"
	Partly Answer = "partly"
	No     Answer = "no"
)

// Judge returns whether a capability is there without some permissions, and which of its needs are not met.
func (c Capability) Judge(lacking []Permission) (answer Answer, unmet []Need) {
	musts, unmetMusts := 0, 0
	for _, n := range c.Needs {
		is := slices.Contains(lacking, n.Permission)
		if is {
			unmet = append(unmet, n)
		}
		if n.Degree == Must {
			musts++
			if is {
				unmetMusts++
			}
		}
	}
	switch {
	case len(unmet) == 0:
		return Yes, nil
	case unmetMusts == 0 || c.Any && unmetMusts < musts:
		return Partly, unmet
	}
	return No, unmet
}
