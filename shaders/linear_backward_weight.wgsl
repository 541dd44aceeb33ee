// linear_backward_weight:  [dW | db] = dZᵀ·[X | 1]
//
//   gradient_output  dZ  [batch, out]
//   input            X   [batch, in]
//   gradient_weight  dW  [out, in]    every element is written, or added to if the step says so
//   gradient_bias    db  [out]        likewise
//
// The bias is the weight of one more input column that is always 1. The loop is that of
// shaders/matmul.wgsl, with A = dZᵀ and B = [X | 1]; it sums the batch in the order of its rows.
//
// Host record and CPU twin: src/ops/linear.rs

@group(0) @binding(2) var<storage, read> gradient_output: array<f32>;
@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient_weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> gradient_bias: array<f32>;

const LEFT_BY_DEPTH = false;
const RIGHT_BY_DEPTH = false;

fn depth() -> u32 {
    return step.batch;
}

fn left_at(output: u32, row: u32) -> f32 {
    if row >= step.batch || output >= shape.out_features { return 0.0; }
    return gradient_output[row * shape.out_features + output];
}

fn right_at(row: u32, column: u32) -> f32 {
    if row >= step.batch || column > shape.in_features { return 0.0; }
    if column == shape.in_features { return 1.0; }
    return input[row * shape.in_features + column];
}

fn store(output: u32, column: u32, sum: f32) {
    if output >= shape.out_features || column > shape.in_features { return; }
    if column == shape.in_features {
        gradient_bias[output] = sum + select(0.0, gradient_bias[output], step.accumulate != 0u);
    } else {
        let index = output * shape.in_features + column;
        gradient_weight[index] = sum + select(0.0, gradient_weight[index], step.accumulate != 0u);
    }
}
