// linear_forward:  Z = X·Wᵀ + b,  Y = dropout(a(Z))
//
//   input   X  [batch, in]   row-major
//   weight  W  [out, in]     row-major, as torch.nn.Linear stores it
//   bias    b  [out]
//   output  Y  [batch, out]  every element of the batch's rows is written; behind Y what the
//                            derivative needs, see epilogue.wgsl
//
// The loop is that of shaders/matmul.wgsl, with C = Z, A = X and B = Wᵀ.
//
// Host record and CPU twin: src/ops/linear.rs

@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<f32>;

const LEFT_BY_DEPTH = true;
const RIGHT_BY_DEPTH = true;

fn depth() -> u32 {
    return shape.in_features;
}

fn left_at(sample: u32, k: u32) -> f32 {
    if sample >= step.batch || k >= shape.in_features { return 0.0; }
    return input[sample * shape.in_features + k];
}

fn right_at(k: u32, feature: u32) -> f32 {
    if feature >= shape.out_features || k >= shape.in_features { return 0.0; }
    return weight[feature * shape.in_features + k];
}

fn store(sample: u32, feature: u32, sum: f32) {
    if sample >= step.batch || feature >= shape.out_features { return; }
    let index = sample * shape.out_features + feature;
    write_output(index, sample, feature, sum + bias[feature]);
}
