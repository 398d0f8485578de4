package agent

// scriptHead begins each script that is a container's process.
const scriptHead = "# kubectl-eshell: "

// holderScript is the process of a container whose shell runs by exec. Every line on stdin is a sign of life.
// It ends at the end of stdin (the client is gone), after $1 seconds of silence (the client or the network
// hangs), before the first sign after $2 (nobody has attached), and on TERM; its container and every process
// in it end with it. Its end for silence is a failure: a pod that nobody attends must not look like one whose
// command has succeeded.
//
// It is plain POSIX: dash has no "read -t", so a sleep in the background is the clock and a reader in the
// background the ear; wait is what POSIX lets a trap interrupt, read is not. Both are ended by KILL: a child
// that has just been forked still has the traps of the shell, and any other signal would be lost on it (dash,
// 1 of 10 under load). The clock ticks eight times in $1 seconds, every 15 at least, and looks whether there
// was a sign of life: a signal that comes between a command and wait does not wake wait, and a clock that it
// had to end ran on for as long as it was set to. It traps its signals because PID 1 has no default actions,
// and takes its children along because in a shared PID namespace nobody else would: they would stay as
// zombies of an application that reaps none. ($! is a child that a signal came too early for to have a name.)
// Without a sleep in the image it still sees the end of stdin. The shell's own messages go nowhere: shells
// report a killed child, and that would be logged.
const holderScript = scriptHead + `ends when its client is gone
limit=$1 bound=$2 tick=$(($1 / 8)) silent=0 heard= sleeper= reader=
[ $tick -gt 0 ] || tick=1
[ $tick -le 15 ] || tick=15
trap 'exit 0' TERM INT HUP
trap 'kill -KILL $! $sleeper $reader; wait $! $sleeper $reader' EXIT
trap 'heard=1' USR1
exec 3<&0 2>/dev/null
(while read -r beat; do kill -USR1 $$; done; kill -TERM $$) <&3 3<&- &
reader=$!
while command -v sleep >/dev/null; do
  sleep $tick </dev/null 3<&- &
  sleeper=$!
  until wait $sleeper; do kill -0 $sleeper || break; done
  if [ "$heard" ]; then
    heard= silent=0 bound=$limit
  else
    silent=$((silent + tick))
    [ $silent -lt $bound ] || exit 125
  fi
done
while :; do wait $reader; done
`

// idlerScript is the process of a container that nobody attends: shells come and go beside it. It ends
// by the line tellEnd, by the end of stdin (which no client's leaving is, without stdinOnce), and on TERM.
//
// If $2 is not empty, nothing else would end the container: it ends after so many seconds. And if it is not
// told to stay within $1 seconds, by the line tellStay, it ends as a failure: its client died while it
// started. The reader ends the clocks itself, so there is no signal that could come before the wait for
// them. A clock that has been waited for is forgotten: its PID may be another process's by now.
const idlerScript = scriptHead + `ends when it is told to
silence=$1 limit=$2 unheard= clock= reader=
if [ "$limit" ] && ! command -v sleep >/dev/null; then
  echo "no sleep is in the image's PATH: nothing would end this container in time" >&2
  exit 125
fi
trap 'exit 0' TERM INT HUP
trap 'kill -KILL $! $unheard $clock $reader; wait $! $unheard $clock $reader' EXIT
exec 3<&0 2>/dev/null
if [ "$limit" ]; then
  sleep "$silence" </dev/null 3<&- &
  unheard=$!
  sleep "$limit" </dev/null 3<&- &
  clock=$!
fi
(
  while read -r line && [ "$line" != end ]; do
    [ "$line" != stay ] || { kill -KILL $unheard; unheard=; }
  done
  kill -KILL $unheard $clock
) <&3 3<&- &
reader=$!
if [ "$limit" ]; then
  wait $unheard && exit 125
  unheard=
fi
wait ${clock:-$reader}
exit 0
`

// What an idler is told, and a gate; and what a gate answers until it is told to open.
const (
	tellStay  = "stay\n"
	tellEnd   = "end\n"
	tellGo    = "go"
	gateReady = "ready"
)

