#!/usr/bin/env bash
# What `make run` runs: a collector on loopback and this machine's own agent, as an example to look at.
#
# State stays in .mimamori in the checkout (or in MIMAMORI_STATE); a second run goes on with it. Ctrl-C stops both.
#   ONCE=1                    end after three verified reports: exit 0, or another status with the reason
#   PROFILE=debug             take what `cargo build` made instead of the release binaries
#   MIMAMORI_AGENT_BIN, MIMAMORI_COLLECTOR_BIN   take these binaries
#   MIMAMORI_WAIT_S           how long to wait for the first three reports (default 90)
#
# Started as root, the agent still runs under an account without rights (it refuses to run as root: root could write
# its own consent). Its folder holds all it needs, and it is started there with relative paths.
set -euo pipefail
umask 022

facility=example
machine=this-machine
reports_wanted=3
wait_s=${MIMAMORI_WAIT_S:-90}
once=${ONCE:-}

top=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
target=${CARGO_TARGET_DIR:-$top/target}
if [ "${PROFILE:-release}" = debug ]; then
    agent_bin=$target/debug/mimamori-agent collector_bin=$target/debug/mimamori-collector
else
    agent_bin=$target/agent/mimamori-agent collector_bin=$target/release/mimamori-collector
fi
agent_bin=${MIMAMORI_AGENT_BIN:-$agent_bin}
collector_bin=${MIMAMORI_COLLECTOR_BIN:-$collector_bin}
# MIMAMORI_AGENT_… and MIMAMORI_COLLECTOR_… are also how the programs take configuration. None of the caller's counts here.
for name in "${!MIMAMORI_AGENT_@}" "${!MIMAMORI_COLLECTOR_@}"; do unset "$name"; done

say() { printf '%s\n' "$*"; }

agent_pid='' collector_pid='' state='' reason='' logs=()

