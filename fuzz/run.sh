#!/usr/bin/env bash
# Runs the fuzz targets, all or those named, for so many seconds each: fuzz/run.sh 60 [target…]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?seconds for each target}
shift
[ $# -gt 0 ] || set -- csv tables npy idx npz model_file checkpoint state_dict schedule training

for target in "$@"; do
    printf '\n== %s\n' "$target" >&2
    mkdir -p "fuzz/corpus/$target"
    # A file of a few thousand bytes has no business with 256 MiB at once.
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -malloc_limit_mb=256 -rss_limit_mb=1024
done
