package agent

import "strings"

// TargetVariable is the variable of a debug container that tells its shells about the container beside which
// it runs. Its value is that of Target.String. The user's command does not get it.
const TargetVariable = "eshell_target"

// JoinVariable is the variable of a debug container whose session other shells can join.
const JoinVariable = "eshell_join"

// Target is the container whose processes a debug container sees.
type Target struct {
	ID string // as the runtime knows it: a part of the name of its cgroup
	// OwnProcesses reports that its first process is PID 1, because no other container shares its process
	// namespace.
	OwnProcesses bool
	Chroot       bool // shells run in its root filesystem
	Env          bool // shells have the environment of its first process
	// Keep are variables that Env leaves as they are, because the user has set or removed them.
	Keep []string
}

// String returns the value of TargetVariable: words that a shell can split, or "" without an ID. The words
// after the ID that are no names of variables begin with a colon, which no name contains.
func (t Target) String() string {
	if t.ID == "" {
		return ""
	}
	words := []string{t.ID}
	if t.OwnProcesses {
		words = append(words, ":own")
	}
	if t.Chroot {
		words = append(words, ":chroot")
	}
	if t.Env {
		words = append(append(words, ":env"), t.Keep...)
	}
	return strings.Join(words, " ")
}

// besideTarget returns the command for launch in a debug container: with $TARGET_ROOT and, if they were
// asked for, the environment of the target's first process and its root filesystem.
func besideTarget(o Options, launch []string) []string {
	if o.Target == nil {
		return launch
	}
	what := "shell"
	if len(o.Command) > 0 {
		what = "command"
	}
	if o.Target.Chroot {
		launch = append(o.script(chrootName, what), launch...)
	}
	if o.Target.Env {
		launch = append(o.script(environName, what), launch...)
	}
	return append(o.script(targetName), launch...)
}

// targetScript sets TARGET_ROOT, and becomes the command that follows.
//
// The target's first process is the oldest one in the cgroup of the target's container: PID 1 is the
// sandbox's with shareProcessNamespace, and the node's with hostPID. Where the kernel does not show the
// cgroup's name (gVisor), PID 1 is taken if the target has a process namespace of its own. Functions run in
// subshells, so that they set no variable that the image's environment exports.
const targetScript = `set +a
unset eshell_pid TARGET_ROOT
` + oldestFunction + `eshell_pid=
[ -z "$` + TargetVariable + `" ] || eshell_pid=$(oldest "${` + TargetVariable + `%% *}")
[ "$eshell_pid" ] || case "$` + TargetVariable + ` " in *" :own "*) eshell_pid=1 ;; esac
if [ "$eshell_pid" ]; then
  TARGET_ROOT=/proc/$eshell_pid/root
  export TARGET_ROOT
fi
exec "$@"
`

// environScript exports what the target's first process has in its environment, if TargetVariable asks for
// it, and becomes the command that follows. $1 is "command" or "shell". A command that cannot get the
// environment does not run: it would do something else than what it is for. A shell runs all the same,
// because its user reads the message. It is the same in chrootScript.
//
// A process can change what it shows as its environment. So the programs of this container come first in
// PATH, and the variables that make a program or a shell run other code are left out.
const environScript = `set +a
unset eshell_what eshell_line eshell_name eshell_value
` + environFunction + `eshell_what=$1
shift
case "$` + TargetVariable + ` " in *" :env "*)
  if eshell_value=$(environ "${TARGET_ROOT%/root}"); then
    for eshell_line in $eshell_value; do
      eshell_name=${eshell_line%%=*}
      case "${` + TargetVariable + `#* :env} " in *" $eshell_name "*) continue ;; esac
      eshell_value=$(printf %b. "${eshell_line#*=}")
      eshell_value=${eshell_value%.}
      if [ "$eshell_name" = PATH ]; then
        [ "$eshell_value" = "$PATH" ] || PATH=$PATH:$eshell_value
      else
        export "$eshell_name=$eshell_value"
      fi
    done
  elif [ $eshell_what = command ]; then
    exit 125
  fi
esac
exec "$@"
`

