#!/bin/bash
# How do other scripts get the Debian packages that they need? They source this.

# Of pairs PROGRAM:PACKAGE, the packages whose program is not there.
missing_packages() { # PAIR...
    local pair
    for pair; do
        command -v "${pair%%:*}" > /dev/null || echo "${pair##*:}"
    done
}

install_packages() { # PACKAGE...
    [[ $# -gt 0 ]] || return 0
    local install=(apt-get install -y --no-install-recommends "$@")
    if [[ $EUID -ne 0 ]] || ! command -v apt-get > /dev/null; then
        echo "error: these packages are missing: $*" >&2
        echo "hint: sudo ${install[*]}" >&2
        return 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive without_services "${install[@]}" > /dev/null
}

# A registry comes as a service, and podman with some: who needs them starts them itself.
# Packages ask policy-rc.d whether a service may be started; a machine may have one already.
without_services() { # COMMAND...
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
    "$@" || status=$?
    rm "$policy"
    return "$status"
}
