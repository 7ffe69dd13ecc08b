#!/bin/bash
# Performs a lesson: types the commands of its page at a human pace, and waits for a key
# before each one runs. Any key runs it, `s` passes it over, `q` ends the demonstration.
#
#   scripts/demo.sh LESSON              LESSON is a name or a number: uts, or 1
#   scripts/demo.sh --tmux LESSON       beside or below it, what the host sees meanwhile
#   scripts/demo.sh --step LESSON       the lesson itself waits before each request, too
#   scripts/demo.sh --record LESSON     into target/recordings/LESSON.cast, with asciinema
#   scripts/demo.sh --list              which lessons there are
#
# What a page shows of several terminals is left to you: its commands belong to different shells.
# --fast types at once; --alone waits two seconds instead of for a key (none, with --fast).
set -euo pipefail

fail() { # WHAT HINT
    echo "error: $1" >&2
    echo "hint: $2" >&2
    exit 1
}

tmux='' step='' record='' fast='' alone='' list='' lesson=''
for argument; do
    case $argument in
        --tmux | --step | --record | --fast | --alone | --list) declare "${argument#--}=$argument" ;;
        -*) fail "'$argument' is not known" "scripts/demo.sh [--tmux] [--step] LESSON" ;;
        *) lesson=$argument ;;
    esac
done
cd "$(dirname "$0")/.."
programs=${CARGO_TARGET_DIR:-target}/debug

# --- which lesson

all_lessons() {
    local folder
    for folder in lessons/[0-9]*/README.md; do
        folder=${folder%/README.md}
        echo "${folder#lessons/}"
    done
}

# `uts`, `1`, `01` and `01-uts` are the same lesson.
find_lesson() {
    local folder
    for folder in $(all_lessons); do
        if [[ $lesson == "$folder" || $lesson == "${folder#*-}" || 0$lesson == "${folder%%-*}" ||
            $lesson == "${folder%%-*}" ]]; then
            page=lessons/$folder/README.md
            lesson=${folder#*-}
            return
        fi
    done
    fail "there is no lesson '$lesson'" "scripts/demo.sh --list"
}

# --- what an instructor would look at on the host; each is a line for sh(1)

files_of_groups() { # PATTERN: the control files of our groups, with what is in them
    echo "find /sys/fs/cgroup -path '*fakedocker*' -name '$1' -exec grep -H . {} + 2> /dev/null |
        sed 's|/sys/fs/cgroup/||' | sort"
}

host_view() {
    case $lesson in
        uts) echo 'hostname; domainname; readlink /proc/self/ns/uts' ;;
        ipc) echo 'ipcs -q -m; ls /dev/mqueue' ;;
        mount) echo 'findmnt --list -o TARGET,FSTYPE,PROPAGATION | tail -n 20' ;;
        user) echo 'ps -e -o user,uid,pid,comm --sort -start_time | head -n 20' ;;
        net) echo 'ip -brief address; echo; ip route; echo; ip netns' ;;
        time) echo 'uptime -p; cat /proc/uptime; date' ;;
        cgroup | cgroup-ns) files_of_groups 'cgroup.procs' ;;
        cgroup-cpu) files_of_groups 'cpu.*' ;;
        cpuset) files_of_groups 'cpuset.*cpus*' ;;
        memory) files_of_groups 'memory.*' ;;
        pids) files_of_groups 'pids.*' ;;
        io) echo "losetup --list --noheadings; $(files_of_groups '*io*bps*')" ;;
        freezer) files_of_groups '*freez*' ;;
        devices) files_of_groups 'devices.list' ;;
        overlay | cow | pivot | image) echo 'findmnt /; findmnt -t overlay; losetup --list' ;;
        caps) echo 'grep Cap /proc/self/status' ;;
        seccomp) echo 'grep Seccomp /proc/self/status' ;;
        tty) echo 'ls /dev/pts; ps -e -o tty,pid,comm --sort -start_time | head -n 15' ;;
        *) echo 'ps -e -o pid,ppid,stat,comm --sort -start_time | head -n 20' ;;
    esac
}

# --- what is typed

# The commands of the page, one a line; what goes on in the next line follows as `more`. The
# programs are built already. A block for several terminals is none of ours: what is meant for a
# container would reach the host.
commands_of_page() {
    awk '
        /^## /       { print "part\t" substr($0, 4) }
        /^```console( user)?$/ { block = $2 == "user" ? "user" : "root"; typed = 0; next }
        /^```/       { block = ""; next }
        !block || /^\$ cargo build --quiet$/ { next }
        sub(/^\$ /, "") { print block "\t" $0; typed = 1; next }
        typed && sub(/^> ?/, "") { print "more\t" $0; next }
        { typed = 0 }' "$page"
}

paint() { printf '\e[%sm%s\e[0m' "$1" "$2"; }

echo_keys() { # on or off: whether the terminal shows what is typed
    [[ ! -t 0 ]] || if [[ $1 == on ]]; then stty echo; else stty -echo; fi
}

