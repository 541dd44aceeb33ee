"""Steps per second of the five workloads in PyTorch, one JSON object a line.

    python3 pytorch.py [--device cpu|cuda] [--mode eager|compiled] [--seconds 3] [W1 …]

Nets, losses, optimizers and batch sizes are those of src/bench/workload.rs, with PyTorch's own ways to
be fast: fused optimizers, data on the device, shuffled by one permutation an epoch, and losses summed on
the device.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F

# Batches that the data set holds, and samples whose median is the rate: as in src/bench/rate.rs.
BATCHES = 4
SAMPLES = 7


def layers(widths, activation):
    parts = []
    for n_in, n_out in zip(widths[:-2], widths[1:-1]):
        parts += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*parts, nn.Linear(widths[-2], widths[-1]))


def table():
    hidden = lambda n_in: [nn.Linear(n_in, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.1)]
    return nn.Sequential(*hidden(32), *hidden(256), nn.Linear(256, 1))


def momentum(parameters, **how):
    return torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, weight_decay=1e-4, **how)


# Name: net, columns in and out, loss, optimizer, batch size.
WORKLOADS = {
    "W1": (lambda: layers([784, 128, 10], nn.ReLU), 784, 10, F.cross_entropy,
           lambda p, **how: torch.optim.Adam(p, lr=1e-3, **how), 64),
    "W2": (lambda: layers([784, 512, 512, 10], nn.ReLU), 784, 10, F.cross_entropy,
           lambda p, **how: torch.optim.AdamW(p, lr=1e-3, **how), 256),
    "W3": (lambda: layers([1024] * 6 + [10], nn.GELU), 1024, 10, F.cross_entropy,
           lambda p, **how: torch.optim.AdamW(p, lr=1e-4, **how), 512),
    "W4": (lambda: layers([2, 64, 64, 64, 64, 3], nn.ReLU), 2, 3, F.mse_loss,
           lambda p, **how: torch.optim.Adam(p, lr=1e-3, **how), 16384),
    "W5": (table, 32, 1, F.binary_cross_entropy_with_logits, momentum, 1024),
}


def targets(rows, width, loss):
    if loss is F.cross_entropy:
        return torch.arange(rows) % width
    values = torch.rand(rows, width)
    return values.round() if loss is F.binary_cross_entropy_with_logits else values


def rate(name, device, mode, seconds):
    """Median steps per second, and the slowest sample's distance from the fastest as a share of it."""
    make, n_in, n_out, loss, optimizer, batch = WORKLOADS[name]
    torch.manual_seed(0)
    rows = BATCHES * batch
    x = (2 * torch.rand(rows, n_in) - 1).to(device)
    y = targets(rows, n_out, loss).to(device)
    net = make().to(device).train()
    # In one kernel for all tensors: the fastest of PyTorch's three ways here.
    optimizer = optimizer(net.parameters(), fused=True)
    total = torch.zeros((), device=device)

    # The batch is gathered within, so that compiling covers it too.
    def forward(index):
        return loss(net(x[index]), y[index])

    if mode == "compiled":
        # On a GPU with CUDA graphs, which record the launches once.
        forward = torch.compile(forward, mode="default" if device == "cpu" else "reduce-overhead")

    def steps():
        while True:
            order = torch.randperm(rows, device=device)
            for index in order.split(batch):
                optimizer.zero_grad(set_to_none=True)
                value = forward(index)
                value.backward()
                optimizer.step()
                total.add_(value.detach())
                yield

    training = steps()

    def timed(count):
        start = time.perf_counter()
        for _ in range(count):
            next(training)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    # The first steps compile, and find everything cold.
    timed(3)
    each = seconds / (SAMPLES + 1)
    count = 1
    last = timed(count)
    while last < each / 2:
        count = int(count * min(max(each / last, 2.0), 10.0))
        last = timed(count)
    rates = sorted(count / timed(count) for _ in range(SAMPLES))
    assert torch.isfinite(total), f"{name} diverged"
    median = rates[SAMPLES // 2]
    return median, (rates[-1] - rates[0]) / median


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--mode", default="eager", choices=["eager", "compiled"])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    peer = f"PyTorch {torch.__version__.split('+')[0]}, {args.mode}, {args.device}"
    for name in args.workloads:
        steps, spread = rate(name, args.device, args.mode, args.seconds)
        print(json.dumps({"peer": peer, "workload": name, "steps_per_second": steps, "spread": spread}), flush=True)


if __name__ == "__main__":
    main()
