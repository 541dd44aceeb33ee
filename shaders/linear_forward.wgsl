// linear_forward:  Z = X·Wᵀ + b,  Y = dropout(a(Z))
//
//   input   X  [batch, in]   row-major; if GATHERED the data set, [data rows, in], of which the
//                            batch's rows are taken where they lie
//   weight  W  [out, in]     row-major, as torch.nn.Linear stores it
//   bias    b  [out]
//   output  Y  [batch, out]  every element of the batch's rows is written; behind Y what the
//                            derivative needs, see epilogue.wgsl
//   rows       [batch]       written if GATHERED: the rows of the data set that the batch is, for
//                            the loss and the weight's gradient; else a placeholder
//
// The product is that of matmul.wgsl, with C = Z, A = X and B = Wᵀ.
//
// Host record and CPU twin: src/ops/linear.rs

@group(0) @binding(3) var<storage, read> input: array<InputCell>;
@group(0) @binding(4) var<storage, read> weight: array<WeightCell>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> output: array<Output>;
@group(0) @binding(7) var<storage, read_write> rows_of_data: array<u32>;

override GATHERED: bool;

const LEFT_BY_DEPTH = true;
const RIGHT_BY_DEPTH = true;
const SLICED = false;

fn rows() -> u32 {
    return step.batch;
}

fn columns() -> u32 {
    return shape.out_features;
}

fn depths(slice: u32) -> vec2<u32> {
    return vec2<u32>(0u, shape.in_features);
}

fn left_row(sample: u32, publish: bool) -> u32 {
    let row = min(sample, step.batch - 1u);
    if !GATHERED { return row; }
    let data_row = row_of(step.row0 + row);
    if publish && sample < step.batch { rows_of_data[sample] = data_row; }
    return data_row;
}

fn left_run(row: u32, k: u32) -> vec4<f32> {
    return input_run(row, k);
}

fn right_run(k: u32, feature: u32) -> vec4<f32> {
    return weight_run(feature, k);
}

fn store_run(sample: u32, feature: u32, slice: u32, sum: vec4<f32>) {
    // Behind the last feature any bias will do.
    let last = shape.out_features - 1u;
    let b = vec4<f32>(
        bias[feature],
        bias[min(feature + 1u, last)],
        bias[min(feature + 2u, last)],
        bias[min(feature + 3u, last)],
    );
    write_run(sample, feature, shape.out_features, sum + b);
}

