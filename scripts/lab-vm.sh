#!/bin/bash
# How can a machine be thrown away? A kernel of its own, this machine's files, and a layer
# above them for all that is written. lab-init.sh is the other half: the first process in there.
#
#   lab-vm.sh [OPTIONS]              a shell as root in there, until it ends
#   lab-vm.sh [OPTIONS] COMMAND...   COMMAND's output and exit status; its input is empty
#
#   --cgroup v1|hybrid|v2   who limits (v2): the old hierarchies, the new one, or both
#   --kernel VERSION        one of Debian's (6.1): 6.12, or exactly one, such as 6.1.0-56
#   --prepare               fetch and install what is needed, and start nothing
#
# The VM has no network, and file systems of its own at /tmp, /var/tmp (ext4), /run and
# /var/lib/fakedocker, in memory. Its end is COMMAND's, or ours, kill -9 included. Nobody needs
# to be root to start it: one is root in there, and what one cannot read here cannot be read
# there.
#
# The exit status is COMMAND's, 77 if this machine cannot have a VM, 125 for another failure
# of ours. Kernels and tools are kept in ~/.cache/fakedocker-lab; remove it to get new ones.
set -euo pipefail
cgroup=v2 kernel=6.1 prepare=
virtme=1.42
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fakedocker-lab
# Tools of root's may have no place in a user's path.
export PATH=$PATH:/usr/sbin:/sbin

fail() { # [STATUS] WHAT HINT
    local status=125
    [[ $1 != 77 ]] || { status=77 && shift; }
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit "$status"
}

has() { command -v "$1" > /dev/null; }

say() { printf 'lab: %s\n' "$1" >&2; }

# --- what is asked for

read_options() {
    local usage="$0 [--cgroup v1|hybrid|v2] [--kernel VERSION] [COMMAND...]"
    while [[ ${1-} == -* ]]; do
        case $1 in
            --cgroup) cgroup=${2-} ;;
            --kernel) kernel=${2-} ;;
            --prepare) prepare=yes && set -- "" "$@" ;;
            --) shift && break ;;
            -h | --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" && exit ;;
            *) fail "$1 is no option" "$usage" ;;
        esac
        shift $(($# < 2 ? $# : 2))
    done
    command=("$@")
    [[ $cgroup =~ ^(v1|hybrid|v2)$ ]] || fail "--cgroup '$cgroup' is not known" "v1, hybrid or v2"
    [[ $kernel =~ ^[0-9]+\.[0-9]+[a-z0-9.+-]*$ ]] ||
        fail "--kernel '$kernel' is no version" "6.1, 6.12 or, exactly, 6.1.0-56"
    [[ $cgroup == v2 || $kernel =~ ^6\.1([.-]|$) ]] ||
        fail "Debian's $kernel has no v1 memory and cpuset any more" "--kernel 6.1 has them"
    [[ $# -gt 0 || $prepare || -t 0 && -t 1 ]] ||
        fail "a shell needs a terminal" "give a command: $usage"
}

# What differs between the machines that this knows. aarch64 has not been tried.
know_machine() {
    case $(uname -m) in
        x86_64) arch=amd64 qemu=qemu-system-x86_64 package=qemu-system-x86 console=ttyS0 ;;
        aarch64) arch=arm64 qemu=qemu-system-aarch64 package=qemu-system-arm console=ttyAMA0 ;;
        *) fail 77 "no VM for $(uname -m) here" "x86_64 and aarch64 are known" ;;
    esac
}

# --- what is needed

