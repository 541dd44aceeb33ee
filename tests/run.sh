#!/usr/bin/env bash
# Runs every check on a fresh machine with a Rust toolchain and a C linker.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*" >&2; }

# Whether the tests have an adapter: of any backend but GL, which is wgpu's last resort.
has_adapter() {
    local found
    found=$(WGPU_BACKEND=vulkan,metal,dx12 cargo run --quiet -- adapters --json)
    printf '%s\n' "$found" >&2
    [[ $found == *'"name"'* ]]
}

say "looking for a GPU adapter"
if ! has_adapter; then
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
    has_adapter || { echo "still no adapter" >&2; exit 1; }
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