# Asks a process to end, waits, and ends it if it does not.
stop_one() { # PID SECONDS
    local i
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || true
    for ((i = 0; i < $2 * 10; i++)); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# The agent first: what it has under way still gets its receipt.
stop_all() {
    trap '' INT TERM HUP
    stop_one "$agent_pid" 8
    agent_pid=''
    stop_one "$collector_pid" 20
    collector_pid=''
}

# shellcheck disable=SC2317
on_exit() {
    local status=$?
    [ -n "$agent_pid$collector_pid" ] || return "$status"
    stop_all
    [ -n "$reason" ] || say "make run: stopped by a fault of its own (status $status)" >&2
    exit "$((status == 0 ? 1 : status))"
}

# shellcheck disable=SC2317
on_signal() {
    stop_all
    if [ -n "$once" ]; then
        say "make run ONCE=1: interrupted before three reports were verified (中断しました)" >&2
        exit 130
    fi
    say ""
    say "Stopped. The state is kept in $state; 'make run' goes on with it."
    say "停止しました。状態は $state に残り、次の make run で続きから動きます。"
    exit 0
}
trap on_exit EXIT
trap on_signal INT TERM HUP

fail() { # REASON-EN REASON-JA
    local log
    reason=$1
    stop_all
    for log in "${logs[@]}"; do
        if [ -s "$state/$log.log" ]; then
            say "--- last lines of $state/$log.log" >&2
            tail -n 15 "$state/$log.log" >&2
        fi
    done
    say "make run: $1" >&2
    say "make run: $2" >&2
    exit 1
}

for bin in "$agent_bin" "$collector_bin"; do
    [ -x "$bin" ] || fail "$bin is not there: build it first ('make run' does)" "$bin がありません。先にビルドしてください（make run が行います）"
done
for tool in setpriv setsid flock; do
    command -v "$tool" >/dev/null || fail "$tool is missing: it is in Debian's package util-linux" "$tool がありません（Debianのutil-linuxパッケージ）"
done
agent_bin=$(readlink -f -- "$agent_bin") collector_bin=$(readlink -f -- "$collector_bin")

# --- the folder, and that nobody else uses it

state=${MIMAMORI_STATE:-$top/.mimamori}
mkdir -p -- "$state" 2>/dev/null || true
if [ ! -d "$state" ] || [ ! -w "$state" ]; then
    fail "$state cannot be written; run as the account it belongs to, or remove it" "$state に書き込めません。所有者のアカウントで実行するか、削除してください"
fi
state=$(cd -P -- "$state" && pwd -P)
cd -- "$state"
if [ -e lock ] && [ ! -w lock ]; then
    fail "$state belongs to $(stat -c %U lock): run as that account, or remove the folder" "$state は別のアカウントのものです。そのアカウントで実行するか、フォルダーを削除してください"
fi
if [ ! -e lock ] && [ -n "$(ls -A)" ]; then
    fail "$state is not empty and no state of 'make run': choose another folder" "$state は make run の状態フォルダーではありません。別のフォルダーを指定してください"
fi
# The two programs inherit the lock, so it lasts until the last of them is gone.
exec 9<>lock
if ! flock -n 9; then
    # Not through fail: the logs are those of the run that is going on.
    reason=busy
    say "make run: another one is running on $state (process $(head -n 1 lock)); stop it first (Ctrl-C there)" >&2
    say "make run: 同じ状態フォルダーで別の make run が動いています。先に停止してください" >&2
    exit 1
fi
printf '%s\n' "$$" >lock

# --- ports: those of last time, otherwise the usual ones, otherwise the next ones that are free

listening() { # PORT
    local hex
    hex=$(printf '%04X' "$1")
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=":$hex" '$4 == "0A" && $2 ~ port "$" { found = 1 } END { exit !found }'
}
free_port() { # FIRST TAKEN...
    local port=$1
    shift
    while listening "$port" || [[ " $* " == *" $port "* ]]; do
        port=$((port + 1))
        [ "$port" -lt 65535 ] || return 1
    done
    echo "$port"
}
old_ports='' old_ingest='' old_pages='' old_metrics=''
if [ -s ports ]; then
    read -r old_ingest old_pages old_metrics <ports || true
    old_ports="$old_ingest $old_pages $old_metrics"
    [[ "$old_ports" =~ ^[0-9]{1,5}\ [0-9]{1,5}\ [0-9]{1,5}$ ]] || fail "$state/ports holds no three ports: remove it" "$state/ports が壊れています。削除してください"
fi
no_port="no free port was found"
ingest=$(free_port "${old_ingest:-8443}") || fail "$no_port" "空きポートがありません"
pages=$(free_port "${old_pages:-8080}" "$ingest") || fail "$no_port" "空きポートがありません"
metrics=$(free_port "${old_metrics:-9464}" "$ingest" "$pages") || fail "$no_port" "空きポートがありません"
if [ "$ingest $pages $metrics" != "${old_ports:-8443 8080 9464}" ]; then
    say "Ports ${old_ports:-8443 8080 9464} are in use; taking $ingest $pages $metrics (使用中のため別のポートを使います)"
fi
printf '%s %s %s\n' "$ingest" "$pages" "$metrics" >ports

# --- the agent's folder, account and files

mkdir -p agent/bin agent/etc agent/state
chmod 0755 . agent agent/bin agent/etc
# Replaced, not overwritten, so that a copy that still runs is not disturbed.
install -m 0755 -- "$agent_bin" agent/bin/new && mv -f agent/bin/new agent/bin/mimamori-agent
cat >agent/etc/agent.toml <<END
# Made by packaging/example/run.sh at every start. Paths are relative to the folder above this one.
state_dir = "state"
consent_file = "etc/consent.toml"
interval = "5s"
# An example is looked at for a minute or two, often while something is being compiled.
collect.less_when_busy = false

[collector]
url = "https://127.0.0.1:$ingest"

[proxy]
from_environment = false

[outbox]
size = "64MiB"
free_floor = "16MiB"
END
# An example lasts a year and is written again in time; otherwise yours stays as you changed it.
if [ ! -s agent/etc/consent.toml ] || [ -n "$(find agent/etc/consent.toml -mtime +300)" ]; then
    cat >agent/etc/consent.toml <<END
# EXAMPLE. Nobody at any facility approved this: it counts only towards a collector on this very machine.
# 例：どの医療機関も承認していません。この機器上のコレクターに対してのみ有効です。
version = 1
example = true
approver = "EXAMPLE: nobody (例：承認者なし)"
reason = "make run"
valid_from = "$(date -u -d yesterday +%Y-%m-%dT00:00:00Z)"
valid_to = "$(date -u -d '1 year' +%Y-%m-%dT00:00:00Z)"
mode = "continuous"

[scopes]
heartbeat = { every = "5s" }
performance = { every = "5s" }
os_state = { every = "5s" }
network = { every = "5s" }
END
fi

if grep -q '^withdrawn = true' agent/etc/consent.toml; then
    fail "the example's consent was withdrawn, so nothing is collected; for a new one: rm $state/agent/etc/consent.toml, and 'make run' again" \
        "例の同意は撤回されているため、何も収集しません。新しい同意で試すには rm $state/agent/etc/consent.toml の後、再度 make run を実行してください"
fi

chmod 0700 agent/state
enter=() rights=(--no-new-privs)
if [ "$(id -u)" = 0 ]; then
    uid=$(id -u nobody 2>/dev/null || echo 65534) gid=$(id -g nobody 2>/dev/null || echo 65534)
    chown -R 0:0 agent/bin agent/etc
    chown 0:0 agent
    chmod 0644 agent/etc/*.toml
    [ "$(stat -c %u agent/state)" = "$uid" ] || chown -R "$uid:$gid" agent/state
    rights=(--reuid "$uid" --regid "$gid" --clear-groups --no-new-privs)
    setpriv "${rights[@]}" true || fail "root may not change to uid $uid here (a container without CAP_SETUID?); run as an ordinary user" "uid $uid に切り替えられません。一般ユーザーで実行してください"
    say "The agent runs as uid $uid without rights; its consent belongs to root, and is marked as an example."
    say "エージェントは権限のないuid $uid で動きます。同意ファイルの所有者はrootで、「例」と記してあります。"
    # SQLite opens its file by the absolute path, which the account may not pass when a folder above is closed (such as
    # /root). Then the agent gets a view of its own, in which its folder is also found under an open path.
    if ! setpriv "${rights[@]}" test -d "$state/agent/state"; then
        open=''
        for folder in /mnt /media /srv /opt; do
            if [ -d "$folder" ] && [ -z "$(ls -A "$folder")" ] && setpriv "${rights[@]}" test -x "$folder"; then open=$folder && break; fi
        done
        # shellcheck disable=SC2016
        enter=(unshare --mount --propagation private -- /bin/sh -c 'mount --bind . "$0" && cd "$0" && exec "$@"' "$open")
        if [ -z "$open" ] || ! (cd agent && "${enter[@]}" setpriv "${rights[@]}" test -d "$open/state") 2>/dev/null; then
            fail "uid $uid may not pass the folders above $state, and no view of its own can be made here: set MIMAMORI_STATE to a folder below open ones (make run MIMAMORI_STATE=/var/tmp/mimamori), or run as an ordinary user" \
                "uid $uid は $state の上位フォルダーを通れません。MIMAMORI_STATEに別のフォルダーを指定するか、一般ユーザーで実行してください"
        fi
    fi
else
    say "The agent runs as you. You could write its consent too, so that consent proves nothing: it is accepted only"
    say "because it is marked as an example and the collector is on this machine. (同意は「例」としてのみ有効です)"
fi
agent_args=(./bin/mimamori-agent --config etc/agent.toml)
agent() { (cd agent && exec "${enter[@]}" setpriv "${rights[@]}" "${agent_args[@]}" "$@" 9>&-); }

# The same, for people. They stay in the caller's folder, so that a relative `--output FILE` lands there; only an agent that
# needs a view of its own sees nothing but its folder.
# shellcheck disable=SC2016
{
    say '#!/usr/bin/env bash'
    say '# The example agent as "make run" starts it. Made at every start.'
    say 'here=$(cd -P -- "$(dirname -- "$0")/agent" && pwd -P) || exit 2'
    say 'unset MIMAMORI_AGENT_BIN MIMAMORI_COLLECTOR_BIN'
    if [ "$(id -u)" = 0 ]; then
        # The consent is the administrator's, who here is root: these run as the caller, not as the agent's account.
        say 'case " $* " in *" consent withdraw "* | *" consent grant "* | *" collect "*)'
        say '    export MIMAMORI_AGENT_STATE_DIR="$here/state" MIMAMORI_AGENT_CONSENT_FILE="$here/etc/consent.toml"'
        say '    exec "$here/bin/mimamori-agent" --config "$here/etc/agent.toml" "$@" ;;'
        say 'esac'
    fi
    if [ ${#enter[@]} -gt 0 ]; then
        say 'cd -- "$here" || exit 2'
        printf 'exec'
        printf ' %q' "${enter[@]}" setpriv "${rights[@]}" "${agent_args[@]}"
    else
        say 'export MIMAMORI_AGENT_STATE_DIR="$here/state" MIMAMORI_AGENT_CONSENT_FILE="$here/etc/consent.toml"'
        printf 'exec'
        printf ' %q' setpriv "${rights[@]}"
        printf ' "$here/bin/mimamori-agent" --config "$here/etc/agent.toml"'
    fi
    say ' "$@"'
} >agentctl
# shellcheck disable=SC2016
{
    say '#!/usr/bin/env bash'
    say '# The example collector as "make run" starts it. Made at every start.'
    say 'here=$(cd -P -- "$(dirname -- "$0")" && pwd -P) || exit 2'
    say 'unset MIMAMORI_AGENT_BIN MIMAMORI_COLLECTOR_BIN'
    say 'export MIMAMORI_COLLECTOR_STATE_DIR="$here/collector"'
    printf 'exec %q --config "$here/collector.toml" "$@"\n' "$collector_bin"
} >collectorctl
chmod 0755 agentctl collectorctl

# --- the collector

cat >collector.toml <<END
# Made by packaging/example/run.sh at every start. Paths are relative to this folder.
state_dir = "collector"

[ingest]
listen = "127.0.0.1:$ingest"
public_url = "https://127.0.0.1:$ingest"

[pages]
listen = "127.0.0.1:$pages"

[metrics]
listen = "127.0.0.1:$metrics"
END
collector() { (exec "$collector_bin" --config collector.toml "$@" 9>&-); }

for log in agent collector; do
    if [ -e "$log.log" ]; then mv -f "$log.log" "$log.log.1"; fi
done
logs=(collector agent)
if [ ! -e initialised ]; then
    # What an interrupted first run left was never served.
    rm -rf collector
    say "Making the collector's keys and its certificate authority (コレクターの鍵と認証局を作成します)"
    collector init --host 127.0.0.1 >collector.log 2>&1 || fail "the collector could not be set up" "コレクターを初期化できません"
    touch initialised
fi

alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
# What the metrics listener answers to /readyz begins with 200.
is_ready() {
    local line=''
    {
        exec 8<>"/dev/tcp/127.0.0.1/$metrics" || return 1
        printf 'GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$metrics" >&8
        read -r -t 2 line <&8 || true
        # To the end, so that the other side sees an orderly close.
        while read -r -t 2 _ <&8; do :; done
        exec 8>&-
    } 2>/dev/null
    [[ "$line" == HTTP/1.?\ 200* ]]
}

# Sessions of their own, so that Ctrl-C reaches this script only and the order of stopping is kept;
# a signal from the kernel, should this script be killed.
setsid setpriv --pdeathsig TERM -- "$collector_bin" --config collector.toml serve </dev/null >>collector.log 2>&1 &
collector_pid=$!
for ((i = 0; ; i++)); do
    if is_ready; then break; fi
    alive "$collector_pid" || { collector_pid='' && fail "the collector ended" "コレクターが終了しました"; }
    [ "$i" -lt 150 ] || fail "the collector did not become ready within 30 s" "コレクターが30秒以内に準備完了になりません"
    sleep 0.2
done

# The value of a member of this machine in `machine list --json`; objects inside it are left out first.
of_machine() { # MEMBER
    collector machine list --json 2>>collector.log | tr -d ' ' | sed -E 's/":\{[^{}]*\}/":0/g; s/":\{[^{}]*\}/":0/g' | tr '{' '\n' |
        grep -F "\"facility\":\"$facility\"" | grep -F "\"machine\":\"$machine\"" | grep -v '"state":"retired"' |
        sed -n "s/.*\"$1\":\"\{0,1\}\([a-z0-9_]*\).*/\1/p" | head -n 1 || true
}

