package agent

import (
	"slices"
	"strings"
)

// scriptHead begins each script that is a container's process.
const scriptHead = "# kubectl-eshell: "

// idlerHead begins idlerScript. It must stay as it is: eshell recognizes the idlers of other releases by it.
const idlerHead = scriptHead + "ends when it is told to"

// holderScript is the process of a container whose shell runs by exec. Every line on stdin is a heartbeat. It
// ends at the end of stdin (the client is gone), after $1 seconds without a heartbeat (the client or the
// network hangs), after $2 seconds without a first heartbeat (nobody has attached), and on TERM. Its
// container and every process in it end with it. After silence it ends as a failure: a pod that nobody
// attends must not look like one whose command has succeeded.
//
// The line tellStay makes it live until TERM, without a client: it answers with a line. (Without a sleep in
// the image it cannot wait, and does not answer.) For a clone only, which ends with its lease. The reader can
// pass it on before it has its name: it is then the last child.
//
// It looks at the clock eight times in $1 seconds, but at least every 15 s. bash and busybox have a read that
// waits no longer than that, so the script is one process there. "read -t 0" reports whether there is
// anything to read. If there is and read then fails, that is the end. dash has no such read, and in other
// shells "read -t 0" might read. If there is no bash to take over, a sleep in the background is the clock,
// and another background process reads stdin. (bash reads no $BASH_ENV with --posix.)
//
// POSIX lets a trap interrupt wait, but not read. Both processes are ended by KILL: a child that has just
// been forked still has the traps of the shell, and any other signal would be lost on it (dash, 1 of 10 under
// load). Once one of its signals ends the script, it ignores them: a second TERM would end it before it has
// ended its children. A heartbeat does not end the clock: a signal that comes between a command and wait does
// not wake wait, and the clock would then run for as long as it was set to. The script traps its signals
// because PID 1 has no default actions. It ends its children because nothing else would in a shared PID
// namespace: they would remain as zombies of an application that reaps none. ($! is a child that has no name
// yet because a signal came too early.) Without a sleep in the image the script still notices the end of
// stdin. The shell's own messages are discarded: shells report a killed child, and that would be logged.
const holderScript = scriptHead + `ends when its client is gone
limit=$1 bound=$2 tick=$(($1 / 8)) silent=0 heard= sleeper= reader=
[ $tick -gt 0 ] || tick=1
[ $tick -le 15 ] || tick=15
trap 'trap "" TERM INT HUP; exit 0' TERM INT HUP
exec 3<&0 2>/dev/null
stay() {
  command -v sleep >/dev/null || return
  trap '' USR1 USR2
  reader=${reader:-$!}
  [ -z "$reader" ] || { kill -KILL $reader; wait $reader; }
  echo ` + staying + `
  trap 'kill -KILL $!; wait $!' EXIT
  while :; do
    sleep 3600 </dev/null 3<&- &
    wait $!
  done
}
check() {
  if [ "$heard" ]; then
    heard= silent=0 bound=$limit
  else
    silent=$((silent + tick))
    [ $silent -lt $bound ] || exit 125
  fi
}
read -r -t 1 beat </dev/null
if [ $? = 1 ] && read -r -t 0 beat </dev/null; then
  while :; do
    beat=
    if read -r -t $tick beat; then
      heard=1
    elif read -r -t 0 beat; then
      read -r -t 1 beat || exit 0
      heard=1
    fi
    [ "$beat" != stay ] || stay
    check
  done
fi
if [ "$` + ScriptsVariable + `" ] && bash --posix -c :; then
  exec bash --posix -c '` + runScript + `' "$0" "$@"
fi
trap 'kill -KILL $! $sleeper $reader; wait $! $sleeper $reader' EXIT
trap 'heard=1' USR1
trap stay USR2
(
  while read -r beat; do
    while [ "$beat" = stay ] && command -v sleep >/dev/null; do
      kill -USR2 $$
      sleep 1
    done
    kill -USR1 $$
  done
  kill -TERM $$
) <&3 3<&- &
reader=$!
while command -v sleep >/dev/null; do
  sleep $tick </dev/null 3<&- &
  sleeper=$!
  until wait $sleeper; do kill -0 $sleeper || break; done
  check
done
while :; do wait $reader; done
`

