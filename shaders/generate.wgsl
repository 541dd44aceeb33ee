// generate:  batch row b ← sample(first + row0 + b, seed), a function of the host app
//
//   wgrad_inputs   [batch, WGRAD_INPUTS]   every element of the batch's rows is written
//   wgrad_targets  [batch, WGRAD_TARGETS]  the same
//
// The host's text comes first in the module, then these constants, then philox.wgsl and this file: an
// error in the text has the line that it has there. The seed is a random word of the step. One
// invocation makes one row.
//
// Host record: src/ops/generate.rs

struct Sample {
    input: array<f32, WGRAD_INPUTS>,
    targets: array<f32, WGRAD_TARGETS>,
}

// The first fields of Step in step.wgsl, whose own name would hide the builtin function step().
struct WgradStep {
    keys0: vec4<u32>,
    keys1: vec4<u32>,
    groups: array<vec4<f32>, 8>,
    seed: vec2<u32>,
    draw: vec2<u32>,
    dropout_key: vec2<u32>,
    batch: u32,
    first: u32,
    row0: u32,
}

@group(0) @binding(0) var<uniform> wgrad_step: WgradStep;
@group(0) @binding(1) var<storage, read_write> wgrad_inputs: array<f32>;
@group(0) @binding(2) var<storage, read_write> wgrad_targets: array<f32>;

override WGRAD_WORKGROUP: u32;

// rng::Purpose::Generate
const WGRAD_PURPOSE = 7u;

@compute @workgroup_size(WGRAD_WORKGROUP)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    // As batch_group in step.wgsl has it.
    let row = id.z * groups.x * WGRAD_WORKGROUP + id.x;
    if row >= wgrad_step.batch { return; }
    let word = philox4x32(vec4<u32>(wgrad_step.draw, 0u, WGRAD_PURPOSE), wgrad_step.seed).x;
    var made = sample(wgrad_step.first + wgrad_step.row0 + row, word);
    for (var k = 0u; k < WGRAD_INPUTS; k++) {
        wgrad_inputs[row * WGRAD_INPUTS + k] = made.input[k];
    }
    for (var k = 0u; k < WGRAD_TARGETS; k++) {
        wgrad_targets[row * WGRAD_TARGETS + k] = made.targets[k];
    }
}

// Four random numbers in [0, 1) for sample i under a seed.
fn wgrad_random(i: u32, seed: u32) -> vec4<f32> {
    // 24 bits, as many as f32 has: exact, and below 1.
    return vec4<f32>(philox4x32(vec4<u32>(i, 1u, 0u, WGRAD_PURPOSE), vec2<u32>(seed)) >> vec4<u32>(8u))
        * (1.0 / 16777216.0);
}
