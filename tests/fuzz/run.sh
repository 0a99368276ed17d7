#!/usr/bin/env bash
# Runs the fuzzer on every parser in turn, or on those named, each for so many seconds on one processor.
#
# usage: run.sh SECONDS [NAME...]     RUNS=FOLDER keeps what was learnt there (default: target/fuzz beside the sources)
#
# Prints for each how many inputs were tried, how many places in the code they reached, and what was found: a panic, an
# input that takes longer than a second, or more than 512 MiB. What was found lies in RUNS/NAME/found. Ends with 1 then.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")"
seconds=${1:?usage: run.sh SECONDS [NAME...]}
shift
runs=${RUNS:-$PWD/../../target/fuzz}
mkdir -p "$runs"
# Nothing of ours is unsafe code: without the address sanitizer more is tried in the same time.
cargo +nightly fuzz build --fuzz-dir . --sanitizer none --target-dir "$runs/build" outside
binary=$(find "$runs/build" -path '*/release/outside' -type f -perm -u+x | head -n 1)
[ $# -gt 0 ] || set -- seeds/*
status=0
printf '%-20s %12s %10s  %s\n' parser executions coverage found
for name in "$@"; do
    name=$(basename "$name")
    [ -d "seeds/$name" ] || { echo "no parser is called $name" && exit 2; }
    mkdir -p "$runs/$name/corpus" "$runs/$name/found"
    log=$runs/$name/log
    MIMAMORI_FUZZ=$name "$binary" "$runs/$name/corpus" "seeds/$name" -max_total_time="$seconds" -max_len=16384 -timeout=1 -rss_limit_mb=512 \
        -print_final_stats=1 -artifact_prefix="$runs/$name/found/" >"$log" 2>&1 || status=1
    found=$(find "$runs/$name/found" -type f | wc -l)
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d ' ' -f 2)
    printf '%-20s %12s %10s  %s\n' "$name" "${executions:--}" "${coverage:--}" "$found"
done
exit $status