// idlerScript is the process of a container that nobody attends. Shells come and go beside it. It ends on the
// line tellEnd, at the end of stdin (which a client that leaves does not cause, without stdinOnce), and on
// TERM.
//
// If $2 is not empty, nothing else would end the container, so the script ends after $2 seconds. In that case
// it also ends as a failure if the line tellStay does not come within $1 seconds: its client died while it
// started. The reader ends the clocks itself, so that no signal can come before the wait for them. A clock
// that has been waited for is forgotten: its PID may be another process's by now.
const idlerScript = idlerHead + `
silence=$1 limit=$2 unheard= clock= reader=
if [ "$limit" ] && ! command -v sleep >/dev/null; then
  echo "no sleep is in the image's PATH: nothing would end this container in time" >&2
  exit 125
fi
trap 'trap "" TERM INT HUP; exit 0' TERM INT HUP
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

// The client writes tellStay and tellEnd to an idler, tellStay to a holder, and tellGo to a gate. Until it
// reads tellGo, a gate answers each line with gateReady.
const (
	tellStay  = "stay\n"
	tellEnd   = "end\n"
	tellGo    = "go"
	gateReady = "ready"
	staying   = "staying" // what a holder answers to tellStay
)

// gateScript is the process of a command whose streams may open too late or be lost: one that is attached to,
// or one beside a session that another client keeps. It holds the command back until the client reports that
// it receives output. It answers each line with "$2 ready", until the line is tellGo. (containerd forwards
// input before it has connected the output. An answer can be lost, and the command's output would be lost in
// the same way.) Then it prints $2, as the mark of the beginning, with its PID. If nobody is there for $1
// seconds, it ends. The reader ends the clock itself, so that no signal can come before the wait for it. The
// command is a child of the script and does not replace it: as PID 1 the command would ignore Ctrl-C.
//
// If $3 is not empty, the command is killed, as by killScript, after $3 seconds without a heartbeat. A
// heartbeat is a USR1 for the watchdog, whose PID is the second one after the mark. relayScript sends it. The
// command waits until the watchdog can receive signals. (Without a sleep in the image there is no watchdog.)
const gateScript = scriptHead + `starts when its client listens
` + sweepFunction + resizeFunction + `set +a
unset eshell_limit eshell_mark eshell_watch
unset eshell_sleeper eshell_reader eshell_unready eshell_watchdog
eshell_limit=$1 eshell_mark=$2 eshell_watch=$3 eshell_sleeper= eshell_reader= eshell_unready= eshell_watchdog=
shift 3
trap 'trap "" TERM INT HUP; exit 129' HUP
trap 'trap "" TERM INT HUP; exit 130' INT
trap 'trap "" TERM INT HUP; exit 143' TERM
trap 'kill -KILL $! $eshell_sleeper $eshell_reader; wait $! $eshell_sleeper $eshell_reader' EXIT
exec 3<&0 4>&2 2>/dev/null
if command -v sleep >/dev/null; then
  sleep "$eshell_limit" </dev/null >/dev/null 3<&- 4>&- &
  eshell_sleeper=$!
else
  eshell_watch=
