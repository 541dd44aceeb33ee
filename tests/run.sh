#!/usr/bin/env bash
# Runs the checks of the default features on a fresh machine with a Rust toolchain and a C linker.
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

# Whether the tests have Mesa's AMD driver, which compiles kernels for GPUs that aren't there. Only
# Linux has it; elsewhere these tests show as ignored.
has_amd_compiler() {
    [ "$(uname)" != Linux ] ||
        compgen -G '/usr/share/vulkan/icd.d/radeon_icd*.json' >/dev/null ||
        compgen -G '/usr/local/share/vulkan/icd.d/radeon_icd*.json' >/dev/null ||
        compgen -G '/etc/vulkan/icd.d/radeon_icd*.json' >/dev/null
}

# Whether the tests have a browser, which opens reports.
has_browser() {
    local name
    for name in chromium chromium-browser google-chrome chrome; do
        command -v "$name" >/dev/null && return
    done
    return 1
}

install() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "$@"
}

say "looking for a GPU adapter and for Mesa's AMD compiler"
if ! has_adapter || ! has_amd_compiler; then
    command -v apt-get >/dev/null || {
        echo "not found: install a Vulkan driver (Mesa's lavapipe is a software one) and, on Linux," \
            "Mesa's AMD driver (RADV)" >&2
        exit 1
    }
    say "not found: installing Mesa's Vulkan drivers"
    install mesa-vulkan-drivers
    has_adapter || { echo "still no adapter" >&2; exit 1; }
    has_amd_compiler || { echo "still no AMD driver of Mesa" >&2; exit 1; }
fi

say "looking for a browser"
if ! has_browser && command -v apt-get >/dev/null; then
    say "not found: installing Chromium"
    install chromium || true
fi
if ! has_browser; then
    say "no Chromium: tests that open pages show as ignored"
    export RUSTFLAGS="${RUSTFLAGS-} --cfg no_browser"
fi

say "format"
cargo fmt --check
say "clippy, with and without the command line"
cargo clippy --all-targets -- -D warnings
cargo clippy --all-targets --no-default-features -- -D warnings
say "tests and doc tests"
cargo test
say "trainings once more, fused where the net suits"
WGRAD_FUSED=1 cargo test --test engines --test options --test checkpoints --test guest
say "exported models in ONNX Runtime"
if python3 -c 'import venv, ensurepip' 2>/dev/null; then
    bash tests/round_trip.sh
else
    say "no Python with venv: left out"
fi
say "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
say "all checks passed"
