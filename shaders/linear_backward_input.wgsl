// linear_backward_input:  dX = (dZ·W) ⊙ dropout'a'(kept)
//
//   gradient_output  dZ    [batch, out]
//   weight           W     [out, in]
//   kept                   [batch, in]  what the stage that made X kept for its derivative
//   gradient_input   dX    [batch, in]  gradient of that stage's Z; every element of the batch's
//                                       rows is written
//
// The product is that of matmul.wgsl, with A = dZ and B = W.
//
// Host record and CPU twin: src/ops/linear.rs

@group(0) @binding(3) var<storage, read> gradient_output: array<GradientOutputCell>;
@group(0) @binding(4) var<storage, read> weight: array<WeightCell>;
@group(0) @binding(5) var<storage, read> kept: array<Kept>;
@group(0) @binding(6) var<storage, read_write> gradient_input: array<GradientInput>;

const LEFT_BY_DEPTH = true;
const RIGHT_BY_DEPTH = false;
const SLICED = false;

fn rows() -> u32 {
    return step.batch;
}

fn columns() -> u32 {
    return shape.in_features;
}

fn depths(slice: u32) -> vec2<u32> {
    return vec2<u32>(0u, shape.out_features);
}

fn left_row(sample: u32, publish: bool) -> u32 {
    return min(sample, step.batch - 1u);
}

fn left_run(row: u32, k: u32) -> vec4<f32> {
    return gradient_output_run(row, k);
}

fn right_run(k: u32, feature: u32) -> vec4<f32> {
    return weight_run(k, feature);
}

fn store_run(sample: u32, feature: u32, slice: u32, sum: vec4<f32>) {
    write_gradient_run(sample, feature, shape.in_features, sum);
}