// gateScript is the process of a command whose streams may come too late or be lost: one that is
// attached to, or one beside a session that somebody else keeps. It holds the command back until the
// client says that it hears: to each line it says "$2 ready", until the line is tellGo's. (containerd
// forwards input before it has connected the output: an answer can be lost, and with it what the
// command would say.) Then it prints $2 as the mark of the beginning, with its PID. Nobody there for $1
// seconds: it ends. The reader ends the clock itself, so there is no signal that could come before the
// wait for it.
// The command is its child, not its successor: as PID 1 it would be deaf to Ctrl-C.
//
// If $3 is not empty, the command is killed, as by killScript, after so many seconds without a sign of
// life: a USR1 for the watchdog, whose PID is the second of the mark's. relayScript sends it. The command
// waits until the watchdog can hear. (Without a sleep in the image there is no watchdog.)
const gateScript = scriptHead + `starts when its client listens
` + sweepFunction + resizeFunction + `limit=$1 mark=$2 watch=$3 sleeper= reader= unready= watchdog=
shift 3
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'kill -KILL $! $sleeper $reader; wait $! $sleeper $reader' EXIT
exec 3<&0 4>&2 2>/dev/null
if command -v sleep >/dev/null; then
  sleep "$limit" </dev/null >/dev/null 3<&- 4>&- &
  sleeper=$!
else
  watch=
fi
(
  while read -r line; do
    case $line in ` + tellGo + `*)
      resize "${line#` + tellGo + `}"
      [ -z "$sleeper" ] || kill -KILL $sleeper
      exit
    esac
    echo "$mark ` + gateReady + `"
  done
  kill -TERM $$
) <&3 3<&- 4>&- &
reader=$!
[ -z "$sleeper" ] || { wait $sleeper && exit 125; }
wait $reader
trap - EXIT TERM INT HUP
if [ "$watch" ]; then
  sleep "$watch" </dev/null >/dev/null 3<&- 4>&- &
  unready=$!
  (
    trap 'heard=1' USR1
    trap 'kill -KILL $!; wait $!; exit' TERM
    kill -KILL $unready
    while :; do
      heard=
      sleep "$watch" &
      sleeper=$!
      wait $sleeper
      [ "$heard" ] || {
        trap '' TERM
        read -r line </proc/self/stat
        set -- ${line##*) }
        [ "$4" = $$ ] || kill -KILL -$$ || kill -KILL $$
        watchdog=${line%% *} tries=0
        while sweep $$ $watchdog && [ $tries -lt 50 ]; do
          tries=$((tries + 1))
          sleep 0.1 || sleep 1
        done
        [ $tries -lt 50 ] || kill -KILL $$
        exit
      }
      kill -KILL $sleeper
      wait $sleeper
    done
  ) </dev/null >/dev/null 3<&- 4>&- &
  watchdog=$!
  wait $unready
fi
echo "$mark $$ $watchdog"
(exec "$@") <&3 2>&4 3<&- 4>&-
status=$?
[ -z "$watchdog" ] || { kill $watchdog; wait $watchdog; }
exit $status
`

// sweepFunction kills those processes of session $1 (in the kernel's sense: an interactive shell gives
// each job a process group) that have no children, and says whether there were any processes. It leaves
// out the session's leader, which is the gate, and its watchdog $2 with the sleep it waits for. From leaf
// to root, a pause each, because what is killed together with its parent would stay as a zombie of an
// application that reaps none. (Runtimes make what they exec, and a container's process, a session's
// leader.)
const sweepFunction = `sweep() {
  all= parents=
  for stat in /proc/[0-9]*/stat; do
    read -r line <"$stat" || continue
    set -- "$1" "$2" "${line%% *}" ${line##*) }
    [ "$7" != "$1" ] || [ "$3" = "$1" ] || [ "$3" = "$2" ] || [ "$5" = "${2:-none}" ] || [ "$4" = Z ] || {
      all="$all $3"
      parents="$parents $5 "
    }
  done
  for pid in $all; do
    case $parents in *" $pid "*) ;; *) kill -KILL $pid ;; esac
  done
  [ "$all" ]
}
`

