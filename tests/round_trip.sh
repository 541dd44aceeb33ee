#!/usr/bin/env bash
# Compares exported models with ONNX Runtime, in an environment of its own under target/. Where the Python
# given by PYTHON has torch, that is asked too: PYTHON=venv/bin/python tests/round_trip.sh
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet
python=${PYTHON:-}
if [ -z "$python" ]; then
    environment=target/round_trip
    python=$environment/bin/python
    [ -x "$python" ] || python3 -m venv "$environment"
    "$python" -m pip install --quiet --disable-pip-version-check onnxruntime numpy safetensors
fi
"$python" tests/round_trip/round_trip.py "${CARGO_TARGET_DIR:-target}/debug/wgrad"
