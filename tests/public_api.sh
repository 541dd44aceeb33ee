#!/usr/bin/env bash
# Compares the library's public items with those listed in tests/public-api.txt, so that no change to
# them goes unseen. Needs a nightly toolchain, named by NIGHTLY, and the version of cargo-public-api below.
#
#     bash tests/public_api.sh          shows what differs, and fails if anything does
#     bash tests/public_api.sh bless    writes the list anew
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.52.0
listed=tests/public-api.txt
found=$(cargo public-api --version 2>/dev/null || true)
[ "$found" = "cargo-public-api $version" ] || {
    echo "cargo-public-api $version isn't there: cargo install cargo-public-api --locked --version $version" >&2
    exit 2
}
now=$(mktemp)
trap 'rm -f "$now"' EXIT
# Without what derives and the compiler implement for types by themselves.
cargo "+${NIGHTLY:-nightly}" public-api --no-default-features -sss >"$now"

if [ "${1-}" = bless ]; then
    cp "$now" "$listed"
elif ! diff -u "$listed" "$now"; then
    echo "the public items differ from $listed: if they should, run bash $0 bless and say so in CHANGELOG.md" >&2
    exit 1
fi
