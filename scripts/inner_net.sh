#!/bin/sh
# How does a container reach the world? The container's half: host_net.sh PID comes first,
# and tells what to call this with.
#
#   inner_net.sh [ADDRESS/LENGTH [GATEWAY [RESOLVER]]]
#
# May be run again. Plain enough for busybox: its ash, and its ip.
set -eu
address=${1:-10.207.0.2/24}
gateway=${2:-10.207.0.1}
resolver=${3:-}

fail() { # WHAT HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "only root may change the network" "sudo $0 $*"
ip link show eth0 > /dev/null 2>&1 ||
    fail "there is no eth0 in here" "on the host: sudo scripts/host_net.sh $$"
# A machine may have an eth0 as well, by which it reaches the world: that one is left alone.
other=$(ip address show dev eth0 | grep 'inet ' | grep -v "inet $address " | head -n 1)
[ -z "$other" ] ||
    fail "eth0 has the address $(echo "$other" | cut -d ' ' -f 6) already: it is not the container's" \
        "run this inside, as the last line of host_net.sh PID says"
# Without this, not even our own 127.0.0.1 answers.
ip link set lo up
ip address show dev eth0 | grep -q "inet $address " || ip address add "$address" dev eth0
# The address has brought the route to our neighbours, but only on a link that is up.
ip link set eth0 up
# Whatever is no neighbour: the gateway may know.
ip route replace default via "$gateway"

[ -n "$resolver" ] || exit 0
# Names are looked up as a file says, and whose file is it? If the first process that we see
# has another network, then we see the host's processes, and most likely its files.
if [ "$(readlink /proc/1/ns/net)" = "$(readlink /proc/self/ns/net)" ]; then
    echo "nameserver $resolver" > /etc/resolv.conf
else
    echo "/etc/resolv.conf is the host's: left alone"
fi