fi
(
  while read -r line; do
    case $line in ` + tellGo + `*)
      resize "${line#` + tellGo + `}"
      [ -z "$eshell_sleeper" ] || kill -KILL $eshell_sleeper
      exit
    esac
    echo "$eshell_mark ` + gateReady + `"
  done
  kill -TERM $$
) <&3 3<&- 4>&- &
eshell_reader=$!
[ -z "$eshell_sleeper" ] || { wait $eshell_sleeper && exit 125; }
wait $eshell_reader
trap - EXIT TERM INT HUP
if [ "$eshell_watch" ]; then
  sleep "$eshell_watch" </dev/null >/dev/null 3<&- 4>&- &
  eshell_unready=$!
  (
    trap 'heard=1' USR1
    trap 'kill -KILL $!; wait $!; exit' TERM
    kill -KILL $eshell_unready
    while :; do
      heard=
      sleep "$eshell_watch" &
      eshell_sleeper=$!
      wait $eshell_sleeper
      [ "$heard" ] || {
        trap '' TERM
        read -r line </proc/self/stat
        set -- ${line##*) }
        [ "$4" = $$ ] || kill -KILL -$$ || kill -KILL $$
        eshell_watchdog=${line%% *} tries=0
        while sweep $$ $eshell_watchdog && [ $tries -lt 50 ]; do
          tries=$((tries + 1))
          sleep 0.1 || sleep 1
        done
        [ $tries -lt 50 ] || kill -KILL $$
        exit
      }
      kill -KILL $eshell_sleeper
      wait $eshell_sleeper
    done
  ) </dev/null >/dev/null 3<&- 4>&- &
  eshell_watchdog=$!
  wait $eshell_unready
fi
echo "$eshell_mark $$ $eshell_watchdog"
(exec "$@") <&3 2>&4 3<&- 4>&-
eshell_status=$?
[ -z "$eshell_watchdog" ] || { kill $eshell_watchdog; wait $eshell_watchdog; }
exit $eshell_status
`

// sweepFunction kills those processes of session $1 that have no children, and reports whether there were any
// processes. (This is a session of the kernel: an interactive shell gives each job a process group.) It
// spares the session's leader, which is the gate, and its watchdog $2 with the sleep that the watchdog waits
// for. Its callers kill from leaf to root, with a pause after each call, because a process that is killed
// together with its parent would remain as a zombie of an application that reaps none. (Runtimes make a
// container's process, and each process that they exec, the leader of a session.)
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

// resizeFunction gives the terminal the size $1, in the format of stty, if it has none yet. A runtime does
// that only after the command has started, and many commands look only once. (busybox's stty prefers the size
// in the environment.)
const resizeFunction = `resize() {
  [ -z "$1" ] || case $(unset LINES COLUMNS; stty size 2>/dev/null) in '' | '0 0') stty $1 2>/dev/null ;; esac
}
`

// killScript ends the command of gate $1, whose watchdog is $2. The gate ends with the command. If it does
// not, the script kills it. The script is run again if it takes long: the gate's PID may be another process's
// by then.
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

// relayScript passes each heartbeat, a line on stdin, on to the watchdog $1, as long as the watchdog exists.
// It acknowledges each with an empty line.
const relayScript = `while read -r beat && kill -USR1 "$1" 2>/dev/null; do echo; done`

// shellWords are words that are understood by every shell and are no programs.
const shellWords = "cd | export | source | . | alias | set | unset | eval | exec | exit | trap"

// NeedsShell reports whether a command that was not found may be meant for a shell: it is a whole line, or
// its first word is one of the shell's own.
func NeedsShell(command []string) bool {
	return len(command) == 1 && strings.ContainsAny(command[0], " \t|&;<>$") ||
		len(command) > 0 && slices.Contains(strings.Split(shellWords, " | "), command[0])
}

// launchScript sets TERM to $1, if that is not empty, gives the terminal the size $2, and becomes the command
// that follows, or else the best shell in the image. If there is no such command, it says so in its own
// words: each shell has others, with the line of the script.
const launchScript = resizeFunction + `unset ` + ScriptsVariable + ` ` + TargetVariable + ` ` +
	JoinVariable + `
[ -z "$1" ] || { TERM=$1; export TERM; }
resize "$2"
shift 2
if [ $# -gt 0 ]; then
  case $1 in ` + shellWords + `)
    echo "eshell: $1: not found: it is a word of the shell" >&2
    exit 127
  esac
  [ -e "$1" ] || command -v "$1" >/dev/null 2>&1 || {
    echo "eshell: $1: not found" >&2
    exit 127
  }
  exec "$@"
