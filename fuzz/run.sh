#!/usr/bin/env bash
# Runs one fuzz target for a number of executions, or of seconds, and says how many were made.
#
#     fuzz/run.sh TARGET 50000000 [option of libFuzzer]...
#     fuzz/run.sh TARGET 10s [option of libFuzzer]...
#
# FUZZ_CORPUS names a folder for new inputs, logs and what was found, a fresh one when it is not
# set; the committed corpus is read and stays as it is. FUZZ_FEATURES are features of the package.
#
# No crate of this project has unsafe code, so the sanitizers would find nothing that the checks of
# the targets do not; without them the fuzzers are many times faster.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
case $2 in
    *s) limit=-max_total_time=${2%s} ;;
    *) limit=-runs=$2 ;;
esac
shift 2

# Longer inputs take longer and seldom say more.
case $target in
    tlv) longest=96 ;;
    framing) longest=128 ;;
    dialect) longest=384 ;;
    message | lenient | differential | describe) longest=224 ;;
    *) longest=4096 ;;
esac
# These read the same messages.
case $target in
    lenient | describe) seeds=message ;;
    *) seeds=$target ;;
esac

work=${FUZZ_CORPUS:-$(mktemp -d)}
mkdir -p "$work/$target" "$work/found"
export RUSTC_BOOTSTRAP=1 # The instrumentation needs flags that the stable compiler takes only so.
build=(--sanitizer none ${FUZZ_FEATURES:+--features "$FUZZ_FEATURES"})
cargo fuzz build "${build[@]}" "$target" >"$work/$target.build.log" 2>&1 || {
    tail -n 30 "$work/$target.build.log"
    exit 2
}
if cargo fuzz run "${build[@]}" "$target" "$work/$target" "fuzz/corpus/$seeds" -- \
    "$limit" -max_len="$longest" -artifact_prefix="$work/found/" -print_final_stats=1 "$@" \
    >"$work/$target.log" 2>&1; then
    grep -E '^(Done|stat::)' "$work/$target.log" | sed "s/^/$target: /"
    [ -n "${FUZZ_CORPUS:-}" ] || rm -rf "$work"
else
    # Not how the fuzzer was called: it would name folders of this machine.
    grep -v -E '^ *(at|[0-9]+:)|^#[0-9]|fuzz run|^Error|Running' "$work/$target.log" | tail -n 30
    exit 1
fi
