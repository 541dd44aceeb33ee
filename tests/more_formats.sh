#!/usr/bin/env bash
# Checks what is read with the features parquet and images: lints, and the tests of tables. Compiles nearly
# everything once more, which run.sh doesn't.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --all-features --all-targets -- -D warnings
cargo test --all-features --lib data::
cargo test --all-features --test formats_cli --test more_formats_cli
