// linear_forward:  Z = X·Wᵀ + b,  Y = a(Z)
//
//   input   X  [batch, in]   row-major
//   weight  W  [out, in]     row-major, as torch.nn.Linear stores it
//   bias    b  [out]
//   output     Y [batch, out] from 0 on; where the derivative needs Z, that too from
//              shape.preactivation on. Every element of the batch's rows is written.
//
// One invocation computes one element. A workgroup owns a TILE×TILE block of Y and walks the `in`
// dimension through workgroup memory, TILE columns at a time.
//
// Host record and CPU twin: src/ops/linear.rs

struct LinearShape {
    in_features: u32,
    out_features: u32,
    preactivation: u32,
    parameter: f32,
}

@group(0) @binding(1) var<uniform> shape: LinearShape;
@group(0) @binding(2) var<storage, read> input: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

override TILE: u32;
override KEEPS_PREACTIVATION: bool;

var<workgroup> x_tile: array<f32, TILE * TILE>;
var<workgroup> w_tile: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let sample = block.y * TILE + local.y;
    let feature = block.x * TILE + local.x;
    let cell = local.y * TILE + local.x;

    var sum = 0.0;
    for (var k0 = 0u; k0 < shape.in_features; k0 += TILE) {
        // Cells past an edge load 0 instead of returning: every invocation must reach the barriers.
        x_tile[cell] = input_at(sample, k0 + local.x);
        w_tile[cell] = weight_at(block.x * TILE + local.y, k0 + local.x);
        workgroupBarrier();
        for (var k = 0u; k < TILE; k++) {
            sum += x_tile[local.y * TILE + k] * w_tile[local.x * TILE + k];
        }
        workgroupBarrier();
    }

    if sample < step.batch && feature < shape.out_features {
        let z = sum + bias[feature];
        let index = sample * shape.out_features + feature;
        output[index] = activate(z, shape.parameter);
        if KEEPS_PREACTIVATION {
            output[shape.preactivation + index] = z;
        }
    }
}

fn input_at(sample: u32, k: u32) -> f32 {
    if sample >= step.batch || k >= shape.in_features { return 0.0; }
    return input[sample * shape.in_features + k];
}

fn weight_at(feature: u32, k: u32) -> f32 {
    if feature >= shape.out_features || k >= shape.in_features { return 0.0; }
    return weight[feature * shape.in_features + k];
}