install_packages() {
    local pair missing=()
    has apt-get || fail 77 "there is no apt-get here, to fetch Debian's kernels by" \
        "Lima or Multipass start a whole Debian or Ubuntu: see tutorial.md"
    for pair in "$qemu:$package" busybox:busybox-static depmod:kmod file:file \
        setpriv:util-linux mkfs.ext4:e2fsprogs dpkg-deb:dpkg; do
        has "${pair%%:*}" || missing+=("${pair##*:}")
    done
    python3 -c 'import ensurepip' 2> /dev/null || missing+=(python3-venv)
    [[ -e $keyring ]] || missing+=(debian-archive-keyring)
    [[ ${#missing[@]} -gt 0 ]] || return 0
    local install=(apt-get install -y --no-install-recommends "${missing[@]}")
    if [[ $EUID -ne 0 ]]; then
        fail 77 "these packages are missing: ${missing[*]}" "sudo ${install[*]}"
    fi
    say "installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${install[@]}"; } > /dev/null ||
        fail 77 "apt-get cannot install ${missing[*]}" "is there a network?"
}

# virtme-ng knows how qemu hands a machine's files to its guest.
install_virtme() {
    [[ ! -x $cache/virtme-$virtme/bin/virtme-run ]] || return 0
    say "fetching virtme-ng $virtme"
    rm -rf "$cache/virtme-$virtme"
    if ! { python3 -m venv "$cache/virtme-$virtme" &&
        "$cache/virtme-$virtme/bin/pip" install -q "virtme-ng==$virtme"; } >&2; then
        rm -rf "$cache/virtme-$virtme"
        fail 77 "virtme-ng cannot be fetched from PyPI" "is there a network?"
    fi
}

newest() { # of the names on standard input, the newest that is the kernel asked for
    local name
    while read -r name; do
        name=${name##*/}
        [[ ! $name =~ ^"$kernel"([.+-][0-9].*[0-9])?-$arch$ ]] ||
            # linux-image-6.12-amd64 is only a name for the newest.
            [[ $name =~ ^[0-9]+\.[0-9]+-$arch$ ]] || echo "$name"
    done | sort --version-sort | tail -n 1
}

# The host need not be a Debian, nor this Debian: apt gets sources and lists of its own.
apt_for_debian() { # COMMAND...
    "$1" -o Dir::State="$lists" -o Dir::Cache="$lists" -o Dir::State::status=/dev/null \
        -o Dir::Etc::SourceList="$lists/sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Acquire::Languages=none -o APT::Sandbox::User=root -o APT::Architecture="$arch" "${@:2}"
}

fetch_kernel() {
    local lists=$cache/apt mirror=http://deb.debian.org wanted
    mkdir -p "$lists"/{lists,archives}/partial
    cat > "$lists/sources" << END
deb [signed-by=$keyring] $mirror/debian bookworm main
deb [signed-by=$keyring] $mirror/debian-security bookworm-security main
END
    say "looking for Debian's kernel $kernel"
    apt_for_debian apt-get update -qq >&2 ||
        fail 77 "Debian's list of kernels cannot be fetched" "is there a network?"
    wanted=$(apt_for_debian apt-cache pkgnames linux-image- | sed 's/^linux-image-//' | newest)
    [[ $wanted ]] || fail "Debian 12 has no kernel $kernel" "it has 6.1 and 6.12"
    say "fetching $wanted"
    rm -rf "$cache/new"
    mkdir -p "$cache/new" "$cache/kernels"
    (cd "$cache/new" && apt_for_debian apt-get download -qq "linux-image-$wanted" >&2) ||
        fail 77 "the kernel $wanted cannot be fetched" "is there a network?"
    # Unpacked, not installed: this machine goes on starting with its own.
    dpkg-deb -x "$cache/new"/*.deb "$cache/new/kernel"
    depmod -b "$cache/new/kernel" "$wanted"
    mv "$cache/new/kernel" "$cache/kernels/$wanted"
    rm -rf "$cache/new" "$lists"
}

prepare() { # and say which kernel it is
    local lock found keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$cache/kernels"
    # Two at a time would disturb each other.
    exec {lock}> "$cache/lock"
    flock "$lock"
    install_packages
    install_virtme
    found=$(printf '%s\n' "$cache"/kernels/* | newest)
    if [[ -z $found ]]; then
        fetch_kernel
        found=$(printf '%s\n' "$cache"/kernels/* | newest)
    fi
    exec {lock}>&-
    kernel=$found
}

# --- the VM

# /dev/kvm is there on machines where it does not work. So we start a machine whose whole
# program is six bytes: `mov al, 16`, `out 0xf4, al`; its device at 0xf4 ends it with 2 * 16 + 1.
kvm_works() (
    ulimit -c 0
    cd "$work"
    if [[ $arch == arm64 ]]; then
        echo quit | timeout -k 5 10 "$qemu" -M virt -accel kvm -cpu host -S -display none -monitor stdio
        exit
    fi
    { head -c 65520 /dev/zero && printf '\xb0\x10\xe6\xf4\xeb\xfe' && head -c 10 /dev/zero; } > bios
    timeout -k 5 10 "$qemu" -accel kvm -cpu host -nodefaults -display none -bios bios \
        -device isa-debug-exit,iobase=0xf4,iosize=1 || [[ $? -eq 33 ]]
) > /dev/null 2>&1 {alive}>&-

# virtme-run makes the first files that the kernel sees, with the modules that it needs to
# reach all others, and tells what to start.
describe_vm() {
    local processor=() line
    # Without KVM, a plain one: what is emulated costs time.
    speed='with KVM'
    if ! kvm_works; then
        speed='without KVM: it takes a while'
        processor=(--disable-kvm --qemu-opts -accel "tcg,thread=multi")
        [[ $arch == arm64 ]] || processor+=(-cpu Nehalem)
    fi
    line=$("$cache/virtme-$virtme/bin/virtme-run" --dry-run --show-command --name lab \
        --kimg "$cache/kernels/$kernel/boot/vmlinuz-$kernel" --mods auto --force-9p \
        --busybox "$(command -v busybox)" --save-initramfs "$work/initramfs" \
        --rwdir=/mnt="$work/shared" --rodir=/mnt=/ \
        --overlay-rwdir / --memory 2G --cpus 2 --disable-monitor \
        "${processor[@]}" < /dev/null 2> "$work/log" {alive}>&-) ||
        fail "virtme-run: $(tail -n 1 "$work/log")" "rm -r $cache, and start anew"
    eval "vm=($line)"
    # A kernel that has lost its way says so, and ends.
    local lost="oops=panic sysctl.kernel.hung_task_panic=1 sysctl.kernel.hung_task_timeout_secs=300"
    vm+=(-no-reboot -append
        "console=$console quiet loglevel=1 panic=-1 $lost init=$top/scripts/lab-init.sh")
    # What can be seen takes longer than one cares to wait without a word.
    [[ ! -t 2 ]] || say "starting Linux $kernel, cgroup $cgroup, $speed"
}

# The serial port, which forgets what is typed before a shell listens, is for the kernel's last
# words. A shell has the second console that virtio gives: /dev/hvc1.
take_console() {
    local each line=()
    for each in "${vm[@]}"; do
        [[ $each != chardev:console ]] || each=chardev:serial
        line+=("$each")
    done
    vm=("${line[@]}" -chardev "file,id=serial,path=$work/console,append=on"
        -device "virtconsole,chardev=console")
}

# What lab-init.sh has to know lies in a folder that it sees, too.
write_settings() {
    local together='' directory=$PWD keep modules
    for modules in "$cache/kernels/$kernel"{,/usr}/lib/modules/*; do
        [[ ! -d $modules ]] || break
    done
    # In one file, the order of output and errors matters.
    [[ ! /dev/stdout -ef /dev/stderr ]] || together=yes
    keep=("$top" "$cache" "$PWD" "${CARGO_TARGET_DIR:-$top/target}")
    declare -p cgroup together directory keep modules > "$work/shared/settings"
    env --null > "$work/shared/environment"
    [[ ${#command[@]} -eq 0 ]] || printf '%s\0' "${command[@]}" > "$work/shared/command"
}

# Nobody is told of a kill -9. But a pipe that we alone write to ends with us, and whoever
# reads it learns of it, from a session that a signal to ours does not reach. Whoever reads what
# we say does not wait for it.
leave_undertaker() { # [SETTINGS TERMINAL]
    # shellcheck disable=SC2016 # the inner bash expands them
    local undertaker='cat > /dev/null; rm -rf "$1"; [[ ! $2 ]] || stty "$2" < "$3"'
    exec {alive}> >(exec setsid bash -c "$undertaker" undertaker "$work" "$@" > /dev/null 2>&1)
}

finish() {
    trap '' INT TERM HUP
    if [[ $pid ]]; then
        kill -KILL "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    fi
    [[ -z $terminal ]] || stty "$terminal"
    rm -rf "$work"
}

play_command() {
    local readers=() out err held_out held_err
    mkfifo "$work/out" "$work/err"
    # Who opens a FIFO waits for somebody at its other end, and a qemu that fails at once never
    # comes: we are at both ends, until it has ended.
    exec {held_out}<> "$work/out" {held_err}<> "$work/err"
    exec {out}< "$work/out" {err}< "$work/err"
    # Whoever reads what we say may go before the end: `lab-vm.sh dmesg | head`.
    trap 'exit 141' PIPE
    { cat <&"$out" || kill -PIPE $$; } {held_out}>&- {held_err}>&- {alive}>&- &
    readers+=($!)
    { cat <&"$err" >&2 || kill -PIPE $$; } {held_out}>&- {held_err}>&- {alive}>&- &
    readers+=($!)
    # What two ports carry: the order in which they are given does not matter, their names do.
    vm+=(-chardev "file,id=out,path=$work/out" -device "virtserialport,chardev=out,name=out"
        -chardev "file,id=err,path=$work/err" -device "virtserialport,chardev=err,name=err")
    # qemu ends when we do: by this signal, whatever ends us.
    setpriv --pdeathsig KILL "${vm[@]}" < /dev/null > "$work/console" 2>&1 &
    pid=$!
    wait "$pid" || true
    exec {held_out}>&- {held_err}>&-
    wait "${readers[@]}" || true
}

play_shell() {
    say "\`exit\` ends it, and all that it was"
    take_console
    { stty size || echo 24 80; } > "$work/shared/size"
    # In the background we can hear signals; its input would be /dev/null there.
    setpriv --pdeathsig KILL "${vm[@]}" <&"$keyboard" 2> "$work/console" &
    pid=$!
    wait "$pid" || true
}

play() {
    local pid='' terminal='' work alive keyboard vm speed status
    [[ $top != *[[:space:]]* ]] ||
        fail "the kernel's command line cannot carry '$top'" "move it where no blank is in its path"
    work=$(mktemp -d -t fakedocker-lab.XXXXXX)
    [[ ${#command[@]} -gt 0 ]] || terminal=$(stty -g)
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    exec {keyboard}<&0
    # Not tty(1): whoever does the course may have lesson 25 in its place.
    leave_undertaker "$terminal" "$(readlink /proc/self/fd/0 || true)"
    mkdir "$work/shared"
    describe_vm
    write_settings
    if [[ ${#command[@]} -gt 0 ]]; then play_command; else play_shell; fi
    status=$(cat "$work/shared/status" 2> /dev/null) || {
        grep -aE 'Kernel panic|INFO: task' "$work/console" >&2 || tail -n 5 "$work/console" >&2
        fail "the VM has ended without an exit status" "its last words are above"
    }
    exit "$status"
}

read_options "$@"
know_machine
prepare
[[ $prepare ]] || play
