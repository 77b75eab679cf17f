#!/bin/sh
# Installs with apt-get what a purpose needs and this machine lacks: packages.sh python|test
# Without root or apt-get it names what is missing and goes on only if nothing is.
set -eu
PATH="$PATH:/usr/sbin:/sbin"

missing=
need() { # program package: remember the package if the program is not there
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

case "${1:-}" in
python)
    need "${PYTHON:-python3}" python3
    "${PYTHON:-python3}" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
    need ssh-keygen openssh-client
    need openssl openssl
    find /usr/lib /lib /usr/local/lib -name 'libmagic.so*' 2>/dev/null | grep -q . || missing="$missing libmagic1"
    ;;
test)
    need gcc "gcc libc6-dev"
    need git git
    need openssl openssl
    need ssh-keygen openssh-client
    need shellcheck shellcheck
    need chromium chromium
    need nft nftables
    # a server is only put on machines that start no services by themselves (containers, CI)
    [ -d /run/systemd/system ] || need sshd openssh-server
    need mactime sleuthkit
    need podman podman
    need skopeo skopeo
    need rpmbuild rpm
    need redis-server redis-server
    need /usr/bin/python3 python3
    need tar tar
    need cron cron
    need systemd-analyze systemd
    ;;
*)
    echo "usage: packages.sh python|test" >&2
    exit 2
    ;;
esac

[ -n "$missing" ] || exit 0
missing=$(printf '%s' "$missing" | tr ' ' '\n' | sort -u | tr '\n' ' ')
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "these packages are missing:$missing; install them (as root: apt-get install$missing), then run this again" >&2
    exit 4
fi
echo "installing${missing}..." >&2
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # keeps packages from starting their services meanwhile: invoke-rc.d(8)
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
log=$(mktemp)
# shellcheck disable=SC2086 # a list of package names
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "apt-get could not install$missing; the log is $log" >&2
    exit 4
fi
rm -f "$log"
