// step: the scalars of one step, a slot of the step ring bound with a dynamic offset.
// Shared by every kernel. Host mirror: src/ops/step.rs

const MAX_GROUPS = 8u;

struct Step {
    // Round keys of the epoch's permutation.
    keys0: vec4<u32>,
    keys1: vec4<u32>,
    // Of each parameter group: η with the bias correction of m, λ as part of the gradient, what
    // decoupled decay leaves of a weight, and the bias correction alone.
    groups: array<vec4<f32>, MAX_GROUPS>,
    // Seed and step of draws with replacement, low word first.
    seed: vec2<u32>,
    draw: vec2<u32>,
    dropout_key: vec2<u32>,
    // Rows that go through the net at once: a part of the step's batch, or all of it.
    batch: u32,
    // Position of the step's first row in the epoch, and of the part's first row in the step.
    first: u32,
    row0: u32,
    // Rows of the data set.
    rows: u32,
    // 0 sequential, 1 shuffled, 2 with replacement.
    order: u32,
    // Bits of each half of the permutation's Feistel network.
    half_bits: u32,
    // Where in the metrics ring this part reports.
    slot: u32,
    // 1 in training, 0 in evaluation and prediction.
    training: u32,
    // 1 if gradients are added to those of the parts before.
    accumulate: u32,
    // 1 if each row's targets are followed by its weight.
    weighted: u32,
    // 1/Σω over the step's batch, ω what a row counts in the loss.
    loss_scale: f32,
    // The optimizer's scalars, see src/optimizer/update.rs.
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
    inv_root_correction2: f32,
    mix: f32,
    clip: f32,
    average_share: f32,
}

@group(0) @binding(0) var<uniform> step: Step;

// The number of a workgroup among those that grow with the batch. They go on along z where one dimension
// doesn't hold them; the last may lie after the end of the batch. Host mirror: Grid in src/engine/kernel.rs
fn batch_group(along: u32, z: u32, groups_along: u32) -> u32 {
    return z * groups_along + along;
}

