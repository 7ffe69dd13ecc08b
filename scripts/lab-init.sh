#!/bin/bash
# What does the first process of a machine do? lab-vm.sh starts a kernel, and that starts this
# as number 1: there is a root file system, read-only, and nothing else.
#
# Mounts what a machine has, runs one command or a shell, and switches the machine off. When
# it fails, number 1 is gone, the kernel panics, and the VM ends.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
root=/run/root
shared=/run/shared
# What lab-vm.sh tells us, in a file.
cgroup='' together='' directory='' modules='' keep=()

# --- files

mount_host() {
    local options=trans=virtio,version=9p2000.L,access=any,msize=512000
    mount -t tmpfs tmpfs /run
    mkdir "$root" "$shared" /run/lower /run/upper /run/work
    # The folder that lab-vm.sh shares with us.
    mount -t 9p -o "$options" virtme.initmount0 "$shared"
    # And all of the host's files once more: what has been read once need not be asked for
    # again. The root that we have got asks each time.
    mount -t 9p -o "$options,ro,cache=loose" virtme.initmount1 /run/lower
}

# The throw-away layer, as in lesson 18: the host's files below, memory above.
stack_root() {
    mount -t overlay overlay -o lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount -t devtmpfs devtmpfs "$root/dev"
    mkdir -p "$root"/dev/{pts,shm,mqueue,mapper,net}
    # As systemd does: whoever opens them has the kernel load their modules (lessons 14, 19;
    # pasta and slirp4netns want tun).
    mknod "$root/dev/loop-control" c 10 237
    mknod "$root/dev/mapper/control" c 10 236
    mknod "$root/dev/net/tun" c 10 200 && chmod 666 "$root/dev/net/tun"
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t mqueue mqueue "$root/dev/mqueue"
    ln -sf /proc/self/fd "$root/dev/fd"
    ln -sf fd/0 "$root/dev/stdin"
    ln -sf fd/1 "$root/dev/stdout"
    ln -sf fd/2 "$root/dev/stderr"
}

# An overlay cannot be the upper layer of another one: where lessons and tests put their files,
# there is another file system. What is needed from below it is shown again.
cover() { # PATH MOUNT...: the command that mounts there, which PATH is added to
    local at=$1 path
    shift
    mkdir -p "$at"
    for path in "${keep[@]}"; do
        [[ $path == "$at"/* && -d $path ]] || continue
        mkdir -p "/dev/shm/kept$path"
        mount --bind "$path" "/dev/shm/kept$path"
    done
    "$@" "$at"
    for path in "${keep[@]}"; do
        [[ $path == "$at"/* && -d /dev/shm/kept$path ]] || continue
        mkdir -p "$path"
        mount --move "/dev/shm/kept$path" "$path"
    done
    rm -rf /dev/shm/kept
}

# As most machines have it: before Linux 6.6, a tmpfs has no attributes of users, which an
# overlay wants that is mounted without root (lesson 18). The disk is a file in memory.
make_disk() {
    mount -t tmpfs -o mode=700,size=75% tmpfs /mnt
    truncate --size 16G /mnt/disk
    mkfs.ext4 -q -O ^has_journal,^resize_inode -N 400000 /mnt/disk
    mkdir /mnt/at
    mount -o loop,discard /mnt/disk /mnt/at
    rmdir /mnt/at/lost+found
    mkdir -m 1777 /mnt/at/{tmp,var}
}

# As in lesson 20: not chroot, which would leave the way back open, and in which nobody may
# make a user namespace.
enter_root() {
    mkdir -p "$root$shared" "$root/mnt" "$root/lib/modules"
    mount --move "$shared" "$root$shared"
    mount --bind "$(dirname "$modules")" "$root/lib/modules"
    cd "$root"
    pivot_root . mnt
    umount --lazy /mnt
}

# --- the rest of a machine

mount_cgroups() {
    local at=/sys/fs/cgroup name enabled
    if [[ $cgroup == v2 ]]; then
        mount -t cgroup2 cgroup2 "$at"
        return
    fi
    # v1: a hierarchy for each controller.
    mount -t tmpfs -o mode=755 tmpfs "$at"
    while read -r name _ _ enabled; do
        [[ $enabled == 1 ]] || continue
        mkdir "$at/$name"
        mount -t cgroup -o "$name" cgroup "$at/$name"
    done < <(sed 1d /proc/cgroups)
    [[ $cgroup == hybrid ]] || return 0
    # Hybrid: and v2, with nothing left for it to control.
    mkdir "$at/unified"
    mount -t cgroup2 cgroup2 "$at/unified"
}

# --- what the machine is for

port() { # NAME: the device through which lab-vm.sh hears us
    local each
    for each in /sys/class/virtio-ports/*; do
        [[ $(cat "$each/name" 2> /dev/null) != "$1" ]] || { echo "/dev/${each##*/}" && return; }
    done
    return 1
}

run_command() {
    local ports=() command out err
    out=$(port out)
    err=$(port err)
    mapfile -d '' -t command < "$shared/command"
    mkfifo /run/out /run/err
    # A port can be opened once, and COMMAND may open its /dev/stdout again: it gets a pipe.
    cat /run/out > "$out" &
    ports+=($!)
    cat /run/err > "$err" &
    ports+=($!)
    exec 3> /run/out 4> /run/err
    [[ -z $together ]] || exec 4>&3
    setsid --wait env -i "${environment[@]}" "${command[@]}" < /dev/null >&3 2>&4 3>&- 4>&- &
    wait $! || status=$?
    exec 3>&- 4>&-
    kill_all_but "${ports[@]}"
    wait "${ports[@]}" || true
}

# What COMMAND has left running holds the pipes open. Stopped first, so that none can be born
# while we look; the kernel spares its own, and number 1.
kill_all_but() { # PID...
    local each
    kill -STOP -1
    for each in /proc/[0-9]*; do
        each=${each#/proc/}
        [[ " 1 $* " == *" $each "* ]] || kill -KILL "$each" 2> /dev/null || true
    done
    # They may have read the end of the pipes, and ended, before.
    kill -CONT "$@" 2> /dev/null || true
}

# A shell wants a terminal that is its session's own. It is opened once: with its last user,
# a terminal forgets what was typed ahead.
run_shell() {
    local rows columns terminal
    exec {terminal}<> /dev/hvc1
    read -r rows columns < "$shared/size"
    stty rows "$rows" columns "$columns" <&"$terminal"
    setsid --ctty --wait env -i "${environment[@]}" bash <&"$terminal" >&"$terminal" 2>&1 ||
        status=$?
}

# Read as a whole before any of it is done: the file may be changed meanwhile.
{
    mount_host
    # shellcheck disable=SC1091 # lab-vm.sh writes it
    source "$shared/settings"
    stack_root
    enter_root
    make_disk
    keep+=("$shared")
    cover /run mount -t tmpfs -o mode=755 tmpfs
    cover /tmp mount --bind /mnt/at/tmp
    cover /var/tmp mount --bind /mnt/at/var
    cover /var/lib/fakedocker mount -t tmpfs -o mode=700 tmpfs
    umount --lazy /mnt
    mount_cgroups
    echo lab > /proc/sys/kernel/hostname
    busybox ip link set lo up
    status=0
    mapfile -d '' -t environment < "$shared/environment"
    cd "$directory" || cd /
    if [[ -e $shared/command ]]; then run_command; else run_shell; fi
    echo "$status" > "$shared/status"
    # Nothing of it is to be kept.
    busybox poweroff -n -f
    # It takes a moment, and number 1 must not end before.
    exec busybox sleep 60
}