// chrootScript changes the root to that of the target's first process, if TargetVariable asks for it, and
// becomes the command that follows. The programs of this image come first in PATH: the target's own are run
// only by those who name what this image does not have. No shell writes its history into the target, and
// none that eshell starts runs the target's .bashrc or binds keys as its inputrc says.
const chrootScript = `set +a
unset eshell_what eshell_tools
` + oldestFunction + toolsFunction + wrapFunction + `eshell_what=$1
shift
case "$` + TargetVariable + ` " in *" :chroot "*)
  if eshell_tools=$(tools "$TARGET_ROOT"); then
    PATH=$eshell_tools:$PATH HISTFILE= INPUTRC=/dev/null
    eshell_tools=${eshell_tools%%/root/*}/root
    for eshell_tools in "$eshell_tools/etc" "$eshell_tools/lib" "$eshell_tools/usr/share"; do
      TERMINFO_DIRS=$TERMINFO_DIRS:$eshell_tools/terminfo
    done
    export PATH HISTFILE INPUTRC TERMINFO_DIRS
    [ $eshell_what = command ] || ! command -v bash >/dev/null || set -- "$@" bash --norc
    exec chroot "$TARGET_ROOT" sh -c 'cd "$0" 2>/dev/null; exec "$@"' "$PWD" "$@"
  elif [ $eshell_what = command ]; then
    exit 125
  fi
  echo "eshell: the shell runs in the debug container's own files; the target's are in $TARGET_ROOT" >&2
esac
exec "$@"
`

// oldestFunction prints the PID of the process that started first of those whose cgroups are named like $1
// or, without $1, of those of this container, which have its mount namespace.
// (proc_pid_stat(5): field 22 of a process's status is when it started, and its name is in parentheses.)
const oldestFunction = `oldest() {
  (
    first= since=
    for file in /proc/[0-9]*/cgroup; do
      pid=${file#/proc/}
      pid=${pid%/cgroup}
      if [ "/proc/$pid/ns/mnt" -ef "/proc/$$/ns/mnt" ]; then
        [ -z "$1" ] || continue
      else
        [ "$1" ] || continue
        cgroup=
        while read -r line; do cgroup="$cgroup $line"; done 2>/dev/null <"$file" || continue
        case $cgroup in *"$1"*) ;; *) continue ;; esac
      fi
      read -r line 2>/dev/null <"/proc/$pid/stat" || continue
      set -- "$1" ${line##*) }
      [ "$first" ] && [ "${21}" -ge "$since" ] && { [ "${21}" -gt "$since" ] || [ "$pid" -gt "$first" ]; } ||
        first=$pid since=${21}
    done
    echo "$first"
  )
}
`

// environFunction prints the environment with which the process of folder $1 was started, as lines of
// NAME=VALUE that contain nothing but printable ASCII: a byte of VALUE is written as printf's %b reads it. It
// leaves out names that a shell cannot export, those that are the shell's or the session's own, and those
// that make the C library or a shell run code. HOME is one of these: bash reads ~/.bashrc, and readline
// ~/.inputrc, which can bind a key to a command. The target can name a folder of its own: /proc/1/root/tmp.
const environFunction = `environ() {
  (
    missing() { echo "eshell: --env-from-process: $1" >&2; exit 1; }
    for tool in od tr sed; do
      command -v $tool >/dev/null || missing "$tool is not in the image's PATH"
    done
    [ "$1" ] || missing "there is no process of the target"
    bytes=$(od -An -v -to1 "$1/environ" 2>/dev/null) || missing "user $(id -u) is not allowed to read \
$1/environ, which takes root with SYS_PTRACE: --profile general has it, and --custom can set runAsUser: 0"
    printf ' %s 000' "$bytes" | tr -s ' \n' ' ' | sed 's/ /\\0/g; s/\\0000/\
/g' | sed 's/\\0075/=/' | while read -r line; do
      name=$(printf %b "${line%%=*}")
      case $name in
      '' | *[!A-Za-z0-9_]* | [0-9]*) ;;
      _ | PWD | OLDPWD | SHLVL | TERM | IFS | UID | EUID | PPID | OPT* | TARGET_ROOT | ESHELL_* | eshell_*) ;;
      LD_* | GLIBC_* | GCONV_PATH | ENV | BASH* | SHELLOPTS | PS[0-9] | PROMPT_* | HIST* | TMOUT) ;;
      FUNCNEST | HOME | INPUTRC | MAIL* | ZDOTDIR | FPATH | XDG_*) ;;
      *) printf '%s=%s\n' "$name" "${line#*=}" ;;
      esac
    done
  )
}
`

