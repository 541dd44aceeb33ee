"""Square products of wgrad's CPU engine beside other libraries': GFLOP/s, and wgrad's share of the best.

    cargo bench --bench products --no-run                       # at the repository's root
    cargo build --release --features products --bin products    # in this folder
    pip install numpy                                           # brings OpenBLAS
    python3 products.py [--rounds 5] [--threads 1 2] [512 …]

Whatever isn't there is left out. All libraries do a size before the next one comes, round by round, and the
medians of the rounds count. The share is that of the library against which wgrad does worst. All get ordinary
pages of memory: NumPy would ask for huge ones, which are the application's choice and not the product's.
"""

import argparse
import importlib.util
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

NUMPY = """
import sys, time, statistics, numpy
threads, sizes = sys.argv[1], sys.argv[2:]
for n in map(int, sizes):
    a, b = numpy.full((n, n), 0.5, numpy.float32), numpy.full((n, n), 0.25, numpy.float32)
    c = numpy.empty((n, n), numpy.float32)
    def seconds(repetitions):
        start = time.perf_counter()
        for _ in range(repetitions):
            numpy.matmul(a, b, out=c)
        return (time.perf_counter() - start) / repetitions
    seconds(1)
    repetitions = max(1, int(1 / 7 / seconds(1)))
    times = [seconds(repetitions) for _ in range(7)]
    print(threads, n, 2e-9 * n**3 / statistics.median(times))
"""


def libraries():
    """Name and command, to which threads and size are added."""
    ours = sorted(HERE.parent.parent.glob("target/release/deps/products-*[!.d]"), key=os.path.getmtime)
    if not ours:
        sys.exit("wgrad's bench isn't built: see --help")
    yield "wgrad", [ours[-1]]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or HERE / "target")
    peers = target / "release" / "products"
    if peers.exists():
        yield "gemm", [peers, "gemm"]
        yield "matrixmultiply", [peers, "matrixmultiply"]
    if importlib.util.find_spec("numpy"):
        yield "OpenBLAS", [sys.executable, "-c", NUMPY]


def gflops(command, threads, size):
    variables = ["OPENBLAS_NUM_THREADS", "MATMUL_NUM_THREADS"]
    environment = os.environ | dict.fromkeys(variables, str(threads)) | {"NUMPY_MADVISE_HUGEPAGE": "0"}
    command = [*map(str, command), str(threads), str(size)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return float(run.stdout.split()[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[512, 1024, 2048], metavar="512")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, os.cpu_count()}))
    args = parser.parse_args()
    commands = dict(libraries())
    print(f"{'threads':>7} {'size':>5}" + "".join(f"{name:>16}" for name in commands) + f"{'share':>8}")
    for threads in args.threads:
        for size in args.sizes:
            rounds = [
                {name: gflops(command, threads, size) for name, command in commands.items()}
                for _ in range(args.rounds)
            ]
            medians = {name: statistics.median(row[name] for row in rounds) for name in commands}
            # Ratios within a round, so that the machine's moods cancel; and no best of each round, which
            # would favour whichever library a quiet moment fell to.
            share = min(
                statistics.median(row["wgrad"] / row[name] for row in rounds) for name in commands if name != "wgrad"
            )
            cells = "".join(f"{medians[name]:>16.1f}" for name in commands)
            print(f"{threads:>7} {size:>5}{cells}{100 * share:>6.0f} %", flush=True)


if __name__ == "__main__":
    main()
