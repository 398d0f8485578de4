#!/usr/bin/env bash
# Shows the plugin at work on a real cluster: the embedded one, or the one that ESHELL_E2E_CONTEXT
# names. On a terminal it ends in the shell of a clone.
set -euo pipefail
cd "$(dirname "$0")/../.."

namespace=eshell-demo
bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }

# quoted writes words as a person would: in single quotes only where they need them.
quoted() {
	local word
	for word; do
		[[ $word =~ ^[A-Za-z0-9_./=,:-]+$ ]] || word="'$word'"
		printf ' %s' "$word"
	done
}

# show prints a command as one would type it and runs it, whatever its exit status.
show() {
	printf '%s$%s%s\n' "$bold" "$(quoted "$@")" "$plain"
	local status=0
	"$@" || status=$?
	[ $status = 0 ] || echo "(exit status $status)"
}

# cluster is compiled with the flags of the Makefile's CLUSTER.
cluster() { CGO_ENABLED=0 go run -trimpath -gcflags=all=-dwarf=false ./test/cluster "$@"; }

# offer_kind names the faster way to a first shell, where it is at hand.
offer_kind() {
	if command -v docker >/dev/null && command -v kind >/dev/null; then
		echo 'docker and kind are here. This is faster: kind create cluster && kind load image-archive' \
			'"$(go run ./test/cluster images)" && ESHELL_E2E_CONTEXT=kind-kind make demo' >&2
	fi
}

choose_cluster() {
	if [ -z "${ESHELL_E2E_CONTEXT:-}" ]; then
		offer_kind
		ESHELL_KUBECTL=$(command -v kubectl || true) cluster up >/dev/null
		eval "$(cluster env)"
	elif current=$(kubectl config current-context) && [ "$current" != "$ESHELL_E2E_CONTEXT" ]; then
		echo "ESHELL_E2E_CONTEXT is $ESHELL_E2E_CONTEXT, but the current context is $current: nothing was touched" >&2
		exit 1
	fi
	export PATH=$PWD/bin:$PATH
}

deploy() {
	kubectl get namespace $namespace >/dev/null 2>&1 || kubectl create namespace $namespace
	kubectl apply -n $namespace -f test/demo/api.yaml
	kubectl rollout status -n $namespace deployment/api --timeout=120s
}

# farewell says what is left, also when the demo was interrupted.
farewell() {
	say "To go on"
	if [ -z "${ESHELL_E2E_CONTEXT:-}" ]; then cluster env; fi
	echo "export PATH=$PWD/bin:\$PATH"
	echo "kubectl eshell -n $namespace deploy/api"
	say "To remove everything"
	if [ -z "${ESHELL_E2E_CONTEXT:-}" ]; then
		echo "make cluster-down clean; rm -r ${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-eshell"
	else
		echo "kubectl delete namespace $namespace; make clean"
	fi
}

say "A Kubernetes, and an application of two pods behind a Service"
choose_cluster
trap farewell EXIT
deploy

say "A command in a clone: the application's image and environment, in a pod of its own"
show kubectl eshell -n $namespace deploy/api -- sh -c 'echo "I am $HOSTNAME, RAILS_ENV is $RAILS_ENV"'

say "What a clone is, and why: nothing selects it, nothing of it serves"
show kubectl eshell -n $namespace deploy/api --explain

say "The exit status is the command's, stdout is its output alone"
show kubectl eshell -n $namespace deploy/api -q -e RAILS_ENV=staging --memory 64Mi -- sh -c 'echo $RAILS_ENV; exit 7'

say "A debug container sees the processes of a running pod"
show kubectl eshell -n $namespace deploy/api --mode debug -- ps -o pid,user,comm

say "Nothing is left: two pods of the application, none of ours"
kubectl wait -n $namespace --for=delete pods -l app.kubernetes.io/managed-by=kubectl-eshell --timeout=30s >/dev/null
show kubectl get pods -n $namespace

if [ -t 0 ] && [ -t 1 ]; then
	say "And a shell for you. Leave it with exit: the pod goes with it"
	show kubectl eshell -n $namespace deploy/api
fi
