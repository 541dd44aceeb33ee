"""Models that leave wgrad and models that come: the same numbers in ONNX Runtime and PyTorch.

    python3 round_trip.py target/debug/wgrad

needs onnxruntime, numpy and safetensors; torch, where it can be imported, is asked too.
tests/round_trip.sh makes an environment with the first three.
"""

import csv
import itertools
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from safetensors.numpy import load_file, save_file

try:
    import torch
except ImportError:
    torch = None

WGRAD = pathlib.Path(sys.argv[1]).resolve()
# What f32 makes of a few hundred multiply-adds, as a part of the largest number involved.
RELATIVE = 1e-5


def wgrad(folder, *arguments):
    command = [WGRAD, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stderr}")
    return done.stdout


def train(folder, name, *arguments):
    flags = ["--device", "cpu", "--seed", 3, "--runs", ".", "--name", name]
    wgrad(folder, "train", *arguments, *flags)
    return folder / name


def write_table(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def read_table(text):
    rows = list(csv.reader(text.splitlines()))
    return rows[0], rows[1:]


def feeds(session, header, rows):
    """The rows as the model's inputs: one tensor of numbers, or a tensor for each column."""
    column = lambda name: [row[header.index(name)] for row in rows]
    number = lambda cell: math.nan if cell == "" else float(cell)
    inputs = session.get_inputs()
    if [i.name for i in inputs] == ["input"] and "input" not in header:
        count = inputs[0].shape[1]
        return {"input": np.array([[number(c) for c in row[:count]] for row in rows], np.float32)}
    made = {}
    for i in inputs:
        cells = column(i.name)
        if i.type == "tensor(string)":
            made[i.name] = np.array([[c] for c in cells], dtype=object)
        else:
            made[i.name] = np.array([[number(c)] for c in cells], np.float32)
    return made


def close(what, got, want):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, f"{what}: {got.shape} and {want.shape}"
    assert np.isfinite(got).all(), f"{what}: not finite"
    worst = np.abs(got - want).max() / max(1.0, np.abs(want).max())
    assert worst <= RELATIVE, f"{what}: off by {worst:.1e}, more than {RELATIVE:.0e}"
    return worst


def check_onnx(what, folder, run, header, rows):
    """Rows through `wgrad predict` and through the exported model."""
    table = write_table(folder / "rows.csv", header, rows)
    names, answers = read_table(wgrad(folder, "predict", run, table, "--device", "cpu"))
    wgrad(folder, "export", run, "--output", run / "model.onnx")
    session = onnxruntime.InferenceSession(str(run / "model.onnx"))
    outputs = dict(
        zip([o.name for o in session.get_outputs()], session.run(None, feeds(session, header, rows)))
    )
    if "label" in outputs:
        probabilities = [[float(cell) for cell in row[1:]] for row in answers]
        worst = close(what, outputs["probabilities"], probabilities)
        # Where two classes are as likely, rounding decides.
        clear = np.sort(outputs["probabilities"])[:, -1] - np.sort(outputs["probabilities"])[:, -2] > 1e-4
        labels = np.array([row[0] for row in answers])
        assert (outputs["label"][clear] == labels[clear]).all(), f"{what}: labels"
    else:
        worst = close(what, outputs["prediction"], [[float(c) for c in row] for row in answers])
    print(f"{what:44} ONNX Runtime within {worst:.0e}")
    return outputs


def digits(folder):
    """Logits of the digits in ONNX Runtime and, with the same file, in torch."""
    rng = random.Random(1)
    rows = [[rng.randint(0, 16) for _ in range(64)] for _ in range(200)]
    run = train(folder, "digits", "digits", "--epochs", 3)
    weights = load_file(run / "model.safetensors")
    header = [column["name"] for column in description(run)["schema"]["inputs"]]
    outputs = check_onnx("digits", folder, run, header, rows)
    scaled = scale(description(run)["schema"], np.array(rows, np.float32))
    expected = forward(weights, scaled, lambda z: np.maximum(z, 0))
    close("digits, logits of numpy", outputs["logits"], expected)
    if torch:
        net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        net.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
        with torch.no_grad():
            logits = net(torch.from_numpy(scaled)).numpy()
        worst = close("digits, logits of torch", outputs["logits"], logits)
        print(f"{'digits, logits':44} torch within {worst:.0e}")


def description(run):
    with open(run / "model.safetensors", "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(json.loads(file.read(length))["__metadata__"]["wgrad"])


def scale(schema, rows):
    kinds = [column["kind"]["numeric"] for column in schema["inputs"]]
    offset = np.array([kind["offset"] for kind in kinds], np.float64)
    factor = np.array([kind["scale"] for kind in kinds], np.float64)
    return ((rows - offset) * factor).astype(np.float32)


def forward(weights, x, activation):
    layers = sorted({int(name.split(".")[0]) for name in weights})
    for layer in layers:
        x = x @ weights[f"{layer}.weight"].T.astype(np.float64) + weights[f"{layer}.bias"]
        if layer != layers[-1]:
            x = activation(x)
    return x


def nets(folder):
    """Every activation, norm and encoding."""
    # SIREN's sine(30) would multiply every rounding by 30.
    activations = "relu leaky_relu elu gelu gelu_tanh silu sigmoid tanh softplus sine(1)".split()
    variants = [(a, ["--activation", a]) for a in activations]
    variants += [(f"norm {n}", ["--norm", n, "--activation", "tanh"]) for n in ("batch", "layer")]
    variants += [(f"encoding {e}", ["--encoding", e, "--scaling", "min-max"]) for e in ("freq4", "blob16", "tri8")]
    rng = random.Random(2)
    rows = [[rng.uniform(-1, 1), rng.uniform(-1, 1)] for _ in range(100)]
    for name, flags in variants:
        run = train(folder, name.replace(" ", "-"), "spirals", "--layers", "16,12", "--epochs", 2, *flags)
        header = [column["name"] for column in description(run)["schema"]["inputs"]]
        check_onnx(name, folder, run, header, rows)


def words(folder):
    """Categories, places in an order, missing cells, unknown words; a regression in its own units."""
    rng = random.Random(3)
    header = ["area", "heating", "rooms", "state", "price"]
    states = ["poor", "fair", "good"]
    row = lambda: [
        round(rng.uniform(30, 200), 1), rng.choice(["gas", "oil", "wood"]), rng.randint(1, 7), rng.choice(states)
    ]
    price = lambda r: 1000 * r[0] + 20000 * r[2] + 30000 * (r[1] == "gas") + 50000 * states.index(r[3])
    learnt = [[*r, price(r)] for r in (row() for _ in range(300))]
    learnt[5][0] = learnt[7][1] = ""
    table = write_table(folder / "houses.csv", header, learnt)
    run = train(
        folder, "houses", table, "--missing", "fill", "--column", "state=ordinal:poor,fair,good", "--epochs", 20
    )
    rows = [row() for _ in range(50)]
    rows[3][0], rows[4][1], rows[5][1], rows[6][3] = "", "", "peat", ""
    check_onnx("words, missing cells, regression", folder, run, header[:4], rows)
    heating = [[*r[:1], r[2], r[1]] for r in learnt if r[0] != "" and r[1]]
    table = write_table(folder / "heating.csv", ["area", "rooms", "heating"], heating)
    run = train(folder, "heating", table, "--epochs", 5)
    check_onnx("class names", folder, run, ["area", "rooms"], [[r[0], r[2]] for r in (row() for _ in range(50)) if r[0] != ""])


def odd_cells(folder):
    """Quotes within words, rare words and those that no training row has, a column that is constant in training,
    numbers with a decimal comma, missing words."""
    rng = random.Random(4)
    header = ["size", "word", "same", "y"]
    frequent = ["plain", '"plain"', 'say "so"', "a, b"]
    row = lambda i: [rng.uniform(1000, 9000), f"rare {i}" if i % 9 == 0 else rng.choice(frequent), 5]
    learnt = [row(i) for i in range(300)]
    german = lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,"))
    y = lambda r: german(r[0] + 500 * (r[1] == "plain"))
    cells = [[german(r[0]), r[1] if i != 7 else "nil", r[2], y(r)] for i, r in enumerate(learnt)]
    table = write_table(folder / "odd.csv", header, cells)
    run = train(
        folder, "odd", table, "--missing", "fill", "--missing-words", "nil", "--rare-below", 2, "--epochs", 20
    )
    unlearnt = description(run)["schema"]["inputs"][1]["kind"]["categorical"]["unlearnt"]
    assert unlearnt, "every rare word is in a training row"
    rows = [[round(rng.uniform(1000, 9000), 2), word, same] for word in [*frequent, "rare 9", "new", "", unlearnt[0]]
            for same in (5, 6, -1e6)]
    outputs = check_onnx("quotes, rare and missing words, a constant", folder, run, header[:3], rows)
    # The first three rows differ in size and in the constant alone.
    for changed in (6, -1e6):
        again = [[r[0], r[1], changed] for r in rows]
        same = check_onnx("a constant that changes", folder, run, header[:3], again)
        assert (outputs["prediction"] == same["prediction"]).all(), "a constant column counts"


def from_outside(folder):
    """Weights that another program trained, by their names in a `state_dict`, evaluated here."""
    rng = np.random.default_rng(4)
    rows = rng.uniform(-1, 1, size=(300, 2)).astype(np.float32)
    classes = (rows[:, 0] * rows[:, 1] > 0).astype(np.int64)
    sizes = [(16, 2), (12, 16), (2, 12)]
    if torch:
        torch.manual_seed(4)
        net = torch.nn.Sequential(*itertools.chain(*([torch.nn.Linear(i, o), torch.nn.Tanh()] for o, i in sizes)))[:-1]
        adam = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(200):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(net(torch.from_numpy(rows)), torch.from_numpy(classes)).backward()
            adam.step()
        weights = {name: w.detach().numpy() for name, w in net.state_dict().items()}
        with torch.no_grad():
            expected = net(torch.from_numpy(rows)).numpy()
    else:
        weights = {}
        for layer, (outputs, inputs) in enumerate(sizes):
            weights[f"{2 * layer}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
            weights[f"{2 * layer}.bias"] = rng.normal(size=outputs).astype(np.float32)
        expected = forward(weights, rows.astype(np.float64), np.tanh)
    save_file(weights, folder / "outside.safetensors")
    header = ["x", "y", "class"]
    table = write_table(folder / "outside.csv", header, [[*map(float, r), f"c{c}"] for r, c in zip(rows, classes)])
    run = train(
        folder, "outside", table, "--layers", "16,12", "--activation", "tanh", "--scaling", "none",
        # Steps that no weight feels.
        "--init-from", "outside.safetensors", "--epochs", 1, "--optimizer", "sgd", "--lr", "1e-30",
        "--label-smoothing", 0,
    )
    outputs = check_onnx("weights from outside", folder, run, header[:2], rows.tolist())
    by = "torch" if torch else "numpy"
    worst = close("weights from outside", outputs["logits"], expected)
    print(f"{'weights from outside, logits':44} {by} within {worst:.0e}")

    score = json.loads(wgrad(folder, "eval", run, table, "--device", "cpu", "--json"))
    logits = expected.astype(np.float64)
    likely = logits[np.arange(len(rows)), classes] - np.log(np.exp(logits).sum(axis=1))
    worst = close("weights from outside, loss", [score["test_loss"]], [-likely.mean()])
    assert score["test_accuracy"] == (logits.argmax(axis=1) == classes).mean(), "weights from outside: accuracy"
    print(f"{'weights from outside, loss and accuracy':44} {by} within {worst:.0e}")
    if torch:
        assert score["test_accuracy"] > 0.9, "torch learnt nothing, so there was little to compare"


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    for check in (digits, nets, words, odd_cells, from_outside):
        check(folder)
if not torch:
    print("torch can't be imported here: its logits were computed by numpy")
