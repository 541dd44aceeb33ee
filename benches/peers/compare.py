"""wgrad beside PyTorch, candle and burn on the five workloads: steps per second, and wgrad's ratio to each.

    cargo build --release                                       # at the repository's root
    pip install torch                                           # and a C++ compiler, for the compiled mode
    cargo build --release --features candle --bin candle        # in this folder
    cargo build --release --features burn-cpu,burn-wgpu --bin burn
    python3 compare.py [--seconds 3] [--gpu] [--json] [W1 …]

Whatever isn't there is left out, and named. All peers do a workload before the next one comes, so that they
share the machine's moods. Without --gpu the CPU engine is compared with what computes on the CPU; with it
the GPU engine with what computes on a GPU, software ones included. PyTorch gets as many threads as wgrad.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
WORKLOADS = ["W1", "W2", "W3", "W4", "W5"]


def binary(folder, name):
    target = os.environ.get("CARGO_TARGET_DIR")
    path = pathlib.Path(target or folder / "target") / "release" / name
    return path if path.exists() else None


def peers(gpu, seconds):
    """Name, and the command without its workload; None where it isn't installed. wgrad comes first."""
    seconds = ["--seconds", str(seconds)]
    # CARGO_TARGET_DIR is for the peers: wgrad is built as usual.
    wgrad = HERE.parent.parent / "target" / "release" / "wgrad"
    device = "gpu" if gpu else "cpu"
    command = [wgrad, "bench", "--quiet", "--json", "--device", device, *seconds, "--workload"]
    yield "wgrad", command if wgrad.exists() else None
    has_torch = importlib.util.find_spec("torch") is not None
    for mode in ["eager", "compiled"]:
        script = [sys.executable, HERE / "pytorch.py", "--mode", mode, *seconds]
        # The cores that wgrad sees too; PyTorch may count fewer.
        threads = ["--threads", str(len(os.sched_getaffinity(0)))] if hasattr(os, "sched_getaffinity") else []
        where = ["--device", "cuda"] if gpu else threads
        yield f"PyTorch {mode}", [*script, *where] if has_torch else None
    if not gpu:
        candle = binary(HERE, "candle")
        yield "candle", [candle, *seconds] if candle else None
    burn = binary(HERE, "burn")
    yield "burn", [burn, "wgpu" if gpu else "cpu", *seconds] if burn else None


def measure(name, command, workload):
    """Steps per second and their spread; None where the peer can't."""
    run = subprocess.run([*map(str, command), workload], capture_output=True, text=True)
    if run.returncode != 0:
        reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"{name}, {workload}: {reason}", file=sys.stderr)
        return None
    told = json.loads(run.stdout.strip().splitlines()[-1])
    row = told["workloads"][0] if "workloads" in told else told
    return row["steps_per_second"], row["spread"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="W1")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--gpu", action="store_true", help="compare on GPUs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    unknown = [name for name in args.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload is called {unknown[0]}; there are {', '.join(WORKLOADS)}")
    commands = dict(peers(args.gpu, args.seconds))
    for name, command in commands.items():
        if command is None:
            print(f"{name} isn't there: see --help for how to get it", file=sys.stderr)
    if commands["wgrad"] is None:
        sys.exit(1)
    names = [name for name, command in commands.items() if command is not None]
    rates = {}
    for workload in args.workloads or WORKLOADS:
        rates[workload] = {name: measure(name, commands[name], workload) for name in names}
    if args.json:
        print(json.dumps(rates))
        return
    print(f"{'steps/s':10}" + "".join(f"{name:>24}" for name in names))
    for workload, row in rates.items():
        cells = []
        for name in names:
            if row[name] is None:
                cells.append("—")
                continue
            steps, spread = row[name]
            ratio = f"  {row['wgrad'][0] / steps:5.2f}x" if name != "wgrad" and row["wgrad"] else ""
            cells.append(f"{steps:.4g} ±{50 * spread:.0f} %{ratio}")
        print(f"{workload:10}" + "".join(f"{cell:>24}" for cell in cells))
    print("x: how many times as fast wgrad is")


if __name__ == "__main__":
    main()
