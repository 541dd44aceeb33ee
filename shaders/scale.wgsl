// scale:  what the loss is scaled with in the next step
//
//   status      partial sums of Σ g² of the step, as gradient_norm left them, and its fault, as the
//               optimizer raised it
//   scaling     updated
//
//   Σ g² finite:  scale ← 2·scale where that has been so for INTERVAL steps since it changed
//   else, the optimizer having left the step out:
//     scale > 1:  scale ← scale/2, and the fault says that no more than that went wrong
//     scale = 1:  it isn't the scale's: a fault as in f32, which if !SKIPS nobody puts up with
//
// One workgroup. Dynamic loss scaling: Micikevicius et al., "Mixed precision training" (2018);
// torch.amp.GradScaler, which has no least scale.
//
// Host record and CPU twin: src/ops/scaling.rs

@group(0) @binding(2) var<storage, read_write> status: Status;
@group(0) @binding(3) var<storage, read_write> scaling: Scaling;

struct Status {
    partial_sums: array<f32, PARTIAL_SUMS>,
    faults: array<u32>,
}

// WORKGROUP, too.
const PARTIAL_SUMS = 128u;

// Whether the training goes on where a step is left out for other reasons.
override SKIPS: bool;

override INTERVAL: f32;
// The largest scale.
override LARGEST: f32;

// See src/divergence.rs.
const RESCALED = 0x7FFFFFFFu;
const BROKEN = 0x80000000u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
    let squares = sum_of_workgroup(lane, status.partial_sums[lane]);
    if lane == 0u { decide(is_finite(squares)); }
}

fn decide(is_good: bool) {
    if is_good {
        scaling.steady += 1.0;
        if scaling.steady >= INTERVAL { rescale(select(1.0, 2.0, scaling.scale < LARGEST)); }
    } else if scaling.scale > 1.0 {
        rescale(0.5);
        status.faults[step.slot] = RESCALED;
    } else {
        scaling.steady = 0.0;
        if !SKIPS { status.faults[step.slot] |= BROKEN; }
    }
}

// By a power of two.
fn rescale(factor: f32) {
    scaling.scale *= factor;
    scaling.inverse *= 1.0 / factor;
    scaling.steady = 0.0;
}
