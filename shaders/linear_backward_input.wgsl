// linear_backward_input:  dX = (dZ·W) ⊙ dropout'a'(kept)
//
//   gradient_output  dZ    [batch, out]
//   weight           W     [out, in]
//   kept                   [batch, in]  what the stage that made X kept for its derivative
//   gradient_input   dX    [batch, in]  gradient of that stage's Z; every element of the batch's
//                                       rows is written
//
// The loop is that of shaders/matmul.wgsl, with A = dZ and B = W.
//
// Host record and CPU twin: src/ops/linear.rs

@group(0) @binding(3) var<storage, read> gradient_output: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> kept: array<f32>;
@group(0) @binding(6) var<storage, read_write> gradient_input: array<f32>;

const LEFT_BY_DEPTH = true;
const RIGHT_BY_DEPTH = false;

fn depth() -> u32 {
    return shape.out_features;
}

fn left_at(sample: u32, k: u32) -> f32 {
    if sample >= step.batch || k >= shape.out_features { return 0.0; }
    return gradient_output[sample * shape.out_features + k];
}

fn right_at(k: u32, feature: u32) -> f32 {
    if k >= shape.out_features || feature >= shape.in_features { return 0.0; }
    return weight[k * shape.in_features + feature];
}

fn store(sample: u32, feature: u32, sum: f32) {
    if sample >= step.batch || feature >= shape.in_features { return; }
    let index = sample * shape.in_features + feature;
    gradient_input[index] = sum * epilogue_derivative(kept[index], sample, feature);
}