if ! collector facility show "$facility" --json >/dev/null 2>&1; then
    collector facility add "$facility" --name "EXAMPLE facility (例：実在しない医療機関)" --example >>collector.log 2>&1 ||
        fail "the example facility could not be added" "例の医療機関を登録できません"
fi

# --- enrolment: once

if [ ! -s agent/state/identity.toml ]; then
    rm -f token
    collector token create --facility "$facility" --machine "$machine" --ttl 1h --reason "make run" --output token >>collector.log 2>&1 ||
        fail "no token could be made" "トークンを作成できません"
    # Through standard input: no file that the agent's account could read holds it.
    enrolled=0
    agent enroll --token-file - <token || enrolled=$?
    rm -f token
    [ "$enrolled" = 0 ] || fail "this machine could not be enrolled (status $enrolled, the reason is above)" "登録に失敗しました（理由は上記）"
fi
if [ "$(of_machine state)" = pending ]; then
    collector machine approve "$facility/$machine" >>collector.log 2>&1 || fail "this machine could not be approved" "機器を承認できません"
fi

# --- the agent

started_ms=$(date +%s%3N)
pushd agent >/dev/null
# A session of its own and a signal from the kernel, as for the collector.
setsid "${enter[@]}" setpriv --pdeathsig TERM "${rights[@]}" "${agent_args[@]}" run </dev/null >>"$state/agent.log" 2>&1 &
agent_pid=$!
popd >/dev/null