fi
if command -v bash >/dev/null 2>&1; then exec bash; fi
exec sh
`

// envScript sets variables that its input brings, prints $1 with its PID, and becomes the command that
// follows. envLines makes the lines: "set NAME" begins a variable, "add NAME WORD" adds what printf makes of
// WORD to its value, and "go" ends them. After "go none" the command has no input. The words are printable
// ASCII and the lines short, because a terminal changes control characters and drops what is longer than 4095
// bytes (termios(3), canonical mode). What a terminal echoes comes before $1, which the client waits for. If
// $2 is envBegins, there are no variables, and nothing is read.
//
// The value of a variable is in no argument of a process: printf is built into dash, bash and busybox.
const envScript = `set +a
unset eshell_end eshell_what eshell_name eshell_word
eshell_end=$1 eshell_what=$2
shift 2
while [ "$eshell_what" != ` + envBegins + ` ] && read -r eshell_what eshell_name eshell_word; do
  case $eshell_what in
  set) eval "$eshell_name=; export $eshell_name" ;;
  add)
    eshell_word=$(printf %b. "$eshell_word")
    eval "$eshell_name=\$$eshell_name\${eshell_word%.}"
    ;;
  go) eshell_what=` + envBegins + ` ;;
  esac 2>/dev/null
done
[ "$eshell_what" = ` + envBegins + ` ] || exit 125
[ "$eshell_name" != none ] || exec </dev/null
echo "$eshell_end$$"
exec "$@"
`

// envBegins tells envScript that no variables come.
const envBegins = "begin"

// What a command reads: the user's input, or nothing.
const (
	inputStdin = "stdin"
	inputNone  = "none"
)

// drainScript runs launchScript ($3 and what follows) for a command whose stdin may be more than it reads.
// When the command has ended, nothing would empty the pipe. The runtime would then hang or break the stream,
// and lose the exit status and the last of the output with it (kubectl exec and kubectl attach do). So the
// script reports the command's end on stdout and on stderr, by a line of a mark and its status. When both
// have arrived, the client ends its input, and the script reads what is still in transit. stdout and stderr
// stay open until the input has ended, because containerd closes stdin with either of them.
//
// Since Kubernetes 1.36 the kubelet closes a stream's connection as soon as the process has ended. If the
// client sends anything after that (it pings every 5 s), the API server drops the output that the client has
// not received yet: on a slow network the last megabytes. So the script waits for the end of its input even
// if the command has none: $2 is "stdin" if the command reads the input, and otherwise it reads /dev/null.
//
// A command can leave its stdout as one that does not block (O_NONBLOCK), and a full pipe then takes nothing:
// the report is tried again.
//
// Before the command begins, the script reports the mark by a line of $1 and an id that the kernel generates.
// The id is in no process's arguments or environment, so no output can be mistaken for the mark. (A command
// that reads the memory of its parent can still lie to its own user.) Where the kernel has no such file
// (gVisor), the id is empty, and no end is reported.
//
// "set +a" is for an image whose environment makes bash export every variable (SHELLOPTS=allexport). The
// shell's own messages are discarded, as in holderScript. The command has a subshell to itself: without one
// dash and busybox apply a command's redirections to the shell that waits for it.
const drainScript = `set +a
unset eshell_tag eshell_input eshell_id eshell_status
eshell_tag=$1 eshell_input=$2
shift 2
exec 3<&0 4>&2 5<&0 2>/dev/null
[ "$eshell_input" = ` + inputStdin + ` ] || exec 5</dev/null
read -r eshell_id </proc/sys/kernel/random/uuid
echo "$eshell_tag$eshell_id"
echo "$eshell_tag$eshell_id" >&4
[ "$eshell_id" ] || exec sh -c "$@" <&5 2>&4 3<&- 4>&- 5<&-
(exec sh -c "$@") <&5 2>&4 3<&- 4>&- 5<&-
eshell_status=$?
trap '' PIPE
report() {
  tries=0
  until echo "${eshell_tag%%eshell*}$eshell_id $eshell_status"; do
    tries=$((tries + 1))
    [ $tries -lt 30 ] && sleep 1 || break
  done
}
report
report >&4
if command -v cat >/dev/null; then cat <&3 >/dev/null; else while read -r eshell_id; do :; done <&3; fi
exit $eshell_status
`

// toolScript adds the toolbox at the end of PATH, after the image's own programs, and becomes the command
// that follows.
const toolScript = `PATH=${PATH:+$PATH:}` + Toolbox + `; export PATH; exec "$@"`

// fillScript fills the toolbox with a static busybox, which is the shell that runs this script, and a link to
// it for each of its programs. (It might not be found by name: busybox can have its programs built in.)
const fillScript = `cp /proc/$$/exe ` + Toolbox + `/busybox && ` + Toolbox + `/busybox --install -s ` +
	Toolbox
