#!/usr/bin/env bash
# Installs what is missing of Debian's packages, for `make run` (set `run`) and `make test` (sets `run test`).
#
# Says what it installs and why. Asks nothing: it uses root, or sudo where sudo needs no password, and otherwise prints
# the exact command and fails. Nothing is downloaded when nothing is missing.
set -euo pipefail

# set   package              why
table='
run     gcc                  links Rust programs; compiles SQLite, zstd and ring
run     libc6-dev            headers and start files for the linker
run     make                 the commands of this folder
run     ca-certificates      cargo fetches crates over TLS
run     util-linux           setpriv, setsid, flock, unshare: starts and guards the example
test    python3              runs the independent verifiers in tests/verify
test    python3-cryptography Ed25519 for them, not ours
test    prometheus           promtool judges the metrics
test    systemd              systemd-analyze judges the units
test    strace               tests see what the agent asks of the kernel, and let calls fail
test    dbus-daemon          the real bus over which the agent asks systemd
test    nut-server           upsd and its dummy driver: the real daemon that the agent asks for UPSes
test    e2fsprogs            mkfs.ext4: tests cut the power of a filesystem in a file
test    chromium             shows and prints the page for the facility
test    fonts-ipafont-gothic Japanese letters for it
test    poppler-utils        pdftotext: what of the page is on paper
test    mount                mount, losetup: the same
test    dcmtk                dcmqrscp is the DICOM node that is asked for an echo, echoscu asks it too
bench   python3              runs the measurement
bench   util-linux           setpriv, unshare: the agent runs without rights and finds a /run of its own
bench   collectd-core        a peer that is measured in the same run
bench   prometheus-node-exporter  another one
'

usage() {
    echo "usage: $0 SET...    sets: run test bench; --list shows the table"
    exit 2
}
say() { printf '%s\n' "$*"; }

[ $# -gt 0 ] || usage
if [ "$1" = --list ]; then
    printf '%s' "${table#?}"
    exit 0
fi
for set in "$@"; do
    case $set in run | test | bench) ;; *) usage ;; esac
done

if ! command -v cargo >/dev/null; then
    say "Rust is missing. Get it from https://rustup.rs (or your mirror), version 1.95 or newer, and try again." >&2
    say "Rustがありません。https://rustup.rs から1.95以降を導入して再実行してください。" >&2
    exit 1
fi

missing=() why=()
while read -r set package reason; do
    if [ -z "$set" ] || [[ " $* " != *" $set "* ]]; then continue; fi
    status=''
    if command -v dpkg-query >/dev/null; then status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true); fi
    [ "$status" = installed ] || { missing+=("$package") && why+=("$(printf '  %-25s%s' "$package" "$reason")"); }
done <<<"$table"
[ ${#missing[@]} -gt 0 ] || exit 0

say "Missing packages (不足しているパッケージ):"
printf '%s\n' "${why[@]}"
install=(apt-get install --yes --no-install-recommends "${missing[@]}")
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "This is no Debian: install what corresponds to them, then run the programs by hand (README.md)." >&2
    say "Debianではありません。相当するパッケージを導入してください（README.md参照）。" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
        say "Neither root nor sudo without a password. Run this, then try again (次を実行して再試行してください):" >&2
        say "  sudo apt-get update && sudo ${install[*]}" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi
# Some packages bring services. Their start is held back while installing, and they are switched off again for the next
# boot. Services that were here before are left alone.
declare -A services=([prometheus]=prometheus.service [collectd-core]=collectd.service [prometheus-node-exporter]=prometheus-node-exporter.service [nut-server]=nut.target)
brought=()
for package in "${missing[@]}"; do
    if [ -n "${services[$package]:-}" ]; then brought+=("${services[$package]}"); fi
done
held=/usr/sbin/policy-rc.d
undo=''
finish() {
    if [ -n "$undo" ]; then "${as_root[@]}" rm -f "$held"; fi
}
trap finish EXIT
if [ ${#brought[@]} -gt 0 ] && [ ! -e "$held" ]; then
    say "Holding back services while installing ($held, removed afterwards)"
    undo=1
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$held" >/dev/null
    "${as_root[@]}" chmod 0755 "$held"
fi
environment=(env DEBIAN_FRONTEND=noninteractive)
say "apt-get update; ${install[*]}"
"${as_root[@]}" "${environment[@]}" apt-get update -q
"${as_root[@]}" "${environment[@]}" "${install[@]}" -q
if [ -n "$undo" ] && [ -d /run/systemd/system ]; then
    for service in "${brought[@]}"; do "${as_root[@]}" systemctl disable --quiet "$service" || true; done
fi