# Reports of this run whose place the collector counts as verified, and for which the agent holds the receipt.
verified() {
    local next
    next=$(of_machine reports)
    [ "${next:-0}" -gt 0 ] || { echo 0 && return; }
    { agent ledger show --last 40 --json 2>/dev/null || true; } | awk -v next_seq="$next" -v since="$started_ms" '
        function number(name) { return match($0, "\"" name "\":[0-9]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : -1 }
        /"kind":"report"/ && /"receipted":true/ && /"readings":\{"/ && number("last_seq") < next_seq && number("taken_at_ms") >= since { n++ }
        END { print n + 0 }'
}

say "Waiting for the first verified reports (最初の検証済みレポートを待っています)"
deadline=$((SECONDS + wait_s))
while [ "$(verified)" -lt "$reports_wanted" ]; do
    alive "$collector_pid" || { collector_pid='' && fail "the collector ended" "コレクターが終了しました"; }
    alive "$agent_pid" || { agent_pid='' && fail "the agent ended" "エージェントが終了しました"; }
    [ "$SECONDS" -lt "$deadline" ] || fail "fewer than $reports_wanted reports were verified within $wait_s s" "$wait_s 秒以内に検証済みレポートが $reports_wanted 件揃いませんでした"
    sleep 0.5
done

if [ -n "$once" ]; then
    # The agent notes receipts with its next report, or when it stops.
    stop_one "$agent_pid" 8
    agent_pid=''
    say ""
    say "The last three reports, exactly as they left (最後の3件、送信内容そのもの):"
    agent ledger show --last "$reports_wanted" --full || fail "the ledger cannot be shown" "台帳を表示できません"
    agent ledger verify || fail "the ledger does not verify" "台帳の検証に失敗しました"
    say "Verified by the collector: $(of_machine reports) entries of $facility/$machine (コレクターが検証済み)"
    stop_all
    exit 0
fi

here=$state
if [ "$PWD" = "$top/.mimamori" ]; then here=.mimamori; fi
cat <<END

Three reports of this machine are verified. Everything here is an example: $facility / $machine.
この機器の3件のレポートが検証されました。すべて「例」です。

  Page              http://127.0.0.1:$pages/
  ページ
  Metrics           http://127.0.0.1:$metrics/metrics
  メトリクス
  What left         $here/agentctl ledger show --last 5 --full
  送信した内容
  Is it all true    $here/agentctl ledger verify
  台帳の検証
  What goes next    $here/agentctl preview
  次に送る内容
  What may leave    $here/agentctl manifest
  送信され得る項目
  The consent       $here/agent/etc/consent.toml (edit it and watch the agent follow)
  同意
  Take it back      $here/agentctl consent withdraw
  同意の撤回
  The collector     $here/collectorctl machine list
  コレクター
  Logs              $here/agent.log  $here/collector.log

Ctrl-C stops both (Ctrl-C で停止します).
END
ended=0
wait -n "$agent_pid" "$collector_pid" || ended=$?
alive "$agent_pid" || { agent_pid='' && fail "the agent ended (status $ended)" "エージェントが終了しました"; }
collector_pid=''
fail "the collector ended (status $ended)" "コレクターが終了しました"
