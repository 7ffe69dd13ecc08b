#!/bin/bash
# How does a container reach the world? The host's half; inner_net.sh is the other one.
#
#   host_net.sh PID     a cable from our bridge into the network namespace of PID
#   host_net.sh         forwarding and NAT: from the bridge to the world
#   host_net.sh down    take everything back
#
# Each may be run again. All that is made here is called fakedocker; tables and chains of
# others are not touched. SUBNET=10.99.0 takes other addresses than these:
set -euo pipefail
subnet=${SUBNET:-10.207.0}
bridge=fakedocker0
notes=/run/fakedocker # what has to be restored
export LC_ALL=C

fail() { # WHAT HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

has() { command -v "$1" > /dev/null; }

# --- the cable

make_bridge() { # a switch in software; its address is the containers' gateway
    local used
    if ! ip link show "$bridge" > /dev/null 2>&1; then
        used=$(ip -4 route show to match "$subnet.2" | grep -v '^default' || true)
        [[ -z $used ]] || fail "$subnet.0/24 is in use: $used" "SUBNET=10.99.0 $0 $*"
        ip link add "$bridge" type bridge
    fi
    ip address replace "$subnet.1/24" dev "$bridge"
    ip link set "$bridge" up
}

free_address() { # the first that no cable of ours carries as its alias
    local number=2
    while ip link show master "$bridge" | grep "alias $subnet\.$number\$" > /dev/null; do
        number=$((number + 1))
    done
    echo "$subnet.$number"
}

connect() { # PID
    local pid=$1 link="fd$1" address
    [[ -e /proc/$pid/ns/net ]] || fail "no process $pid" "echo \$\$ in the container tells it"
    [[ /proc/$pid/ns/net -ef /proc/self/ns/net ]] &&
        fail "process $pid is in the host's own network" "start it with: target/debug/net --bare"
    make_bridge "$@"
    # A cable with two plugs. One is born in there, as eth0, and dies with that namespace;
    # so does the other, because a cable always has two ends.
    ip link show "$link" > /dev/null 2>&1 ||
        ip link add "$link" type veth peer name eth0 netns "$pid" ||
        fail "no second eth0 in the network of $pid" "$0 down, and start anew"
    address=$(ip link show "$link" | sed -n 's/^ *alias //p')
    address=${address:-$(free_address)}
    ip link set "$link" alias "$address" master "$bridge" up
    echo "inside: scripts/inner_net.sh $address/24 $subnet.1 $(resolver)"
}

resolver() { # the host's, unless it is a service on the host's own loopback
    sed -n 's/^nameserver *\([0-9.]*\)$/\1/p' /etc/resolv.conf \
        /run/systemd/resolve/resolv.conf 2> /dev/null | grep -v '^127\.' | sed -n 1p
}

# --- forwarding and NAT

forward() {
    local switch=/proc/sys/net/ipv4/ip_forward
    [[ $(< "$switch") != 1 ]] || return 0
    (umask 077 && mkdir -p "$notes")
    # Written down before it is changed.
    cat "$switch" > "$notes/ip_forward"
    echo 1 > "$switch"
}

translate() {
    local uplink out=(! -o "$bridge")
    uplink=$(ip -4 route show default | sed -n '1s/.* dev \([^ ]*\).*/\1/p')
    [[ -z $uplink ]] || out=(-o "$uplink")
    if has nft; then
        nft_nat "${uplink:+oifname \"$uplink\"}"
    elif has iptables; then
        chain nat POSTROUTING -s "$subnet.0/24" "${out[@]}" -j MASQUERADE
    else
        fail "neither nft nor iptables is here" "apt install nftables"
    fi
    echo "uplink: ${uplink:-none}"
}

nft_nat() { # OUT. Outside, nobody knows the way back to our subnet: take the host's address.
    nft -f - << END
table ip fakedocker
delete table ip fakedocker
table ip fakedocker {
    chain postrouting {
        type nat hook postrouting priority 100;
        ip saddr $subnet.0/24 oifname != "$bridge" $1 masquerade
    }
}
END
}

# Where Docker or a firewall guards forwarding, no table of ours can overrule a refusal: a
# packet must be accepted there, too.
let_pass() {
    has iptables-save || return 0
    iptables-save | grep -e '^:FORWARD DROP' -e '^-A FORWARD' > /dev/null || return 0
    chain filter FORWARD -i "$bridge" -j ACCEPT
    iptables -t filter -A FAKEDOCKER -o "$bridge" \
        -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
}

chain() { # TABLE FROM RULE...: our own chain with this rule, visited first
    local table=$1 from=$2
    shift 2
    unchain "$table" "$from"
    iptables -t "$table" -N FAKEDOCKER
    iptables -t "$table" -A FAKEDOCKER "$@"
    iptables -t "$table" -I "$from" -j FAKEDOCKER
}

# --- and back

unchain() { # TABLE FROM
    iptables-save | sed -n "/^\*$1/,/^COMMIT/p" | grep '^:FAKEDOCKER ' > /dev/null || return 0
    iptables -t "$1" -D "$2" -j FAKEDOCKER || true # it may have been cut short before
    iptables -t "$1" -F FAKEDOCKER
    iptables -t "$1" -X FAKEDOCKER
}

down() {
    local link
    if ip link show "$bridge" > /dev/null 2>&1; then
        ip -o link show master "$bridge" | sed 's/^[0-9]*: \([^@:]*\).*/\1/' |
            while read -r link; do
                # Its container may just have ended, and it with it.
                ip link delete "$link" || [[ ! -e /proc/sys/net/ipv4/conf/$link ]]
            done
        ip link delete "$bridge"
    fi
    ! has nft || printf 'table ip fakedocker\ndelete table ip fakedocker\n' | nft -f -
    if has iptables-save; then
        unchain filter FORWARD
        unchain nat POSTROUTING
    fi
    # The engine's bridge may be there still: it keeps the same note, and who goes last
    # restores it.
    [[ -e $notes/ip_forward && ! -e /proc/sys/net/ipv4/conf/fakedocker1 ]] || return 0
    cat "$notes/ip_forward" > /proc/sys/net/ipv4/ip_forward
    rm "$notes/ip_forward"
    rmdir "$notes" 2> /dev/null || true # others may have notes there, too
}

[[ $EUID -eq 0 ]] || fail "only root may change the network" "sudo $0 $*"
has ip || fail "ip is not here" "apt install iproute2"
case ${1-} in
    '')
        make_bridge
        translate
        let_pass
        forward
        ;;
    down) down ;;
    *[!0-9]*) fail "$1 is no PID" "$0 [PID | down]" ;;
    *) connect "$1" ;;
esac
