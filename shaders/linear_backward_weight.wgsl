// linear_backward_weight:  [dW | db] = dZᵀ·[X | 1]
//
//   gradient_output  dZ  [batch, out]
//   input            X   [batch, in]
//   gradient_weight  dW  [out, in]    every element is written
//   gradient_bias    db  [out]        every element is written
//
// The bias is the weight of one more input column that is always 1. One invocation computes one
// element. A workgroup owns a TILE×TILE block of [dW | db] and walks the batch through workgroup
// memory, TILE rows at a time, so the sum over the batch has a fixed order.
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
@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient_weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient_bias: array<f32>;

override TILE: u32;

var<workgroup> z_tile: array<f32, TILE * TILE>;
var<workgroup> x_tile: array<f32, TILE * TILE>;

@compute @workgroup_size(TILE, TILE)
fn main(
    @builtin(workgroup_id) block: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let output = block.y * TILE + local.y;
    let column = block.x * TILE + local.x;
    let cell = local.y * TILE + local.x;

    var sum = 0.0;
    for (var row0 = 0u; row0 < step.batch; row0 += TILE) {
        z_tile[cell] = gradient_at(row0 + local.y, block.y * TILE + local.x);
        x_tile[cell] = input_at(row0 + local.y, column);
        workgroupBarrier();
        for (var row = 0u; row < TILE; row++) {
            sum += z_tile[row * TILE + local.y] * x_tile[row * TILE + local.x];
        }
        workgroupBarrier();
    }

    if output < shape.out_features {
        if column < shape.in_features {
            gradient_weight[output * shape.in_features + column] = sum;
        } else if column == shape.in_features {
            gradient_bias[output] = sum;
        }
    }
}

fn gradient_at(row: u32, output: u32) -> f32 {
    if row >= step.batch || output >= shape.out_features { return 0.0; }
    return gradient_output[row * shape.out_features + output];
}

fn input_at(row: u32, column: u32) -> f32 {
    if row >= step.batch || column > shape.in_features { return 0.0; }
    if column == shape.in_features { return 1.0; }
    return input[row * shape.in_features + column];
}
