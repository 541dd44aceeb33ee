// sample:  batch row b ← data row π(first + row0 + b)
//
//   inputs         [rows, in]        the data set
//   targets        [rows, targets]   the row's weight included where rows are weighted
//   batch_inputs   [batch, in]       every element of the batch's rows is written
//   batch_targets  [batch, targets]  likewise
//
// π depends on the step's order: identity, a keyed permutation, or draws with replacement; it is
// computed here, so no index is stored or uploaded. A workgroup copies one row.
//
// Host record and CPU twin: src/ops/sample.rs, src/sampler.rs

struct SampleShape {
    in_features: u32,
    target_width: u32,
}

@group(0) @binding(1) var<uniform> shape: SampleShape;
@group(0) @binding(2) var<storage, read> inputs: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<f32>;
@group(0) @binding(4) var<storage, read_write> batch_inputs: array<f32>;
@group(0) @binding(5) var<storage, read_write> batch_targets: array<f32>;

override WORKGROUP: u32;

const SHUFFLED = 1u;
const REPLACEMENT = 2u;
// rng::Purpose::Draw
const PURPOSE_DRAW = 3u;

var<workgroup> shared_row: u32;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let sample = group.x;
    if lane == 0u {
        shared_row = row_of(step.row0 + sample);
    }
    workgroupBarrier();
    let row = shared_row;

    for (var k = lane; k < shape.in_features; k += WORKGROUP) {
        batch_inputs[sample * shape.in_features + k] = inputs[row * shape.in_features + k];
    }
    for (var k = lane; k < shape.target_width; k += WORKGROUP) {
        batch_targets[sample * shape.target_width + k] = targets[row * shape.target_width + k];
    }
}

// The row at a position of the step's batch.
fn row_of(position: u32) -> u32 {
    switch step.order {
        case SHUFFLED: { return permute(step.first + position); }
        case REPLACEMENT: {
            let bits = philox4x32(vec4<u32>(position, step.draw, PURPOSE_DRAW), step.seed);
            return mul_high(bits.x, step.rows);
        }
        default: { return step.first + position; }
    }
}

// A Feistel network over the smallest power of four that covers the rows; what lands outside goes
// through again.
fn permute(position: u32) -> u32 {
    let half = step.half_bits;
    let mask = (1u << half) - 1u;
    var x = position;
    loop {
        var left = x >> half;
        var right = x & mask;
        for (var round = 0u; round < 8u; round++) {
            let mixed = left ^ (mix(right ^ round_key(round)) & mask);
            left = right;
            right = mixed;
        }
        x = (left << half) | right;
        if x < step.rows { break; }
    }
    return x;
}

fn round_key(round: u32) -> u32 {
    if round < 4u { return step.keys0[round]; }
    return step.keys1[round - 4u];
}

// The finaliser of MurmurHash3.
fn mix(value: u32) -> u32 {
    var h = value;
    h ^= h >> 16u;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13u;
    h *= 0xC2B2AE35u;
    return h ^ (h >> 16u);
}
