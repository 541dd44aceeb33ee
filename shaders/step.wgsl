// step: the scalars of one step, a slot of the step ring bound with a dynamic offset.
// Shared by every kernel. Host mirror: src/ops/step.rs

struct Step {
    // Round keys of the epoch's permutation.
    keys0: vec4<u32>,
    keys1: vec4<u32>,
    // Seed and step of draws with replacement, low word first.
    seed: vec2<u32>,
    draw: vec2<u32>,
    // Rows in this batch, and the position of its first row in the epoch.
    batch: u32,
    first: u32,
    // Rows of the data set.
    rows: u32,
    // 0 sequential, 1 shuffled, 2 with replacement.
    order: u32,
    // Bits of each half of the permutation's Feistel network.
    half_bits: u32,
    // Where in the metrics ring this step reports.
    slot: u32,
    // The optimizer's scalars, see src/optimizer.rs.
    step_size: f32,
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
    inv_root_correction2: f32,
    l2: f32,
    keep: f32,
}

@group(0) @binding(0) var<uniform> step: Step;

