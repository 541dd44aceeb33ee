"""wgrad beside PyTorch, candle and burn on the five workloads: steps per second, and wgrad's ratio to each.

    cargo build --release                                       # at the repository's root
    pip install torch                                           # and a C++ compiler, for the compiled mode
    cargo build --release --features candle --bin candle        # in this folder, with Rust 1.95
    cargo build --release --features burn-cpu,burn-wgpu --bin burn
    python3 compare.py [--rounds 3] [--seconds 3] [--gpu] [--json] [W1 …]

Whatever isn't there is left out, and named. In each round all peers do a workload one after the other, so that
they share the machine's moods: a ratio is the median of the rounds' ratios, a rate that of the rounds' rates.
Without --gpu the CPU engine is compared with what computes on the CPU; with it the GPU engine with what
computes on a GPU, software ones included. PyTorch gets as many threads as wgrad.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
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
    """Steps per second; None where the peer can't."""
    run = subprocess.run([*map(str, command), workload], capture_output=True, text=True)
    if run.returncode != 0:
        reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"{name}, {workload}: {reason}", file=sys.stderr)
        return None
    told = json.loads(run.stdout.strip().splitlines()[-1])
    row = told["workloads"][0] if "workloads" in told else told
    return row["steps_per_second"]


def compare(commands, workload, rounds):
    """Of each peer the steps per second of every round; None where it can't do the workload."""
    rates = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            rate = None if rates[name] is None else measure(name, command, workload)
            rates[name] = None if rate is None else [*rates[name], rate]
    return rates


def cell(name, rates):
    """Median, half of what lies between the slowest and the fastest round, and the ratio."""
    if rates[name] is None:
        return "—"
    steps = statistics.median(rates[name])
    spread = (max(rates[name]) - min(rates[name])) / 2 / steps
    ratio = ""
    if name != "wgrad" and rates["wgrad"]:
        ratio = statistics.median(own / its for own, its in zip(rates["wgrad"], rates[name]))
        ratio = f"  {ratio:5.2f}x"
    return f"{steps:.4g} ±{100 * spread:.0f} %{ratio}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="W1")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each peer and workload")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--gpu", action="store_true", help="compare on GPUs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    unknown = [name for name in args.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload is called {unknown[0]}; there are {', '.join(WORKLOADS)}")
    if args.rounds < 1:
        parser.error(f"--rounds is {args.rounds}; it takes at least one")
    commands = dict(peers(args.gpu, args.seconds))
    for name, command in commands.items():
        if command is None:
            print(f"{name} isn't there: see --help for how to get it", file=sys.stderr)
    if commands["wgrad"] is None:
        sys.exit(1)
    commands = {name: command for name, command in commands.items() if command is not None}
    rates = {workload: compare(commands, workload, args.rounds) for workload in args.workloads or WORKLOADS}
    if args.json:
        print(json.dumps(rates))
        return
    print(f"{'steps/s':10}" + "".join(f"{name:>24}" for name in commands))
    for workload, row in rates.items():
        print(f"{workload:10}" + "".join(f"{cell(name, row):>24}" for name in commands))
    print("x: how many times as fast wgrad is")


if __name__ == "__main__":
    main()