// toolsFunction prints a PATH with which the programs of this image run after a chroot to $1, or says why
// there can be no chroot.
//
// They are reached through the root of this container's first process, which is under /proc: nothing is
// written into the target's filesystem. A static program needs no more. A dynamic one names a loader and
// libraries that the target might lack, or have in other versions. So each program gets a script in this
// container, which runs it by this image's own loader. No program of this image could interpret that script,
// because it is dynamic too. But the kernel also takes a script for an interpreter (execve(2)): the
// interpreter's own interpreter is the loader, its argument --library-path, and the next argument, which is
// the interpreter's path, is the list of folders with libraries.
const toolsFunction = `tools() {
  (
    missing() { echo "eshell: --chroot: $1" >&2; exit 1; }
    root="which takes root with"
    has="--profile general has it, and --custom can set runAsUser: 0"
    command -v chroot >/dev/null || missing "chroot is not in the debug image's PATH"
    [ "$1" ] || missing "there is no process of the target"
    [ -d "$1/." ] ||
      missing "user $(id -u) is not allowed to see the target's files, $root SYS_PTRACE: $has"
    chroot / sh -c : 2>/dev/null ||
      missing "user $(id -u) is not allowed to change its root, $root SYS_CHROOT: $has"
    own=/proc/$(oldest "")/root
    [ -d "$1$own/." ] || missing "the target has no /proc, through which the tools are found"
    loader=
    while read -r address mode offset device inode file; do
      case $file in */ld-linux*.so* | */ld-musl*.so*) loader=$file; break ;; esac
    done </proc/$$/maps
    IFS=:
    path=
    for folder in $PATH; do path=$path:$own$folder; done
    [ "$loader" ] || { echo "${path#:}"; exit; }
    unset IFS
    for tool in mkdir ln readlink chmod; do
      command -v $tool >/dev/null || missing "$tool is not in the debug image's PATH"
    done
    all=/.eshell-chroot
    if [ ! -e $all/ready ]; then
      mkdir -p "$all/bin" "$all/lib/:" 2>/dev/null || missing "the debug container's own files are \
read-only, and its programs need a folder: --profile general leaves them writable"
      wrap "$own" "$all" "$(readlink -f "$loader")"
      : >$all/ready
    fi
    echo "$own$all/bin"
  )
}
`

// wrapFunction fills folder $2, which a process with root $1 sees, with a script for each program of PATH.
// The scripts run the programs by the loader $3, or directly if they are static, and a program that is a
// script by the script of its interpreter.
const wrapFunction = `wrap() {
  for folder in /lib /usr/lib /lib64 /usr/lib64 /lib/*-linux-* /usr/lib/*-linux-* /usr/local/lib; do
    libraries=
    for file in "$folder"/*.so*; do [ ! -f "$file" ] || libraries="$libraries $1$file"; done
    [ -z "$libraries" ] || ln -sf $libraries "$2/lib"
  done
  printf '#!%s --library-path\n' "$1$3" >"$2/lib/:/proc"
  shell=$(readlink -f /proc/$$/exe)
  ln -sf "$1$shell" "$2/sh"
  interpreter="$1$2/lib/:/proc $1$2/sh"
  "$3" --list "$shell" >/dev/null 2>&1 || interpreter=$1$2/sh
  run="$1$3 --library-path $1$2/lib" argv0=--argv0
  "$3" --argv0 sh "$shell" -c : 2>/dev/null || argv0=
  IFS=:
  for folder in $PATH; do
    for file in "$folder"/*; do
      [ -f "$file" ] && [ -x "$file" ] && [ ! -e "$2/bin/${file##*/}" ] || continue
      case $file in *"'"*) continue ;; esac
      program=$file line=
      [ ! -h "$file" ] || program=$(readlink -f "$file")
      read -r line <"$program"
      case $line in
      '#!'*)
        line=${line#??}
        line=${line#"${line%%[! ]*}"}
        by=${line%% *} more=
        [ "$by" = "$line" ] || more=${line#* }
        line="exec $1$2/bin/${by##*/} $more '$1$program' \"\$@\""
        ;;
      *)
        line="$run --list '$1$program' >/dev/null 2>&1 || exec '$1$program' \"\$@\"
exec $run ${argv0:+$argv0 '$1$file'} '$1$program' \"\$@\""
        ;;
      esac
      printf '#!%s\n%s\n' "$interpreter" "$line" >"$2/bin/${file##*/}"
    done
  done
  chmod -R a+rx "$2"
}
`
