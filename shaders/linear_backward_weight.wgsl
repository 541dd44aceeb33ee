// linear_backward_weight:  [dW | db] = dZᵀ·[X | 1]
//
//   gradient_output  dZ  [batch, out]
//   input            X   [batch, in]  if GATHERED the data set, [data rows, in]
//   gradient             [arena], or [slices][dW | db]: dW [out, in] from shape.weight_at on and
//                        db [out] from shape.bias_at on are written, or added to if ADDS and the step
//                        says so
//   rows             [batch]  read if GATHERED: the rows of the data set that the batch is
//   scaling                   what dZ was scaled with, which the gradients are not
//
// The bias is the weight of one more input column that is always 1. The product is that of
// matmul.wgsl, with A = dZᵀ and B = [X | 1]; it sums the batch in the order of its rows. Where the
// gradient is too small to occupy a device, the batch is divided into slices, whose sums
// gradient_sum.wgsl adds up.
//
// Host record and CPU twin: src/ops/linear.rs

@group(0) @binding(2) var<storage, read> gradient_output: array<GradientOutputCell>;
@group(0) @binding(3) var<storage, read> input: array<InputCell>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read> rows_of_data: array<u32>;
@group(0) @binding(6) var<storage, read> scaling: Scaling;

override GATHERED: bool;
override ADDS: bool;

const LEFT_BY_DEPTH = false;
const RIGHT_BY_DEPTH = false;
const SLICED = true;

fn rows() -> u32 {
    return shape.out_features;
}

fn columns() -> u32 {
    return shape.in_features + 1u;
}

fn depths(slice: u32) -> vec2<u32> {
    let len = 4u * ((step.batch + 4u * shape.slices - 1u) / (4u * shape.slices));
    return vec2<u32>(min(slice * len, step.batch), min((slice + 1u) * len, step.batch));
}

fn left_row(row: u32, publish: bool) -> u32 {
    return row;
}

fn left_run(row: u32, k: u32) -> vec4<f32> {
    return gradient_output_run(k, row);
}

fn right_run(k: u32, column: u32) -> vec4<f32> {
    var row = k;
    if GATHERED { row = rows_of_data[k]; }
    let inside = input_run(row, min(column, 4u * ((shape.in_features - 1u) / 4u)));
    let run = select(inside, vec4<f32>(), column >= shape.in_features);
    let bias = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(shape.in_features);
    return select(run, vec4<f32>(1.0), bias);
}

fn store_run(output: u32, column: u32, slice: u32, sum: vec4<f32>) {
    let start = slice * shape.slice_stride;
    let true_sum = sum * scaling.inverse;
    store(start, output, column, true_sum.x);
    store(start, output, column + 1u, true_sum.y);
    store(start, output, column + 2u, true_sum.z);
    store(start, output, column + 3u, true_sum.w);
}

fn store(start: u32, output: u32, column: u32, sum: f32) {
    if column > shape.in_features { return; }
    var index = start + shape.weight_at + output * shape.in_features + column;
    if column == shape.in_features { index = start + shape.bias_at + output; }
    var before = 0.0;
    // What isn't added to is never read: a third of this kernel's time in a software adapter's compiler.
    if ADDS && step.accumulate != 0u { before = gradient[index]; }
    gradient[index] = sum + before;
}

