// linear_backward_input:  dX = (dZ·W) ⊙ a'(kept)
//
//   gradient_output  dZ    [batch, out]
//   weight           W     [out, in]
//   kept                   [batch, in]  what the activation that made X kept: its Y or Z
//   gradient_input   dX    [batch, in]  gradient of that activation's Z; every element of the
//                                       batch's rows is written
//
// One invocation computes one element. A workgroup owns a TILE×TILE block of dX and walks the `out`
// dimension through workgroup memory, TILE rows of W at a time.
//
// Host record and CPU twin: src/ops/linear.rs

struct LinearShape {
    in_features: u32,
    out_features: u32,
    preactivation: u32,
    parameter: f32,
}

@group(0) @binding(1) var<uniform> shape: LinearShape;
@group(0) @binding(2) var<storage, read> gradient_output: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> kept: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient_input: array<f32>;

override TILE: u32;

var<workgroup> z_tile: array<f32, TILE * TILE>;
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
    for (var k0 = 0u; k0 < shape.out_features; k0 += TILE) {
        z_tile[cell] = gradient_at(sample, k0 + local.x);
        w_tile[cell] = weight_at(k0 + local.y, feature);
        workgroupBarrier();
        for (var k = 0u; k < TILE; k++) {
            sum += z_tile[local.y * TILE + k] * w_tile[k * TILE + local.x];
        }
        workgroupBarrier();
    }

    if sample < step.batch && feature < shape.in_features {
        let index = sample * shape.in_features + feature;
        gradient_input[index] = sum * activation_derivative(kept[index], shape.parameter);
    }
}

fn gradient_at(sample: u32, k: u32) -> f32 {
    if sample >= step.batch || k >= shape.out_features { return 0.0; }
    return gradient_output[sample * shape.out_features + k];
}

fn weight_at(k: u32, feature: u32) -> f32 {
    if k >= shape.out_features || feature >= shape.in_features { return 0.0; }
    return weight[k * shape.in_features + feature];
}
