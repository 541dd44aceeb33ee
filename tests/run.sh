#!/usr/bin/env bash
# Runs every check on a fresh machine with a Rust toolchain and a C linker.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*" >&2; }

say "looking for a GPU adapter"
if ! cargo run --quiet -- adapters >&2; then
    command -v apt-get >/dev/null || {
        echo "no adapter found: install a Vulkan driver (Mesa's lavapipe is a software one)" >&2
        exit 1
    }
    say "none found: installing Mesa's software Vulkan driver"
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends mesa-vulkan-drivers
    cargo run --quiet -- adapters >&2
fi

say "format"
cargo fmt --check
say "clippy, with and without the command line"
cargo clippy --all-targets -- -D warnings
cargo clippy --all-targets --no-default-features -- -D warnings
say "tests and doc tests"
cargo test
say "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
say "all checks passed"