// resizeFunction gives the terminal the size $1, in stty's words, if it has none yet: a runtime does that
// only after the command has started, and many a command looks once. (busybox's stty believes the
// environment first.)
const resizeFunction = `resize() {
  [ -z "$1" ] || case $(unset LINES COLUMNS; stty size 2>/dev/null) in '' | '0 0') stty $1 2>/dev/null ;; esac
}
`

// killScript ends the command of gate $1, whose watchdog is $2, and with it the gate, which it kills if
// that does not end. It is run again where it takes long: the gate's PID may be another process's by then.
const killScript = `exec 2>/dev/null
` + sweepFunction + `tries=0
while kill -0 "$1" && [ $tries -lt 20 ]; do
  sweep "$1" "$2"
  tries=$((tries + 1))
  sleep 0.1 || sleep 1 || break
done
! kill -0 "$1" || kill -KILL "$1"
exit 0
`

// relayScript passes each line on stdin, a sign of life, on to the watchdog $1, as long as there is one, and
// says so by an empty line.
const relayScript = `while read -r beat && kill -USR1 "$1" 2>/dev/null; do echo; done`

// launchScript sets TERM to $1, if it is not empty, gives the terminal the size $2, and becomes the
// command that follows, or else the best shell there is.
const launchScript = resizeFunction + `[ -z "$1" ] || { TERM=$1; export TERM; }
resize "$2"
shift 2
[ $# -eq 0 ] || exec "$@"
if command -v bash >/dev/null 2>&1; then exec bash; fi
exec sh
`

// drainScript runs launchScript ($2 and what follows) for a command whose stdin may be more than it reads.
// Nobody would empty the pipe after it: the runtime then hangs, or breaks the stream, and with it the exit
// status and the last of the output (kubectl exec and kubectl attach do). So the command's end is told on
// stderr, by a line of a mark and its status, the client ends its input, and what is still on the way is read
// here. stdout and stderr stay open until the input has ended: containerd closes stdin with either of them.
//
// The mark is told before the command begins, by a line of $1 and an id that the kernel makes: it is in no
// process's arguments or environment, so that no output can be taken for it. (A command that reads the memory
// of its parent can lie to its own user.) Where the kernel has none (gVisor) there is an empty id, and no end
// is told.
//
// The shell's own messages go nowhere, as the holder's do. The command has a subshell to itself: without one
// dash and busybox give a command's redirections to the shell that waits for it.
const drainScript = `tag=$1 id=
shift
exec 3<&0 4>&2 2>/dev/null
read -r id </proc/sys/kernel/random/uuid
echo "$tag$id" >&4
[ "$id" ] || exec sh -c "$@" <&3 2>&4 3<&- 4>&-
(exec sh -c "$@") <&3 2>&4 3<&- 4>&-
status=$?
printf '\036%s %s\n' "$id" "$status" >&4
if command -v cat >/dev/null; then cat <&3 >/dev/null; else while read -r line; do :; done <&3; fi
exit $status
`

// The scripts' names for themselves, in what a shell says about its own errors.
const (
	holderName = "eshell-holder"
	idlerName  = "eshell-idler"
	gateName   = "eshell-gate"
	relayName  = "eshell-relay"
	killName   = "eshell-kill"
	drainName  = "eshell-drain"
	launchName = "eshell"
	toolName   = "eshell-toolbox"
)

// toolScript puts the toolbox at the end of PATH, after the image's own programs, and becomes the
// command that follows.
const toolScript = `PATH=${PATH:+$PATH:}` + Toolbox + `; export PATH; exec "$@"`

// fillScript fills the toolbox with a static busybox, which is the shell that runs this, and a link to
// it for each of its programs. (By name it may not be found: busybox can have its programs built in.)
const fillScript = `cp /proc/$$/exe ` + Toolbox + `/busybox && ` + Toolbox + `/busybox --install -s ` +
	Toolbox