type_out() { # TEXT
    local at
    for ((at = 0; at < ${#1}; at++)); do
        printf '%s' "${1:at:1}"
        [[ $fast ]] || sleep "0.0$((RANDOM % 7 + 2))"
    done
}

show_command() { # COMMAND: of one line or more
    local prompt=$'\e[1;32m$\e[0m ' line
    while IFS= read -r line; do
        printf '%s' "$prompt"
        type_out "$line"
        prompt=$'\n\e[32m>\e[0m '
    done <<< "$1"
}

# What is to be done with the command that has been typed, as a letter.
await_key() {
    local key=r
    if [[ $alone ]]; then
        [[ $fast ]] || sleep 2
    else
        IFS= read -rsn1 key < /dev/tty || key=q
    fi
    echo "${key:-r}"
}

run() { # WHO COMMAND
    local command=${2//target\/debug\//$programs/} status=0
    # As in the shell that somebody types into.
    set +eu +o pipefail
    if [[ $1 == user && $EUID -eq 0 ]]; then
        setpriv --reuid=1000 --regid=1000 --clear-groups bash -c "$command"
    else
        # Here, so that later commands know what this one has set.
        eval "$command"
    fi
    status=$?
    set -euo pipefail
    [[ $status -eq 0 ]] || printf '%s\n' "$(paint 2 "(exit status $status)")"
}

perform_command() { # WHO COMMAND
    local command=$2 told=''
    if [[ $step && $command == *target/debug/$lesson* ]]; then
        command=${command//target\/debug\/$lesson/target/debug/$lesson --step}
    fi
    if [[ $part ]]; then
        printf '\n%s\n' "$(paint 2 "# $part")"
        part=''
    fi
    # Who presses the key too early does not want to see it among the command's letters.
    echo_keys off
    show_command "$command"
    told=$(await_key)
    echo_keys on
    echo
    case $told in
        q) exit 0 ;;
        s) ;;
        *) run "$1" "$command" ;;
    esac
}

perform() {
    local lines line kind text part='' who='' command=''
    # A command is whole when the next one begins, or the page ends.
    mapfile -t lines < <(commands_of_page && printf 'part\t\n')
    for line in "${lines[@]}"; do
        kind=${line%%$'\t'*} text=${line#*$'\t'}
        if [[ $kind == more ]]; then
            command+=$'\n'$text
            continue
        fi
        [[ ! $command ]] || perform_command "$who" "$command"
        who=$kind command=$text
        if [[ $kind == part ]]; then part=$text command=''; fi
    done
    printf '\n%s\n' "$(paint 2 "(the end of lesson $lesson)")"
}

# --- where

# In tmux already: another pane beside this one, or below it where that would not leave us 80
# columns. Else a tmux of our own, with this in it.
side_by_side() {
    command -v tmux > /dev/null || fail "tmux is not installed" "sudo apt install tmux"
    command -v watch > /dev/null || fail "watch is not installed" "sudo apt install procps"
    if [[ ! ${TMUX-} ]]; then
        exec tmux -L fakedocker-demo new-session -s "$lesson" \
            "scripts/demo.sh --tmux $step $fast $alone $lesson; read -rsn1 -p '(a key ends this)'"
    fi
    local view
    view="echo 'the host, lesson $lesson'; echo; $(host_view)"
    local split=(-h -l '42%')
    [[ $(tmux display-message -p '#{window_width}') -ge 140 ]] || split=(-v -l '30%')
    beside=$(tmux split-window "${split[@]}" -d -P -F '#{pane_id}' watch -t -n 1 "$view")
    trap 'echo_keys on; tmux kill-pane -t "$beside" 2> /dev/null || true' EXIT
    perform
}

record_it() {
    local into=target/recordings
    command -v asciinema > /dev/null || fail "asciinema is not installed" "sudo apt install asciinema"
    mkdir -p "$into"
    asciinema rec --quiet --overwrite --cols 100 --rows 40 --title "fakedocker, lesson $lesson" \
        --command "scripts/demo.sh --alone $step $fast $lesson" "$into/$lesson.cast"
    echo "asciinema play $into/$lesson.cast"
}

may_run() {
    [[ -x $programs/$lesson ]] || fail "$programs/$lesson is not built" "cargo build"
    if [[ $EUID -eq 0 ]]; then
        sudo() { "$@"; }
    elif ! command -v sudo > /dev/null || ! sudo -v; then
        fail "the lessons need root" "run it as root, or as somebody who may use sudo"
    fi
    [[ $alone || $record || -t 0 ]] || fail "there is no terminal to wait at" "--alone waits for nobody"
}

if [[ $list ]]; then
    all_lessons | sed 's/-/ /'
    exit
fi
[[ $lesson ]] || fail "no lesson is named" "scripts/demo.sh LESSON, or scripts/demo.sh --list"
find_lesson
may_run
# A Ctrl-C is the command's, as in a shell.
trap : INT
trap 'echo_keys on' EXIT
if [[ $record ]]; then
    record_it
elif [[ $tmux ]]; then
    side_by_side
else
    perform
fi
